"""Fixtures that every test can use. The servers behind them are in `tests/servers.py`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase
from django.utils import translation

from config.languages import forget_language_of_shop
from recommendations.serving import voids
from tests.servers import ROOT, SERVERS, database_name
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Response

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Names outside of this machine do not resolve. Holding every request to look at its address instead would lose those that a
# page sends while it is left.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
]
# What a headless browser says of itself counts as a crawler, and crawlers have no profile.
A_PERSONS_BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)


# How fast a busy machine makes examples says nothing about the code.
hypothesis.settings.register_profile(
    "etalage", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("etalage")

# A good hash takes long on purpose; tests log in a great many times.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: pytest.FixtureRequest
) -> Iterator[None]:
    """This worker's database: a copy of the migrated template."""
    SERVERS.create_database(database_name())
    yield
    with django_db_blocker.unblock():
        connections.close_all()


def _restore_the_template(test_case: TransactionTestCase) -> None:
    """After a test that committed: the database as migrations left it. Django's own way, truncating every
    table, would lose their rows.
    """
    connections.close_all()
    SERVERS.create_database(database_name())


TransactionTestCase._fixture_teardown = _restore_the_template  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def _valkey_connection() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_valkey(request: pytest.FixtureRequest) -> None:
    """Every test starts with an empty Valkey index, to which nothing is owed."""
    if SERVERS.is_started:
        voids.forgive()
        request.getfixturevalue("_valkey_connection").flushdb()


@pytest.fixture(autouse=True)
def _language_of_this_tests_shop() -> Iterator[None]:
    """A request in another language leaves its thread speaking it, and which language the shop speaks is kept for half a minute,
    longer than a test and its store last."""
    with translation.override("en"):
        yield
    forget_language_of_shop()


@pytest.fixture
def valkey(_valkey_connection: redis.Redis) -> redis.Redis:
    """A client of this worker's Valkey index, empty when the test starts; answers are bytes."""
    return _valkey_connection


@pytest.fixture
def model_dir(tmp_path: Path, settings: object) -> Path:
    """A model folder of this test's own, in `settings.ETALAGE_MODEL_DIR`."""
    folder = tmp_path / "models"
    folder.mkdir()
    settings.ETALAGE_MODEL_DIR = folder  # type: ignore[attr-defined]
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the clone; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the public data sets in {folder}")
    return folder


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that skips for want of the public data sets while they are there has lost its way to them."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not (ROOT.parent / "shared" / "data").is_dir():
        return
    lost = [report.nodeid for report in reporter.stats.get("skipped", []) if "shared" in str(report.longrepr)]
    if lost:
        reporter.write_line(f"skipped though ../shared is there: {', '.join(lost)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def chromium_path() -> str | None:
    """An installed Chromium: `CHROMIUM_PATH`, else one on the PATH; None leaves the choice to Playwright."""
    given = os.environ.get("CHROMIUM_PATH")
    return given or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a browser gets a second try, which the summary names: browser, server and test race on a busy machine.

    Nothing else does.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A headless Chromium, one for the session. Without one the test fails: `make test` installs it where
    it can.
    """
    from playwright.sync_api import Error, expect, sync_playwright

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)

    # Playwright's synchronous interface runs an event loop in this thread, in which Django would refuse every
    # query.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        except Error as error:
            pytest.fail(
                f"No Chromium: install one (`apt-get install chromium`) or name one in CHROMIUM_PATH. {error}"
            )
        yield chromium
        chromium.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


@pytest.fixture
def context(browser: "Browser") -> Iterator["BrowserContext"]:
    """A browser profile of this test's own: no cookies, desktop size. Nothing outside of this machine can
    be reached from it.
    """
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", user_agent=A_PERSONS_BROWSER
    )
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield context
    context.close()


def _is_broken(response: "Response") -> bool:
    return response.status >= 500 or (response.status >= 400 and "/static/" in response.url)


@pytest.fixture
def page(context: "BrowserContext", request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A page whose test fails on an uncaught script error, a breach of the content security policy, a server
    error or a missing static file.

    `@pytest.mark.page_errors_expected` switches that off. `page.faults` lists what was seen.
    """
    faults: list[str] = []
    page = context.new_page()
    page.faults = faults  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "response",
        lambda response: faults.append(f"{response.status} {response.url}") if _is_broken(response) else None,
    )
    page.on(
        "console",
        lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield page
    if not request.node.get_closest_marker("page_errors_expected"):
        assert not faults, f"the page reported: {faults}"
