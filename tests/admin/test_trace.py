"""Why a shelf is what it is: the trace, and the bar on the shop's pages that leads there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from recommendations.admin.tracing import traced
from recommendations.models import MerchandisingRule, Placement
from recommendations.pipeline import recommend
from recommendations.services.blends import blend_draft_save, blend_publish, draft_of
from recommendations.serving import browser, versions
from recommendations.serving.versions import Part
from recommendations.shelf import RecommendationRequest
from tests.admin.conftest import Staff
from tests.recommendations.shop import Shop, consenting_visitor


@pytest.fixture
def home(trained_shop: Shop, settings: Any) -> Placement:
    trained_shop.store.slug = "here"
    trained_shop.store.save()
    settings.ETALAGE_STOREFRONT_STORE = "here"
    browser.forget_store()
    return Placement.objects.for_store(trained_shop.store).get(slug="home")


@pytest.fixture
def tuner(home: Placement, at_work: Callable[..., Staff]) -> Staff:
    return at_work(home.store, Role.MERCHANDISER)


def trace(home: Placement) -> str:
    return reverse("admin:recommendations_placement_trace", args=[home.pk])


class TestTrace:
    def test_bars_add_up_and_moves_say_where_from(self, trained_shop: Shop, home: Placement) -> None:
        visitor, shopper = consenting_visitor(trained_shop.store)
        trained_shop.views(visitor, "tents-2", "tents-3")
        found = traced(recommend(RecommendationRequest(trained_shop.store, "home", shopper, limit=6)))
        assert len(found.rows) == 6
        for row in found.rows:
            assert sum(value or 0.0 for value in row.given) == pytest.approx(row.item.blended)
            assert row.item.rank_by_score is None or row.moved == row.item.rank_by_score - row.item.rank
        longest = max(row.item.blended for row in found.rows)
        shares = [sum(part.share_percent for part in row.slices) for row in found.rows]
        assert shares == pytest.approx([100 * row.item.blended / longest for row in found.rows], abs=0.1)
        weights = recommend(RecommendationRequest(trained_shop.store, "home", shopper)).trace.weights  # type: ignore[union-attr]
        assert {text.name: weight for text, weight in found.strategies}.items() <= weights.items()

    def test_the_page_shows_a_picture_a_table_and_what_was_known(self, home: Placement, tuner: Staff) -> None:
        page = tuner.client.get(trace(home), {"as": "browsing"}).content.decode()
        assert page.count('class="shelf-trace__row"') == 8
        assert "The same as a table" in page
        assert "2 (1 to 4 interactions)" in page
        assert "made for the shopper" in page
        everybody = tuner.client.get(trace(home), {"as": "everybody"}).content.decode()
        assert "the same for everybody: nothing of a shopper was used" in everybody

    def test_this_browser_sees_its_own_shelf(self, trained_shop: Shop, home: Placement, tuner: Staff) -> None:
        visitor, _ = consenting_visitor(trained_shop.store)
        trained_shop.views(visitor, "tents-2", "tents-3", "tents-4")
        tuner.client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
        page = tuner.client.get(trace(home)).content.decode()
        assert "3 (1 to 4 interactions)" in page
        assert "Because you viewed Tents" in unescape(page)

    def test_what_cannot_be_is_said(self, home: Placement, tuner: Staff) -> None:
        for parameters, words in (
            ({"as": "nobody-we-know"}, "There is no persona"),
            ({"product_id": "gone", "as": "everybody"}, "There is no product"),
        ):
            response = tuner.client.get(trace(home), parameters)
            assert response.status_code == 200
            assert words in unescape(response.content.decode())

    def test_only_who_may_read_shelves_here(self, home: Placement, at_work: Callable[..., Staff]) -> None:
        assert Client().get(trace(home)).status_code == 302
        officer = at_work(home.store, Role.PRIVACY_OFFICER)
        assert officer.client.get(trace(home)).status_code == 403

    def test_reranking_shows_what_it_did(self, trained_shop: Shop, home: Placement, tuner: Staff) -> None:
        draft = draft_of(home.versions.get(state="published"))
        moved = replace(draft, rerank=replace(draft.rerank, confidence=50.0))
        blend_publish(version=blend_draft_save(placement=home, draft=moved, user=None), user=None)
        versions._increment(home.store_id, Part.BLEND)
        page = tuner.client.get(trace(home), {"as": "browsing"}).content.decode()
        assert "few have tried it" in page


class TestStaffBar:
    def test_staff_see_each_shelf_and_one_click_leads_to_its_trace(
        self, home: Placement, tuner: Staff
    ) -> None:
        response = tuner.client.get("/")
        page = response.content.decode()
        assert response["Cache-Control"] == "private, no-store"
        assert page.count('class="etalage-staff"') == 1
        links = [unescape(link) for link in re.findall(r'<li><a href="([^"]+/trace/[^"]*)"', page)]
        assert trace(home) in [link.partition("?")[0] for link in links]
        assert page.rstrip().endswith("</body></html>") or "</aside>" in page.split("</body>")[0]
        for link in links:
            assert tuner.client.get(link).status_code == 200

    def test_nobody_else_sees_it_and_their_page_is_untouched(
        self, home: Placement, tuner: Staff, at_work: Callable[..., Staff], settings: Any
    ) -> None:
        others = {
            "nobody": Client(),
            "officer": at_work(home.store, Role.PRIVACY_OFFICER).client,
            "of another store": at_work(None).client,
        }
        pages = {who: client.get("/") for who, client in others.items()}
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("StaffBar")]
        for who, client in others.items():
            without = client.get("/")
            assert "etalage-staff" not in pages[who].content.decode(), who
            assert _steady(pages[who].content) == _steady(without.content), who
            assert pages[who]["Cache-Control"] == without["Cache-Control"], who
        assert "s-maxage" in pages["nobody"]["Cache-Control"]
        assert b"etalage-staff" not in tuner.client.get("/").content

    def test_pages_without_shelves_have_none(self, home: Placement, tuner: Staff) -> None:
        assert b"etalage-staff" not in tuner.client.get("/healthz").content
        assert b"etalage-staff" not in tuner.client.get(reverse("admin:index")).content


def _steady(page: bytes) -> str:
    """Without what differs from request to request: tokens and ids."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|etalage-[a-z-]+-[0-9a-f]{8}", "", page.decode())
    return re.sub(r'(csrfmiddlewaretoken" value|nonce|data-token|data-grant|token)="[^"]*"', "", text)


def test_a_rule_is_named_in_the_trace(trained_shop: Shop, home: Placement) -> None:
    MerchandisingRule.all_stores.create(
        store=home.store, name="Own brand", action="boost", brand=trained_shop.brands[0], factor=3.0
    )
    versions._increment(home.store_id, Part.BLEND)
    shelf = recommend(RecommendationRequest(home.store, "home", limit=8))
    assert any("Own brand (boost × 3)" in row.item.rules for row in traced(shelf).rows)
