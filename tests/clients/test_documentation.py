"""The lines of docs/clients.md do what they say: each is run as it stands there."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.line import Line
from tests.clients.node_packages import FOLDER, node_path, require_packages
from tests.clients.shop import Shop
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
LANGUAGES = {"sh": ["sh", "-e"], "python": [sys.executable, "-"], "js": []}


def _lines(title: str) -> tuple[str, str]:
    ((language, lines),) = re.findall(r"^```(\w+)\n(.*?)^```", SECTIONS[title], re.M | re.S)
    return language, lines


RUNNABLE = [title for title, text in SECTIONS.items() if "```" in text and not title.startswith("Browser")]


@pytest.mark.parametrize("title", RUNNABLE)
def test_the_lines_of_each_client_store_an_event(title: str, shop: Shop, line: Line) -> None:
    language, lines = _lines(title)
    command, folder = LANGUAGES[language], ROOT
    if language == "js":
        require_packages()
        command, folder = [node_path(), "--input-type=module", "-"], FOLDER
    environment = {**os.environ, "ETALAGE_URL": line.url, "WRITE_KEY": shop.server_key, "NO_PROXY": "*"}
    done = subprocess.run(
        command, cwd=folder, input=lines, env=environment, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    view = shop.event("track", "Product Viewed")
    assert view.properties == {"product_id": "tent-1", "price": 199.99, "currency": "EUR"}
    assert shop.nothing_was_left_out()


def test_the_page_of_a_new_key_shows_the_same_lines() -> None:
    template = (ROOT / "templates" / "admin" / "accounts" / "apikey" / "_clients.html").read_text()
    shown = dict(re.findall(r'<code data-client="([^"]+)">(.*?)</code>', template, re.S))
    assert len(shown) >= len(RUNNABLE)
    for title in RUNNABLE:
        client = title.removeprefix("Python: ").removeprefix("Node: ").split(" ")[0]
        assert html.unescape(shown[client]) == _lines(title)[1]


def test_the_lines_for_the_browser_are_those_that_its_test_runs() -> None:
    _, lines = _lines("Browser: @segment/analytics-next 1.84.3")
    tested = (Path(__file__).parent / "test_browser_client.py").read_text()
    for option in ("writeKey", "cdnURL", '"Segment.io"', "apiHost", "protocol"):
        assert option in lines
        assert option in tested


def test_the_versions_are_those_that_are_tested() -> None:
    pinned = (ROOT / "requirements-dev.txt").read_text() + (FOLDER / "package.json").read_text()
    named = re.findall(r"^## \w+: (\S+) (\d[\d.]*)$", PAGE, re.M)
    assert len(named) >= 5
    for package, version in named:
        assert re.search(rf'{re.escape(package)}(==|": "){re.escape(version)}\b', pinned), package
