"""Opting out, taking it back and asking for somebody else, in a real Chromium on a telephone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accounts.models import Store
from consent.links import agent_token_of, request_path
from consent.models import DataSubjectRequest, RegionMode
from consent.regions import modes_forget
from tests.consent.test_in_browser import page, shop, violations  # noqa: F401 (fixtures)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)


def looked_at(page: Page, name: str) -> None:  # noqa: F811
    """Nothing wider than the page, nothing that a screen reader stumbles over."""
    if folder := os.environ.get("ETALAGE_TEST_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert violations(page) == [], name


@pytest.mark.parametrize("width", [360, 1280])
def test_the_pages_of_opt_outs_and_agents(page: Page, shop: str, tmp_path: Path, width: int) -> None:  # noqa: F811
    store = Store.objects.get()
    country = {"country": "US"}
    Store.objects.update(**country)
    RegionMode.all_stores.create(store=store, region="US", mechanism="opt_out", granted=["sharing"])
    modes_forget(store)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{shop}/privacy/ask/opt_out/")
    looked_at(page, f"opt-out-{width}")
    page.get_by_role("button", name="Do not sell or share").click()
    page.get_by_text("Done.", exact=True).wait_for()
    looked_at(page, f"opt-out-done-{width}")
    page.goto(f"{shop}/privacy/")
    page.get_by_text("You have opted out since").wait_for()
    looked_at(page, f"centre-{width}")
    page.get_by_role("link", name="Take it back").click()
    page.wait_for_url("**/privacy/opt-outs/opt_out/")
    looked_at(page, f"opt-out-end-{width}")

    page.goto(f"{shop}/privacy/agent/")
    looked_at(page, f"agent-{width}")
    page.get_by_label("Your name").fill("Bea Agent")
    page.get_by_label("Your e-mail address").fill("bea@agents.example")
    page.get_by_label("E-mail address of the person").fill("ann@example.org")
    page.get_by_role("button", name="Send the request").click()
    page.get_by_text("We wait for the written permission").wait_for()
    looked_at(page, f"agent-page-{width}")
    proof = tmp_path / "permission.pdf"
    proof.write_bytes(b"%PDF-1.7 signed")
    page.get_by_label("A file that belongs to your request").set_input_files(proof)
    page.get_by_role("button", name="Send the file").click()
    page.get_by_text("wait until they confirm you").wait_for()
    request = DataSubjectRequest.objects.for_store(store).get(source="agent")
    assert agent_token_of(request) in page.url
    page.goto(f"{shop}{request_path(request)}")
    page.get_by_role("button", name="They do not act for me").wait_for()
    looked_at(page, f"agent-person-{width}")
