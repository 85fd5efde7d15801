"""@segment/analytics-next in a real Chromium, on a page of another origin than Etalage's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from accounts.services.signatures import sign_user_id
from tests.clients.line import LOST, Fault, Line
from tests.clients.node_packages import PACKAGES, require_packages
from tests.clients.origin import serve_shop
from tests.clients.shop import HAPPENED_AT, PRODUCT, Shop, expected_messages, happened_at, who
from tests.conftest import A_PERSONS_BROWSER

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

# A browser writes failed requests into the console, and faults are what some tests are about.
pytestmark = pytest.mark.page_errors_expected

LOAD = """async ({writeKey, cdnURL, apiHost, delivery}) => {
    const { AnalyticsBrowser } = window.AnalyticsNext;
    window.failures = [];
    const [analytics] = await AnalyticsBrowser.load(
        { writeKey, cdnURL },
        { integrations: { "Segment.io": { apiHost, protocol: "http", deliveryStrategy: delivery } } },
    );
    analytics.on("error", ({ code }) => window.failures.push(code));
    window.analytics = analytics;
}"""
BATCHING = {"strategy": "batching", "config": {"size": 10, "timeout": 300}}


class Visit:
    """A visitor's page with analytics-next on it."""

    def __init__(self, page: Page, origin: str, line: Line, shop: Shop) -> None:
        self.page = page
        self.origin = origin
        self.line = line
        self.shop = shop

    def load(
        self, key: str | None = None, delivery: dict[str, Any] | None = None, path: str = "/tents"
    ) -> None:
        self.page.goto(f"{self.origin}{path}")
        host = self.line.url.removeprefix("http://")
        self.page.evaluate(
            LOAD,
            {
                "writeKey": key or self.shop.browser_key,
                "cdnURL": self.line.url,
                "apiHost": f"{host}/v1",
                "delivery": delivery,
            },
        )

    def call(self, method: str, *arguments: Any) -> None:
        """Make a call and wait until the package has passed it on."""
        self.page.evaluate("([method, given]) => window.analytics[method](...given)", [method, arguments])

    def calls(self, *calls: tuple[Any, ...]) -> None:
        """All at once, as a page makes them."""
        self.page.evaluate(
            "calls => { for (const [method, ...given] of calls) window.analytics[method](...given); }",
            [list(call) for call in calls],
        )

    def wait_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(300):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(
            f"stored: {[event.name for event in self.shop.events()]}, answered: {self.line.statuses},"
            f" quarantined: {self.shop.quarantined()}"
        )

    def wait_for_events(self, count: int) -> None:
        self.wait_until(lambda: len(self.shop.events()) >= count)

    @property
    def anonymous_id(self) -> str:
        return str(self.page.evaluate("window.analytics.user().anonymousId()"))


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile without any interception: with it, Playwright answers preflights itself."""
    context = browser.new_context(user_agent=A_PERSONS_BROWSER)
    yield context
    context.close()


@pytest.fixture
def visit(page: Page, line: Line, shop: Shop) -> Iterator[Visit]:
    require_packages()
    with serve_shop(PACKAGES / "@segment" / "analytics-next" / "dist" / "umd") as origin:
        yield Visit(page, origin, line, shop)
        page.goto("about:blank")


def test_every_call_is_stored(visit: Visit, shop: Shop) -> None:
    visit.load()
    signature = sign_user_id(shop.store, "u1")
    visit.call("page", "Shop", "Tents", {"colour": "green"})
    visit.call("track", "Product Viewed", PRODUCT, {"timestamp": HAPPENED_AT.isoformat()})
    visit.call("track", "Products Searched", {"query": "Zelt ⛺"})
    visit.call("identify", "u1", {"loyaltyStatus": "gold"}, {"signature": signature})
    visit.call("group", "club", {"plan": "free"}, {"signature": signature})
    visit.call("screen", "Shop", "Cart")
    visit.wait_for_events(6)
    anonymous_id = visit.anonymous_id
    assert shop.nothing_was_left_out()

    page = shop.event("page")
    assert (page.name, who(page)) == ("Tents", (anonymous_id, None))
    assert page.properties["category"] == "Shop"
    assert page.properties["colour"] == "green"
    assert page.properties["url"] == f"{visit.origin}/tents"
    assert page.context["page"]["title"] == "Tents"
    assert page.context["library"]["name"] == "analytics.js"
    assert "Chrome" in page.context["userAgent"]

    view = shop.event("track", "Product Viewed")
    assert (view.product_id, view.properties, who(view)) == ("tent-1", PRODUCT, (anonymous_id, None))
    assert happened_at(view)
    assert shop.event("track", "Products Searched").properties == {"query": "Zelt ⛺"}

    assert who(shop.event("identify")) == (anonymous_id, "u1")
    group = shop.event("group")
    assert (group.properties["groupId"], who(group)) == ("club", (anonymous_id, "u1"))
    assert shop.event("screen").name == "Cart"
    assert shop.links() == {(anonymous_id, "u1")}
    assert not any(event.is_bot or event.is_trusted for event in shop.events())
    assert [post.path for post in visit.line.posts] == ["/v1/p", "/v1/t", "/v1/t", "/v1/i", "/v1/g", "/v1/s"]
    settings, *preflights = [exchange for exchange in visit.line.exchanges if exchange.method != "POST"]
    assert (settings.method, settings.path) == ("GET", f"/v1/projects/{shop.browser_key}/settings")
    assert {preflight.method for preflight in preflights} == {"OPTIONS"}
    assert {post.headers["Content-Type"] for post in visit.line.posts} == {"text/plain"}


def test_an_alias_joins_the_browser_to_the_customer(visit: Visit, shop: Shop) -> None:
    visit.load()
    visit.call("track", "Cart Viewed")
    anonymous_id = visit.anonymous_id
    visit.call("alias", "u1", anonymous_id, {"signature": sign_user_id(shop.store, "u1")})
    visit.wait_for_events(2)
    assert shop.links() == {(anonymous_id, "u1")}
    assert shop.nothing_was_left_out()


def test_a_page_cannot_say_without_signature_who_it_is(visit: Visit, shop: Shop) -> None:
    visit.load()
    visit.call("identify", "u1", {"loyaltyStatus": "gold"})
    visit.call("track", "Product Viewed", PRODUCT)
    visit.wait_for_events(1)
    view = shop.event("track")
    assert who(view) == (visit.anonymous_id, None)
    assert shop.quarantined() == ["unsigned_user_id"]
    assert shop.links() == set()


def test_a_batch_is_one_request(visit: Visit, shop: Shop) -> None:
    visit.load(delivery=BATCHING)
    views = expected_messages(10)
    visit.calls(*(("track", "Product Viewed", view) for view in views))
    visit.wait_for_events(10)
    assert [(post.path, len(post.message_ids)) for post in visit.line.posts] == [("/v1/b", 10)]
    assert [event.properties for event in shop.events()] == views
    assert shop.nothing_was_left_out()


@pytest.mark.parametrize("delivery", [None, BATCHING], ids=["single", "batching"])
@pytest.mark.parametrize("fault", [Fault(503, 1), Fault(429, 1), LOST], ids=str)
def test_what_is_sent_again_is_stored_once(
    fault: Fault, delivery: dict[str, Any] | None, visit: Visit, shop: Shop
) -> None:
    visit.load(delivery=delivery)
    visit.line.faults.append(fault)
    visit.call("track", "Product Viewed", PRODUCT)
    visit.wait_until(lambda: visit.line.statuses == [fault.status, 200])
    first, second = visit.line.posts
    assert (first.stored_with, second.stored_with) == (200, 200)
    assert first.message_ids == second.message_ids == shop.message_ids()
    assert shop.nothing_was_left_out()


def test_it_waits_as_long_as_it_is_told(visit: Visit, shop: Shop) -> None:
    visit.load()
    visit.line.faults.append(Fault(429, retry_after_seconds=2))
    visit.call("track", "Product Viewed", PRODUCT)
    visit.wait_until(lambda: visit.line.statuses == [429, 200])
    assert visit.line.gap_seconds(0, 1) >= 2
    assert len(shop.events()) == 1


def test_what_waits_when_the_page_is_left_is_sent_in_passing(visit: Visit, shop: Shop) -> None:
    visit.load(delivery={"strategy": "batching", "config": {"size": 10, "timeout": 600_000}})
    visit.call("track", "Product Viewed", PRODUCT)
    visit.page.goto(f"{visit.origin}/other")
    visit.wait_for_events(1)
    assert shop.message_ids() == visit.line.posts[0].message_ids
    assert shop.nothing_was_left_out()


def test_an_unknown_key_is_told_when_it_loads(visit: Visit, shop: Shop) -> None:
    from playwright.sync_api import Error

    with pytest.raises(Error, match="unknown or revoked"):
        visit.load(key="pk_" + "x" * 43)
    assert visit.line.posts == []
    assert shop.events() == []


def test_a_key_that_is_revoked_while_the_page_is_open_ends_the_sending(visit: Visit, shop: Shop) -> None:
    visit.load()
    visit.page.route(
        "**/v1/t",
        lambda route: route.continue_(
            post_data=json.dumps({**route.request.post_data_json, "writeKey": "pk_revoked"}),
            headers={**route.request.headers, "authorization": "Basic cGtfcmV2b2tlZDo="},
        ),
    )
    visit.call("track", "Product Viewed", PRODUCT)
    visit.wait_until(lambda: "delivery_failure" in visit.page.evaluate("window.failures"))
    assert visit.line.statuses == [401]
    assert shop.events() == []
