"""What was shown in vain rests from the next page on, for who permits it; and how likely chance was is kept with the impression."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from time import time
from uuid import uuid4

import pytest

from consent.purposes import Purpose
from profiles import sightings
from profiles import store as profile_store
from profiles.sightings import Sighting
from recommendations import impressions
from recommendations.models import Impression, Placement
from recommendations.pipeline import recommend
from recommendations.services.blends import blend_draft_save, blend_publish, blend_undo, draft_of
from recommendations.serving import versions
from recommendations.serving.tokens import impression_token, read_impression_token
from recommendations.serving.versions import Part
from recommendations.shelf import NOBODY, RecommendationRequest, Shelf, Shopper
from tests.factories import VisitorFactory
from tests.recommendations.shop import Shop, consenting_visitor
from tracking.folding import LoggedEvent


def publish(shop: Shop, **parameters: float) -> Placement:
    home = Placement.objects.for_store(shop.store).get(slug="home")
    draft = draft_of(home.versions.get(state="published"))
    draft = replace(
        draft, rerank=replace(draft.rerank, **parameters), max_per_brand=None, max_per_category=None
    )
    blend_publish(version=blend_draft_save(placement=home, draft=draft, user=None), user=None)
    versions._increment(shop.store.pk, Part.BLEND)
    return home


def home_shelf(shop: Shop, shopper: Shopper = NOBODY) -> Shelf:
    return recommend(RecommendationRequest(shop.store, "home", shopper, limit=12))


def show(shop: Shop, visitor_id: int, product_id: str, times: int) -> None:
    seen = [Sighting(product_id, f"{n:08x}", None, time() - 60 + n) for n in range(times)]
    sightings.remember(shop.store.pk, {profile_store.visitor_key(visitor_id): seen})


@pytest.fixture
def visited(trained_shop: Shop) -> tuple[Shop, int, Shopper]:
    """A visitor with a profile in Valkey, on whose shelves fatigue counts."""
    visitor, shopper = consenting_visitor(trained_shop.store)
    profile_store.mark_complete(trained_shop.store.pk)
    publish(trained_shop, fatigue=1.0)
    return trained_shop, visitor.pk, shopper


def test_what_was_shown_in_vain_is_lower_on_the_next_page(visited: tuple[Shop, int, Shopper]) -> None:
    shop, visitor_id, shopper = visited
    first = home_shelf(shop, shopper).items[0]
    show(shop, visitor_id, first.product.external_id, 5)

    after = home_shelf(shop, shopper)
    again = {item.product.external_id: item for item in after.items}.get(first.product.external_id)
    assert after.items[0].product != first.product
    if again is not None:
        (move,) = [move for move in again.moves if move.code == "fatigue"]
        assert move.text == "shown 5 times and never opened"
        assert again.score == pytest.approx(first.score / 6)

    # Nobody else is concerned, and where it was taken back nobody at all.
    _, other = consenting_visitor(shop.store)
    assert home_shelf(shop, other).items[0].product == first.product
    blend_undo(placement=Placement.objects.for_store(shop.store).get(slug="home"), user=None)
    versions._increment(shop.store.pk, Part.BLEND)
    assert home_shelf(shop, shopper).items[0].product == first.product


def test_without_permission_what_is_stored_is_not_used(trained_shop: Shop) -> None:
    publish(trained_shop, fatigue=1.0)
    profile_store.mark_complete(trained_shop.store.pk)
    visitor = VisitorFactory(store=trained_shop.store)
    before = home_shelf(trained_shop, Shopper(anonymous_id=visitor.anonymous_id))
    show(trained_shop, visitor.pk, before.items[0].product.external_id, 9)
    after = home_shelf(trained_shop, Shopper(anonymous_id=visitor.anonymous_id))
    assert after.product_ids == before.product_ids
    assert all(not item.moves for item in after.items)


def test_a_product_that_was_opened_does_not_rest(visited: tuple[Shop, int, Shopper]) -> None:
    shop, visitor_id, shopper = visited
    product = home_shelf(shop, shopper).items[0].product.external_id
    show(shop, visitor_id, product, 5)
    seen = sightings.read(shop.store.pk, [profile_store.visitor_key(visitor_id)])[0]
    assert sightings.counts(seen, [product], time()) == {}


def test_chance_is_steady_for_a_shopper_and_known_of_each_impression(trained_shop: Shop) -> None:
    publish(trained_shop, exploration=0.3)
    found = None
    for _ in range(12):
        _, shopper = consenting_visitor(trained_shop.store)
        shelf, again = home_shelf(trained_shop, shopper), home_shelf(trained_shop, shopper)
        assert shelf.product_ids == again.product_ids
        found = found or next(
            ((shelf, i) for i in shelf.items if i.propensity is not None and i.propensity < 0.5), None
        )
    assert found is not None, "of 144 places some are left to chance"
    shelf, item = found
    token = impression_token(trained_shop.store.pk, shelf)
    read = read_impression_token(token)
    assert read is not None
    assert read.items[item.product.external_id].propensity == pytest.approx(item.propensity, abs=1e-6)
    impressions.apply(trained_shop.store.pk, [_viewed(trained_shop, item.product.external_id, token)])
    row = Impression.objects.for_store(trained_shop.store).get()
    assert (row.rank, row.propensity) == (item.rank, pytest.approx(item.propensity, abs=1e-6))

    # Of whom nobody knows anything nothing is left to chance: their page is everybody's.
    assert all(item.propensity is None for item in home_shelf(trained_shop).items)


def _viewed(shop: Shop, product_id: str, token: str) -> LoggedEvent:
    now = datetime.now(UTC)
    return LoggedEvent(
        id=uuid4(), message_id=uuid4().hex, type=1, name=impressions.VIEWED, visitor_id=VisitorFactory(store=shop.store).pk,
        customer_id=None, product_id=product_id, occurred_at=now, received_at=now, purposes=int(Purpose.ANALYTICS), is_bot=False,
        is_trusted=False, properties={"token": token},
    )  # fmt: skip
