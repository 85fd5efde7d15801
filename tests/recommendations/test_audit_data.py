"""`audit_data`: what a store's data can carry, and why not more."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Store
from algorithms import STRATEGIES
from algorithms.data_facts import Spread
from algorithms.needs import Readiness
from recommendations.selectors.data_audit import data_audit, spread_as_json, strategy_verdicts
from recommendations.stages.shop_strategies import SHOP_NEEDS, SHOP_STRATEGIES
from tests.factories import CategoryFactory, ProductFactory, StoreFactory
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages

# Folds read what is committed for everybody.
# What sources tell is counted below the oldest transaction that still runs, of the whole server.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]


@pytest.fixture
def store(transactional_db: None) -> Store:
    return StoreFactory(slug="shop")


def told(*arguments: str) -> str:
    out = io.StringIO()
    call_command("audit_data", *arguments, stdout=out)
    return out.getvalue()


def shop(store: Store) -> None:
    """Two products of a category on sale. Two visitors look at both, one of them buys both and a third that nobody sells."""
    category = CategoryFactory(store=store)
    for product in ("p1", "p2"):
        ProductFactory(store=store, external_id=product, category=category)
    at = timezone.now() - timedelta(days=2)
    messages = [
        viewed(product, visitor, timestamp=at + timedelta(seconds=n))
        for visitor in ("a", "b")
        for n, product in enumerate(("p1", "p2"))
    ]
    lines = [{"product_id": product, "quantity": 1, "price": 5} for product in ("p1", "p2", "gone")]
    messages.append(
        order_completed("o1", "a", timestamp=at + timedelta(minutes=1), properties={"products": lines})
    )
    ingest_messages(store, make_key(store)[0], messages, received_at=at + timedelta(minutes=2))
    fold_new_events(store)


def test_facts_are_of_what_training_would_learn_from(store):
    shop(store)
    audit = data_audit(store)
    # Four looks and three lines may be used; the line of the product that is gone is not learned from.
    assert (audit.permitted, audit.in_catalogue, audit.unknown_products) == (7, 6 / 7, [("gone", 1)])
    assert (audit.facts.interactions, audit.facts.people, audit.facts.items_met) == (6, 2, 2)
    assert (audit.facts.density, audit.facts.baskets_of_several, audit.obstacle) == (1.0, 1, "")
    assert audit.catalogue.fill["category"] == 1.0
    assert audit.coverage.present == {"Product Viewed": 4, "Order Completed": 1}


def test_every_strategy_is_judged_once_and_with_a_reason(store):
    shop(store)
    verdicts = {verdict.name: verdict for verdict in data_audit(store).strategies}
    assert verdicts.keys() == {*STRATEGIES, *SHOP_STRATEGIES}
    assert verdicts["recently_viewed"].readiness is Readiness.READY
    together = verdicts["bought_together"]
    assert (together.readiness, together.lacks) == (
        Readiness.THIN,
        ["1 orders of two products or more; 200 would be enough"],
    )
    again = verdicts["repurchase"]
    assert (again.readiness, again.lacks) == (
        Readiness.IMPOSSIBLE,
        ["0 products that a person bought again in a later order; needs 1"],
    )
    assert all(
        bool(verdict.lacks) == (verdict.readiness is not Readiness.READY) for verdict in verdicts.values()
    )


def test_strategies_of_the_shop_say_what_they_need_too():
    assert SHOP_NEEDS.keys() == SHOP_STRATEGIES.keys()
    assert {verdict.readiness for verdict in strategy_verdicts({})} == {Readiness.IMPOSSIBLE}


def test_without_a_catalogue_the_log_is_told_and_nothing_can_be_learned(store):
    at = timezone.now() - timedelta(days=1)
    ingest_messages(store, make_key(store)[0], [viewed("p1", timestamp=at), viewed("p2", timestamp=at)])
    audit = data_audit(store)
    assert "import products first" in audit.obstacle
    assert (audit.facts.interactions, audit.facts.items_met, audit.in_catalogue) == (2, 2, 0.0)
    assert {verdict.readiness for verdict in audit.strategies} == {Readiness.IMPOSSIBLE}


def test_what_may_not_be_used_is_not_counted(store):
    ProductFactory(store=store, external_id="p1")
    key, _ = make_key(store, declared_purposes=["analytics"])
    ingest_messages(store, key, [viewed("p1", timestamp=timezone.now())])
    audit = data_audit(store)
    assert (audit.permitted, audit.facts.interactions) == (0, 0)
    assert audit.obstacle.startswith("No shopper permits us")


def test_the_command_tells_people_and_programmes(store):
    shop(store)
    text = told("--store", "shop")
    assert "7 interactions may be used, 85.7 % with products of the catalogue" in text
    assert "missing: identify (one customer over several browsers)" in text
    assert "thin  bought_together" in text
    report = json.loads(told("--store", "shop", "--json"))
    # Two people: nothing of what they did leaves, as a number or as a quantile.
    assert report["facts"]["people"] is None
    assert report["facts"]["interactions"] is None
    assert set(report["facts"]["per_person"].values()) == {None}
    assert report["unknown_products"] == {"gone": None}
    assert report["facts"]["items"] == 2
    # Interactions of a product: three each.
    assert report["facts"]["per_item"] == {
        "mean": 3.0, "p0": 3.0, "p25": 3.0, "p50": 3.0, "p75": 3.0, "p90": 3.0, "p99": 3.0, "p100": 3.0, "gini": 0.0,
    }  # fmt: skip
    assert report["strategies"]["als"]["readiness"] == "impossible"
    assert report["strategies"]["als"]["needs"][0] == {
        "fact": "people_of_several",
        "least": 10,
        "enough": 500,
    }
    with pytest.raises(CommandError, match="There is no store"):
        told("--store", "none")


def test_quantiles_of_people_stand_on_ten_people_on_either_side():
    spread = Spread(3.0, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 90.0), 0.4)
    assert set(spread_as_json(spread, 9).values()) == {None}
    assert [name for name, value in spread_as_json(spread, 10).items() if value] == ["mean", "gini"]
    assert [name for name, value in spread_as_json(spread, 40).items() if value] == [
        "mean", "p25", "p50", "p75", "gini",
    ]  # fmt: skip
    of_many = spread_as_json(spread, 1000)
    assert (of_many["p0"], of_many["p99"], of_many["p100"]) == (None, 6.0, None)
    assert spread_as_json(spread)["p100"] == 90.0


def test_all_stores(store):
    StoreFactory(slug="second")
    assert [json.loads(line)["store"] for line in told("--all", "--json").splitlines()] == ["second", "shop"]
