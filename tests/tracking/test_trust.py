"""A browser's key is public: with it, nobody can speak for somebody else."""

from __future__ import annotations

import pytest

from accounts import vault
from accounts.models import Customer, IdentityLink
from accounts.services.signatures import sign_user_id
from profiles.reading import profile_for
from tests.factories import CustomerFactory, StoreFactory
from tests.tracking.conftest import order_completed, quarantined, stored, viewed
from tracking.folding import fold_new_events
from tracking.models import Order


@pytest.fixture
def victim(store):
    return CustomerFactory(store=store, external_id="victim", loyalty_status="gold")


def test_an_unsigned_customer_id_is_ignored_and_the_event_stays_the_visitors(browser_sender, store, victim):
    browser_sender.batch(viewed(userId="victim"))
    event = stored(store)[0]
    assert (event.visitor.anonymous_id, event.customer) == ("anon-1", None)
    assert profile_for(store, customer=victim).is_empty


@pytest.mark.parametrize("signature", [None, "", "0" * 64, 5, ["x"]])
def test_identify_alias_and_group_need_the_shops_signature(browser_sender, store, victim, signature):
    context = {"signature": signature}
    browser_sender.batch(
        {
            "type": "identify",
            "userId": "victim",
            "anonymousId": "anon-1",
            "messageId": "m1",
            "context": context,
        },
        {"type": "alias", "userId": "victim", "previousId": "anon-1", "messageId": "m2", "context": context},
        {"type": "group", "userId": "victim", "anonymousId": "anon-1", "messageId": "m3", "context": context},
        viewed(anonymous_id=None, userId="victim", messageId="m4", context=context),
    )
    assert quarantined(store) == dict.fromkeys(["m1", "m2", "m3", "m4"], "unsigned_user_id")
    assert not stored(store)
    assert not IdentityLink.objects.for_store(store).exists()


def test_a_signature_is_for_one_id_of_one_store(browser_sender, store, victim):
    for signature in (sign_user_id(store, "somebody"), sign_user_id(StoreFactory(), "victim")):
        browser_sender.batch(viewed(anonymous_id=None, userId="victim", context={"signature": signature}))
    assert not stored(store)


def test_a_signed_customer_is_believed(browser_sender, store, victim):
    context = {"signature": sign_user_id(store, "victim")}
    browser_sender.batch(
        {"type": "identify", "userId": "victim", "anonymousId": "anon-1", "context": context}
    )
    assert stored(store)[0].customer == victim
    assert IdentityLink.objects.for_store(store).get().customer == victim


def test_traits_from_a_browser_overwrite_nothing_and_reach_no_vault(browser_sender, sender, store, victim):
    sender.batch(
        {
            "type": "identify",
            "userId": "victim",
            "traits": {"loyaltyStatus": "silver", "email": "v@shop.example"},
        }
    )
    context = {"signature": sign_user_id(store, "victim")}
    traits = {"loyaltyStatus": "platinum", "email": "thief@shop.example", "gender": "f"}
    browser_sender.batch(
        {"type": "identify", "userId": "victim", "anonymousId": "a", "context": context, "traits": traits}
    )
    victim = Customer.objects.for_store(store).get()
    assert (victim.loyalty_status, victim.gender) == ("silver", "female")
    assert vault.get(victim, "email") == "v@shop.example"


def test_an_order_told_by_a_browser_is_unconfirmed_until_the_shops_server_tells_it(
    browser_sender, sender, store
):
    browser_sender.batch(order_completed(messageId="b", properties={"total": 1}))
    fold_new_events(store)
    assert Order.objects.for_store(store).get().status == Order.Status.UNCONFIRMED
    sender.batch(order_completed(messageId="s", properties={"total": 30.5}))
    fold_new_events(store)
    order = Order.objects.for_store(store).get()
    assert (order.status, order.total_minor_units) == (Order.Status.COMPLETED, 3050)


def test_a_browser_cannot_refund_or_cancel(browser_sender, sender, store):
    sender.batch(order_completed())
    for event in ("Order Refunded", "Order Cancelled", "Order Updated"):
        browser_sender.batch(order_completed(event=event, properties={"total": 0.5}))
    fold_new_events(store)
    order = Order.objects.for_store(store).get()
    assert (order.status, order.total_minor_units, order.refunded_minor_units) == (
        Order.Status.COMPLETED,
        3050,
        0,
    )
