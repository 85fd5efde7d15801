"""Each reason that a shopper reads is true of the data that the shelf was made from."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from catalog.models import Product
from recommendations.model_store.lately import WEEK_SECONDS, people_of_week
from recommendations.pipeline import recommend
from recommendations.serving import store_state, versions
from recommendations.serving.versions import Part
from recommendations.shelf import RecommendationRequest, ShelfItem
from recommendations.training.catching_up import catch_up
from tests.factories import VisitorFactory
from tests.recommendations.shop import Shop, consenting_visitor, visits

PEOPLE_OF_WEEK = Counter(
    product
    for product, _visitor in {(p, v.visitor) for v in visits() for p in v.products if v.days_ago < 7.0}
)


def items(shop: Shop, placement: str, **fields: object) -> tuple[ShelfItem, ...]:
    return recommend(RecommendationRequest(shop.store, placement, limit=40, **fields)).items  # type: ignore[arg-type]


def test_because_you_viewed_names_what_was_viewed_and_bought_what_was_bought(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3", "boots-1")
    reasons = [item.reason for item in items(trained_shop, "home", shopper=shopper)]
    because = [reason for reason in reasons if reason.code == "viewed"]
    assert because
    names = {product_id: product.name for product_id, product in trained_shop.products.items()}
    for reason in because:
        assert reason.trigger in {"tents-2", "tents-3", "boots-1"}
        assert reason.text == f"Because you viewed {names[reason.trigger]}"
    assert not [reason for reason in reasons if reason.code == "bought"]


def test_often_bought_with_was_bought_with_it_more_than_once(trained_shop: Shop) -> None:
    """The visits that bought: their first two products are one basket."""
    baskets = [frozenset(visit.products[:2]) for visit in visits() if visit.bought]
    trained_shop.set_weights("bought-together", {"bought_together": 1.0})
    for page in ("tents-2", "boots-4", "kettles-7"):
        for item in items(trained_shop, "bought-together", product_id=page):
            if item.reason.code == "bought_together":
                both = sum({page, item.product.external_id} <= basket for basket in baskets)
                assert both >= 2, (page, item.product.external_id)
                assert item.reason.trigger == page


def looked_at_this_week(shop: Shop, product_id: str, people: int) -> float:
    """So many new people look at it twice each, an hour from now; gives a moment at which the model has heard of it."""
    for _ in range(people):
        shop.views(VisitorFactory(store=shop.store), product_id, product_id, minutes_ago=-60)
    later = datetime.now(UTC) + timedelta(hours=3)
    assert catch_up(shop.store, later) is not None
    store_state.forget_all()
    return later.timestamp()


@pytest.mark.parametrize(("people", "is_said"), [(9, False), (10, True)])
def test_this_week_is_said_of_what_ten_people_met_this_week(
    trained_shop: Shop, people: int, is_said: bool
) -> None:
    before = PEOPLE_OF_WEEK["tents-3"]
    assert before < 9
    now = looked_at_this_week(trained_shop, "tents-3", people - before)
    shelf = items(trained_shop, "trending", now=now)
    said = [item.product.external_id for item in shelf if item.reason.text.endswith("this week")]
    assert said == (["tents-3"] if is_said else [])
    # In the upper half of its category: five of ten at most.
    per_category = Counter(item.product.category_name for item in shelf if item.reason.code == "popular")
    assert max(per_category.values()) <= 5


def test_one_person_who_looks_often_makes_nothing_popular(trained_shop: Shop) -> None:
    visitor = VisitorFactory(store=trained_shop.store)
    trained_shop.views(visitor, *["tents-3"] * 40, minutes_ago=-60)
    later = datetime.now(UTC) + timedelta(hours=3)
    assert catch_up(trained_shop.store, later) is not None
    store_state.forget_all()
    shelf = items(trained_shop, "trending", now=later.timestamp())
    assert not [item for item in shelf if item.reason.text.endswith("this week")]


def test_the_week_is_counted_from_the_visits_that_are_kept(trained_shop: Shop) -> None:
    snapshot = store_state.of_store(trained_shop.store.pk).current(versions.read(trained_shop.store.pk))
    model = snapshot.model
    assert model is not None
    counts = dict(zip(model.item_ids, people_of_week(model).tolist(), strict=True))
    # The last minutes before the edge of the week may fall on either side.
    edge = {p for visit in visits() for p in visit.products if abs(visit.days_ago - 7.0) < 0.01}
    for product_id in set(counts) - edge:
        assert counts[product_id] == PEOPLE_OF_WEEK[product_id], product_id
    assert people_of_week(model) is people_of_week(model)


def test_old_figures_are_not_of_this_week(trained_shop: Shop) -> None:
    in_three_days = (datetime.now(UTC) + timedelta(days=3)).timestamp()
    reasons = [item.reason.text for item in items(trained_shop, "trending", now=in_three_days)]
    assert [text for text in reasons if text.startswith("Popular in")]
    assert not [text for text in reasons if text.endswith("this week")]
    assert pytest.approx(7 * 86_400) == WEEK_SECONDS


def test_new_in_a_brand_you_like_is_new_and_of_a_brand_that_was_looked_at(trained_shop: Shop) -> None:
    fresh = datetime.now(UTC) - timedelta(days=2)
    Product.objects.for_store(trained_shop.store).filter(external_id__in=["lamps-8", "lamps-9"]).update(
        published_at=fresh, updated_at=datetime.now(UTC)
    )
    versions._increment(trained_shop.store.pk, Part.CATALOGUE)
    trained_shop.set_weights("new", {"new": 1.0})
    visitor, shopper = consenting_visitor(trained_shop.store)
    liked = trained_shop.products["lamps-8"].brand
    same = next(p for p in trained_shop.in_category("boots") if p.brand == liked)
    trained_shop.views(visitor, same.external_id)
    reasons = {item.product.external_id: item.reason for item in items(trained_shop, "new", shopper=shopper)}
    assert liked is not None
    assert reasons["lamps-8"].text == f"New from {liked.name}, a brand you looked at"
    assert reasons["lamps-9"].text == "New in Lamps"
    assert set(reasons) == {"lamps-8", "lamps-9"}


def test_nobody_is_told_of_what_they_did_without_their_permission(trained_shop: Shop) -> None:
    told = {item.reason.code for item in items(trained_shop, "home")}
    assert told <= {"popular", "new", "assortment"}
