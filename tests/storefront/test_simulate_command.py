from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Customer, Store, Visitor
from consent.models import ConsentState, DataSubjectRequest
from recommendations.models import Impression
from recommendations.serving.browser import forget_store
from recommendations.stages.control import in_control_group
from storefront.models import ShopAccount, ShopOrder
from tests.factories import ProductFactory, StoreFactory
from tracking.models import DiscardCount, Event, Order, QuarantinedEvent, Session

# Alone: it folds what it committed, and open transactions of other tests on the server would hold that back.
pytestmark = [pytest.mark.alone, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Store:
    settings.DATA_DIR = tmp_path
    settings.ETALAGE_MEDIA_DIR = tmp_path / "media"
    settings.ETALAGE_STOREFRONT_STORE = "demo"
    forget_store()
    call_command("seed_demo", stdout=StringIO())
    return Store.objects.get(slug="demo")


def simulate(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("simulate", "--shoppers", "120", "--days", "12", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_a_crowd_is_taken_in_whole_and_once(store: Store) -> None:
    report = simulate()
    events = report["events"]
    assert events["quarantined"] == 0
    assert events["duplicates"] == 0
    assert events["stored"] > 1500
    assert (
        events["discarded"] == sum(DiscardCount.objects.for_store(store).values_list("count", flat=True)) > 0
    )
    assert not QuarantinedEvent.objects.for_store(store).exists()
    # Some of what was stored went with the requests that were carried out.
    remaining = Event.objects.for_store(store)
    assert 0.7 * events["stored"] < remaining.count() <= events["stored"]
    assert Session.objects.for_store(store).filter(is_bot=False).exists()
    assert Session.objects.for_store(store).filter(is_bot=True).exists()
    assert Order.objects.for_store(store).count() == report["orders"] > 0
    assert set(report["traits"]) == set(report["targets"])
    _assert_only_permitted(store)
    _assert_groups_are_those_of_serving(store)
    _assert_books_and_requests(store)


def test_a_second_time_needs_another_crowd(store: Store) -> None:
    simulate()
    count = Event.objects.for_store(store).count()
    assert simulate() == {"store": "demo", "done_before": True}
    with pytest.raises(CommandError, match="has been here"):
        simulate("--again")
    assert Event.objects.for_store(store).count() == count
    report = simulate("--again", "--seed", "2")
    assert report["events"]["duplicates"] == 0
    assert Event.objects.for_store(store).count() == count + report["events"]["stored"]


def _assert_only_permitted(store: Store) -> None:
    """Every recognised browser has agreed to something; whoever refused is in no table of shoppers."""
    permitted = {
        state.subject[2:]
        for state in ConsentState.objects.for_store(store)
        if state.granted & 6 and state.subject.startswith("v:")
    }
    recognised = set(Visitor.objects.for_store(store).values_list("anonymous_id", flat=True))
    assert recognised
    assert recognised <= permitted
    unrecognised = Event.objects.for_store(store).filter(visitor=None)
    assert set(unrecognised.values_list("name", flat=True)) <= {
        "Order Completed",
        "Order Refunded",
        "Order Cancelled",
    }


def _assert_groups_are_those_of_serving(store: Store) -> None:
    shown = (
        Impression.objects.for_store(store)
        .exclude(customer=None)
        .values_list("customer_id", "variant")
        .distinct()
    )
    groups: dict[int, set[str]] = {}
    for customer_id, variant in shown:
        groups.setdefault(customer_id, set()).add(variant)
    assert len(groups) > 10
    for customer_id, variants in groups.items():
        is_control = in_control_group(store.pk, f"c:{customer_id}", store.holdout_share)
        assert variants == {"control" if is_control else "personalised"}


def _assert_books_and_requests(store: Store) -> None:
    mara = ShopAccount.objects.for_store(store).get(user__email="mara@demo.example")
    for order in ShopOrder.objects.for_store(store).filter(account=mara):
        told = Order.objects.for_store(store).get(order_id=order.number)
        assert (told.customer, told.total_minor_units) == (mara.customer, order.total_minor_units)
    states = set(DataSubjectRequest.objects.for_store(store).values_list("kind", "state"))
    assert {
        ("erasure", "complete"),
        ("erasure", "pending"),
        ("erasure", "denied"),
        ("access", "complete"),
    } <= states
    assert Customer.objects.for_store(store).filter(external_id__startswith="sim1-").exists()


def test_a_real_shop_is_never_given_made_up_shoppers(db: None) -> None:
    StoreFactory(slug="real")
    ProductFactory.create_batch(10, store=Store.objects.get(slug="real"))
    with pytest.raises(CommandError, match="not marked as simulated"):
        call_command("simulate", "--store", "real")
    assert not Event.all_stores.exists()


@pytest.mark.parametrize(
    "arguments", [["--shoppers", "0"], ["--days", "0"], ["--days", "9999"], ["--store", "none"]]
)
def test_nonsense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("simulate", *arguments)
    assert not Event.all_stores.exists()
