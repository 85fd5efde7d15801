"""Shelves that hang on nothing a shopper did are shared between shoppers; all others never are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consent.models import ConsentState
from recommendations.models import Density
from recommendations.pipeline import open_context
from recommendations.rerank_settings import RerankSettings
from recommendations.services.product_forget import product_forget
from recommendations.serving import shelf_cache, store_state, subjects, voids
from recommendations.serving.bandits import BanditSettings
from recommendations.shelf import RecommendationRequest
from tests.recommendations.shop import Shop
from tests.recommendations.test_fast_serving import Visit


@pytest.fixture(autouse=True)
def _fresh() -> None:
    shelf_cache.forget_all()


@pytest.fixture
def visit(trained_shop: Shop) -> Visit:
    made = Visit(trained_shop)
    made.looks_at("tents-2")
    made.asks()  # their card is made
    made.asks()
    return made


@pytest.fixture
def other(visit: Visit) -> Visit:
    made = Visit(visit.shop)
    made.looks_at("boots-3", "boots-4")
    return made


ABOUT_PAGE = ("similar", "bought-together", "viewed-next")


@pytest.mark.parametrize("placement", [*ABOUT_PAGE, "trending"])
def test_shoppers_share_what_hangs_on_none_of_them(visit: Visit, other: Visit, placement: str) -> None:
    about = {} if placement == "trending" else {"product_id": "tents-2"}
    first, second = visit.asks(placement, **about), other.asks(placement, **about)
    assert second.items is first.items
    assert second.request_id != first.request_id
    assert second.variant == "personalised"
    shelf_cache.forget_all()
    assert [(item.product, item.score, item.reason) for item in other.asks(placement, **about).items] == [
        (item.product, item.score, item.reason) for item in first.items
    ], "what was shared is what they would get"


@pytest.mark.parametrize(
    "placement", ["home", "product", "cart", "category", "recently-viewed", "new", "email"]
)
def test_shoppers_share_nothing_that_hangs_on_what_they_did(
    visit: Visit, other: Visit, placement: str
) -> None:
    about = {"product": {"product_id": "tents-2"}, "cart": {"cart": ("tents-2",)}}.get(placement, {})
    other.asks()
    assert other.asks(placement, **about).items is not visit.asks(placement, **about).items


def test_who_said_not_this_gets_a_shelf_about_the_page_of_their_own(visit: Visit, other: Visit) -> None:
    shown = visit.asks("similar", product_id="tents-2").product_ids
    product_forget(store=visit.shop.store, shopper=other.shopper, product_id=shown[0])
    voids.stamp_now([subjects._stamp_key(visit.shop.store.pk, "v", other.visitor.anonymous_id)])
    assert shown[0] not in other.asks("similar", product_id="tents-2").product_ids
    assert visit.asks("similar", product_id="tents-2").product_ids == shown


def test_who_refused_shares_with_all_who_did_and_with_none_who_permits(visit: Visit, other: Visit) -> None:
    personal = visit.asks("similar", product_id="tents-2")
    ConsentState.objects.for_store(visit.shop.store).update(granted=0)
    for shopper in (visit, other):
        voids.stamp_now([subjects._stamp_key(visit.shop.store.pk, "v", shopper.visitor.anonymous_id)])
    refused = visit.asks("similar", product_id="tents-2")
    assert (refused.variant, personal.variant) == ("non_personal", "personalised")
    assert not refused.personalised
    assert other.asks("similar", product_id="tents-2").items is refused.items
    assert visit.asks().items is other.asks().items


@pytest.mark.parametrize(
    "changes",
    [
        {"excludes_purchased": True},
        {"rerank": RerankSettings(exploration=0.1)},
        {"rerank": RerankSettings(fatigue=0.2)},
        {"bandit": BanditSettings(1, 1, 1, ())},
    ],
)
def test_what_looks_at_who_asks_is_no_shelf_for_all(visit: Visit, changes: dict[str, Any]) -> None:
    visit.asks("similar", product_id="tents-2")
    snapshot = store_state.of_store(visit.shop.store.pk).snapshot
    assert snapshot is not None
    for slug in (*ABOUT_PAGE, "trending"):
        plain = snapshot.configuration.placements[slug]
        assert plain.is_alike_for_all
        assert plain.reads_profile == (slug == "trending")
        assert plain.blend is not None
        given = {"blend": replace(plain.blend, rerank=changes["rerank"])} if "rerank" in changes else changes
        assert not replace(plain, **given).is_alike_for_all
        assert replace(plain, **given).reads_profile
    trends = snapshot.configuration.placements["trending"]
    assert trends.blend is not None
    for rows in (
        {(None, Density.ANY): {"trending": 1.0, "als": 0.1}},
        {(None, Density.MUCH): {"trending": 1.0}},
    ):
        assert not replace(trends, blend=replace(trends.blend, rows=rows)).is_alike_for_all
    assert not replace(trends, fallback_heading="Another").is_alike_for_all


def test_a_shelf_about_the_page_asks_for_no_profile(
    visit: Visit, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.asks("similar", product_id="tents-2")
    asked: list[list[str]] = []
    ask = subjects._ask
    monkeypatch.setattr(
        subjects,
        "_ask",
        lambda plain, window, profile, client: asked.append(profile) or ask(plain, window, profile, client),
    )
    with django_assert_num_queries(0):
        shelf = visit.asks("similar", product_id="tents-3")
        assert asked == [[]]
        visit.asks()
        assert len(asked) == 2
        assert asked[1]
    assert shelf.personalised
    assert shelf.fallback is None


def test_previews_read_the_profile_whatever_is_published(visit: Visit) -> None:
    """A draft may look at what the published weights do not."""
    asked = RecommendationRequest(visit.shop.store, "similar", visit.shopper, product_id="tents-2")
    context, _ = open_context(asked)
    assert [entry.product_id for entry in context.profile.interactions] == ["tents-2"]
