"""What a shopper sees: from the log, their consent and the merchandiser's settings to a shelf."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import shopper_changes, valkey
from accounts.models import IdentityLink
from catalog.models import Product
from catalog.services.products import ProductInput, products_upsert
from profiles import store as profile_store
from recommendations.models import Density, ForgottenProduct, ModelVersion, Placement
from recommendations.pipeline import recommend
from recommendations.services.model_publish import CannotPublish, model_publish, model_roll_back
from recommendations.services.product_forget import product_forget
from recommendations.serving import store_state, versions
from recommendations.serving.versions import Part
from recommendations.shelf import (
    InvalidLimit,
    RecommendationRequest,
    Shelf,
    Shopper,
    UnknownCategory,
    UnknownPlacement,
    UnknownProduct,
)
from recommendations.training.run import train
from segments.models import Segment, SegmentMembership
from tests.factories import UserFactory, VisitorFactory
from tests.recommendations.shop import Shop, consenting_customer, consenting_visitor, decide, fill_log


def ask(shop: Shop, shopper: Shopper | None = None, placement: str = "home", **fields: Any) -> Shelf:
    return recommend(RecommendationRequest(shop.store, placement, *([shopper] if shopper else []), **fields))


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = monotonic() + seconds
    while not holds():
        assert monotonic() < end, "it did not come about in time"
        sleep(0.01)


def test_the_shelf_follows_what_was_just_looked_at(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    before = ask(trained_shop, shopper, limit=6)
    trained_shop.views(visitor, "tents-2", "tents-3")

    after = ask(trained_shop, shopper, limit=6)

    assert before.heading == "Popular right now"
    assert (after.heading, after.variant, after.fallback, after.personalised) == (
        "For you",
        "personalised",
        None,
        True,
    )
    assert {item.product.category_name for item in after.items[:4]} == {"Tents"}
    assert before.product_ids != after.product_ids
    assert after.items[0].reason.text in ("Because you viewed Tents 2", "Because you viewed Tents 3")
    assert after.items[0].reason.trigger in ("tents-2", "tents-3")
    assert [item.rank for item in after.items] == [1, 2, 3, 4, 5, 6]
    assert after.model_version == 1


def test_the_same_question_has_the_same_answer(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "boots-1", "kettles-2")
    first, second = ask(trained_shop, shopper), ask(trained_shop, shopper)
    assert first.product_ids == second.product_ids
    assert first.request_id != second.request_id


def test_contributions_add_up_to_the_score(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "boots-1", "boots-2")
    for item in ask(trained_shop, shopper).items:
        assert sum(item.strategies.values()) == pytest.approx(item.score, abs=1e-5)


def test_vips_and_new_visitors_get_different_shelves(trained_shop: Shop) -> None:
    store = trained_shop.store
    vip_segment = Segment.objects.create(store=store, slug="vip", name="VIP", kind="cluster", priority=1)
    trained_shop.set_weights("home", {"trending": 1.0})
    trained_shop.set_weights("home", {"content": 1.0}, segment=vip_segment)
    vip, vip_shopper = consenting_visitor(store)
    new, new_shopper = consenting_visitor(store)
    for visitor in (vip, new):
        trained_shop.views(visitor, "lamps-4")
    SegmentMembership.objects.create(store=store, segment=vip_segment, visitor=vip, since=datetime.now(UTC))

    of_vip, of_new = ask(trained_shop, vip_shopper, limit=5), ask(trained_shop, new_shopper, limit=5)

    assert of_vip.trace is not None
    assert of_new.trace is not None
    assert (of_vip.trace.weights_source, of_new.trace.weights_source) == ("segment VIP", "everybody")
    assert {item.strategy for item in of_vip.items} == {"content"}
    assert {item.strategy for item in of_new.items} == {"trending"}
    assert of_vip.product_ids != of_new.product_ids


def test_weights_depend_on_how_much_is_known(trained_shop: Shop) -> None:
    trained_shop.set_weights("home", {"content": 1.0})
    trained_shop.set_weights("home", {"trending": 1.0}, density=Density.NOTHING)
    visitor, shopper = consenting_visitor(trained_shop.store)
    assert ask(trained_shop, shopper).items[0].strategy == "trending"
    trained_shop.views(visitor, "tents-1")
    assert ask(trained_shop, shopper).items[0].strategy == "content"


def test_without_consent_nothing_of_the_shopper_is_used(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    decide(trained_shop.store, f"v:{visitor.anonymous_id}", 1)  # necessary only, from now on
    shopper_changes.changed(trained_shop.store.pk, anonymous_ids=[visitor.anonymous_id])

    refused, nobody = ask(trained_shop, shopper), ask(trained_shop)

    assert (refused.variant, refused.personalised) == ("non_personal", False)
    assert refused.product_ids == nobody.product_ids
    assert refused.trace is not None
    assert refused.trace.known_interactions == 0


def test_a_withdrawal_is_obeyed_by_the_next_page(
    trained_shop: Shop, django_capture_on_commit_callbacks: Any
) -> None:
    """Also where Valkey holds what the database said a moment ago."""
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    assert ask(trained_shop, shopper).personalised
    with django_capture_on_commit_callbacks(execute=True):
        decide(trained_shop.store, f"v:{visitor.anonymous_id}", 1)
        shopper_changes.changed(trained_shop.store.pk, anonymous_ids=[visitor.anonymous_id])
    assert ask(trained_shop, shopper).variant == "non_personal"


def test_global_privacy_control_and_a_pause_are_obeyed(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    paused = Shopper(anonymous_id=visitor.anonymous_id, has_paused=True)
    assert ask(trained_shop, shopper).personalised
    assert ask(trained_shop, paused).variant == "non_personal"


def test_a_customer_has_the_history_of_all_their_browsers(trained_shop: Shop) -> None:
    store = trained_shop.store
    customer, shopper = consenting_customer(store)
    for n, product in enumerate(("tents-1", "tents-2")):
        visitor, _ = consenting_visitor(store)
        trained_shop.views(visitor, product, minutes_ago=10 - n)
        IdentityLink.objects.create(
            store=store,
            visitor=visitor,
            customer=customer,
            valid_from=datetime.now(UTC) - timedelta(days=1),
            source="login",
        )
    shelf = ask(trained_shop, shopper)
    assert shelf.trace is not None
    assert shelf.trace.known_interactions == 2


def test_what_cannot_be_had_is_not_shown_from_the_next_request_on(
    trained_shop: Shop, django_capture_on_commit_callbacks: Any
) -> None:
    first = ask(trained_shop).items[0].product
    with django_capture_on_commit_callbacks(execute=True):
        products_upsert(store=trained_shop.store, products=[_input(first.external_id, stock=0)])
    assert first.external_id not in ask(trained_shop, limit=100).product_ids


def test_prices_are_true_when_the_shelf_is_served(
    trained_shop: Shop, django_capture_on_commit_callbacks: Any
) -> None:
    first = ask(trained_shop).items[0].product
    with django_capture_on_commit_callbacks(execute=True):
        products_upsert(store=trained_shop.store, products=[_input(first.external_id, stock=3, price=777)])
    shown = {item.product.external_id: item.product for item in ask(trained_shop, limit=100).items}
    assert shown[first.external_id].price_minor_units == 777


def test_a_product_imported_a_moment_ago_is_recommendable(
    trained_shop: Shop, django_capture_on_commit_callbacks: Any
) -> None:
    assert "fresh" not in ask(trained_shop, placement="new").product_ids
    with django_capture_on_commit_callbacks(execute=True):
        products_upsert(store=trained_shop.store, products=[_input("fresh", stock=3)])
    shelf = ask(trained_shop, placement="new")
    assert shelf.product_ids == ("fresh",)
    assert shelf.items[0].reason.code == "new"


def test_a_deleted_product_is_gone(trained_shop: Shop) -> None:
    first = ask(trained_shop).items[0].product
    Product.objects.for_store(trained_shop.store).filter(pk=first.pk).delete()
    versions._increment(trained_shop.store.pk, Part.CATALOGUE)
    assert first.external_id not in ask(trained_shop, limit=100).product_ids


def _input(external_id: str, *, stock: int | None, price: int = 1000) -> ProductInput:
    return ProductInput(
        external_id=external_id,
        name=external_id.title(),
        price_minor_units=price,
        currency="EUR",
        category=("Tents",),
        stock=stock,
        url=f"/p/{external_id}/",
    )


def test_what_was_bought_is_left_out(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    bought = ask(trained_shop, shopper).product_ids[0]
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    trained_shop.buys(visitor, bought)
    shelf = ask(trained_shop, shopper, limit=100)
    assert bought not in shelf.product_ids
    assert shelf.trace is not None
    assert shelf.trace.filtered["purchased"] == 1


def test_what_the_page_shows_is_left_out_with_its_variants(trained_shop: Shop) -> None:
    Product.objects.for_store(trained_shop.store).filter(external_id__in=["tents-4", "tents-5"]).update(
        variant_group="family"
    )
    shelf = ask(
        trained_shop,
        placement="similar",
        product_id="tents-3",
        cart=("tents-1",),
        exclude=("tents-4",),
        limit=100,
    )
    assert not {"tents-1", "tents-3", "tents-4", "tents-5"} & set(shelf.product_ids)
    assert len(shelf.items) == 36


def test_one_variant_of_a_family_stands_on_a_shelf(trained_shop: Shop) -> None:
    Product.objects.for_store(trained_shop.store).filter(external_id__startswith="tents-").update(
        variant_group="tent"
    )
    shown = ask(trained_shop, placement="trending", limit=100).product_ids
    assert len([product_id for product_id in shown if product_id.startswith("tents-")]) == 1
    assert len(shown) == 31


def test_not_this_takes_a_product_off_the_next_page(
    trained_shop: Shop, django_capture_on_commit_callbacks: Any
) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    unwanted = ask(trained_shop, shopper).product_ids[0]
    with django_capture_on_commit_callbacks(execute=True):
        assert product_forget(store=trained_shop.store, shopper=shopper, product_id=unwanted)
    assert unwanted not in ask(trained_shop, shopper, limit=100).product_ids
    # It says nothing about their taste any more either.
    with django_capture_on_commit_callbacks(execute=True):
        product_forget(store=trained_shop.store, shopper=shopper, product_id="tents-2")
    shelf = ask(trained_shop, shopper)
    assert shelf.trace is not None
    assert shelf.trace.known_interactions == 1


def test_not_this_is_not_remembered_of_who_refused(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    decide(trained_shop.store, f"v:{visitor.anonymous_id}", 1)
    assert not product_forget(store=trained_shop.store, shopper=shopper, product_id="tents-2")
    assert not ForgottenProduct.objects.for_store(trained_shop.store).exists()


def test_a_category_shelf_holds_its_subtree_only(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "boots-3")
    shelf = ask(trained_shop, shopper, placement="category", category="boots", limit=100)
    assert {item.product.category_name for item in shelf.items} == {"Boots"}
    assert len(shelf.items) == 10


def test_the_control_group_gets_popular_products(trained_shop: Shop) -> None:
    trained_shop.store.holdout_share = 1.0
    trained_shop.store.save()
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    shelf = ask(trained_shop, shopper)
    _other, other_shopper = consenting_visitor(trained_shop.store)
    assert (shelf.variant, shelf.personalised, shelf.fallback) == ("control", False, None)
    assert shelf.product_ids == ask(trained_shop, other_shopper).product_ids
    wanted = [item.product.external_id for item in shelf.items]
    values = store_state.of_store(trained_shop.store.pk).snapshot.assortment.standing.values  # type: ignore[union-attr]
    places = store_state.of_store(trained_shop.store.pk).snapshot.assortment.places(wanted)  # type: ignore[union-attr]
    assert list(values[places]) == sorted(values[places], reverse=True)


def test_a_late_shelf_falls_back_and_says_so(trained_shop: Shop) -> None:
    ask(trained_shop)
    Placement.objects.for_store(trained_shop.store).filter(slug="home").update(deadline_ms=0)
    versions._increment(trained_shop.store.pk, Part.BLEND)
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    shelf = ask(trained_shop, shopper)
    assert (shelf.fallback, shelf.personalised, shelf.heading) == ("deadline", False, "Popular right now")
    assert len(shelf.items) == 12


def test_without_a_model_sales_decide_then_age(busy_shop: Shop, model_dir: Path) -> None:
    visitor, _ = consenting_visitor(busy_shop.store)
    for _purchase in range(200):
        busy_shop.buys(visitor, "lamps-9")
    shelf = ask(busy_shop)
    assert (shelf.fallback, shelf.model_version) == ("no_model", None)
    assert shelf.product_ids[0] == "lamps-9"
    assert len(shelf.items) == 12


def test_without_its_model_folder_the_shop_still_answers(trained_shop: Shop, model_dir: Path) -> None:
    shutil.rmtree(model_dir)
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    shelf = ask(trained_shop, shopper)
    assert (shelf.fallback, shelf.model_version, len(shelf.items)) == ("no_model", None, 12)


def test_a_process_that_has_the_model_keeps_it_when_its_folder_goes(
    trained_shop: Shop, model_dir: Path
) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    ask(trained_shop, shopper)
    shutil.rmtree(model_dir)
    shelf = ask(trained_shop, shopper)
    assert (shelf.fallback, shelf.model_version, shelf.personalised) == (None, 1, True)


def test_an_altered_model_is_not_served(trained_shop: Shop, model_dir: Path) -> None:
    path = next(model_dir.rglob("popular/mass.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert ask(trained_shop).fallback == "no_model"


def test_without_valkey_the_log_tells_what_the_shopper_did(trained_shop: Shop, settings: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{free.getsockname()[1]}/0"
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    shelf = ask(trained_shop, shopper)
    assert (shelf.personalised, shelf.fallback) == (True, None)
    assert shelf.items[0].product.category_name == "Tents"
    assert valkey.breaker.is_open or valkey.call(lambda client: client.ping(), False) is False


def test_a_warm_request_asks_the_database_nothing(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    profile_store.mark_complete(trained_shop.store.pk)
    _customer, customer_shopper = consenting_customer(trained_shop.store)
    for who in (shopper, customer_shopper, None):
        ask(trained_shop, who)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            ask(trained_shop, who)
            ask(trained_shop, who, placement="similar", product_id="tents-1")
        assert [query["sql"] for query in queries.captured_queries] == []


def test_a_first_request_of_a_visitor_asks_a_fixed_number_of_queries(
    trained_shop: Shop, django_assert_num_queries: Any
) -> None:
    ask(trained_shop)
    profile_store.mark_complete(trained_shop.store.pk)
    _visitor, shopper = consenting_visitor(trained_shop.store)
    # Visitor, its customer, the gate, segments, what a newcomer is in (2), purchases, forgotten products.
    with django_assert_num_queries(8):
        ask(trained_shop, shopper)


def test_interests_that_a_customer_stated_count_from_the_first_visit(trained_shop: Shop) -> None:
    trained_shop.set_weights("home", {"interests": 1.0, "trending": 0.1})
    _customer, shopper = consenting_customer(
        trained_shop.store,
        interests=[{"kind": "category", "value": "kettles"}, {"kind": "brand", "value": "brand-2"}],
    )
    shelf = ask(trained_shop, shopper, limit=6)
    assert all(
        item.product.category_name == "Kettles" or item.product.brand_name == "Brand 2"
        for item in shelf.items
    )
    assert shelf.items[0].reason.text.startswith("You told us that you like")


def test_own_history_is_optional_and_says_so(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    nothing = ask(trained_shop, shopper, placement="recently-viewed")
    trained_shop.views(visitor, "tents-2", "boots-3")
    own = ask(trained_shop, shopper, placement="recently-viewed")
    assert (nothing.is_optional, nothing.stands_in, nothing.fallback, len(nothing.items)) == (
        True,
        True,
        "nothing_known",
        12,
    )
    assert (own.stands_in, own.product_ids, own.heading) == (False, ("boots-3", "tents-2"), "Recently viewed")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"placement": "hall"}, UnknownPlacement),
        ({"product_id": "unicorn"}, UnknownProduct),
        ({"category": "unicorns"}, UnknownCategory),
        ({"limit": -1}, InvalidLimit),
        ({"limit": 0}, InvalidLimit),
        ({"limit": 101}, InvalidLimit),
    ],
)
def test_what_is_not_there_is_refused(
    trained_shop: Shop, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask(trained_shop, **fields)


def test_a_new_version_goes_live_without_a_restart(
    trained_shop: Shop, django_capture_on_commit_callbacks: Any
) -> None:
    fill_log(trained_shop)
    ask(trained_shop)
    with django_capture_on_commit_callbacks(execute=True):
        second = train(trained_shop.store, recipe={"popular": {}, "trending": {}}).version
        if second.state != ModelVersion.State.LIVE:
            model_publish(version=second, actor=UserFactory(), reason="test")
    eventually(lambda: ask(trained_shop).model_version == 2)
    with pytest.raises(CannotPublish, match="live already"):
        model_publish(
            version=ModelVersion.objects.for_store(trained_shop.store).get(number=2),
            actor=UserFactory(),
            reason="again",
        )
    with django_capture_on_commit_callbacks(execute=True):
        assert model_roll_back(store_id=trained_shop.store.pk, actor=UserFactory()).number == 1
    eventually(lambda: ask(trained_shop).model_version == 1)


def test_a_visitor_is_recognised_with_their_first_event(trained_shop: Shop) -> None:
    """Their first page asked for a shelf before its events had been stored."""
    shopper = Shopper(anonymous_id="new-here")
    decide(trained_shop.store, "v:new-here", 7)
    assert ask(trained_shop, shopper).variant == "non_personal"
    visitor = VisitorFactory(store=trained_shop.store, anonymous_id="new-here")
    trained_shop.views(visitor, "tents-2")
    assert ask(trained_shop, shopper).personalised


def test_the_home_page_discovers_unless_everything_was_seen(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    assert not {"tents-2", "tents-3"} & set(ask(trained_shop, shopper, limit=38).product_ids)
    # 39 places cannot be filled without them.
    assert {"tents-2", "tents-3"} <= set(ask(trained_shop, shopper, limit=40).product_ids)
