from __future__ import annotations

from datetime import UTC, datetime, timedelta

from accounts import vault
from accounts.models import Customer, IdentityLink, Visitor
from accounts.selectors.identity import customer_at
from tests.factories import CustomerFactory
from tests.tracking.conftest import quarantined, stored, viewed

T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def identify(user_id, anonymous_id="anon-1", minute=0, **fields):
    at = (T0 + timedelta(minutes=minute)).isoformat()
    return {"type": "identify", "userId": user_id, "anonymousId": anonymous_id, "timestamp": at, **fields}


def links(store):
    rows = (
        IdentityLink.objects.for_store(store)
        .order_by("valid_from", "pk")
        .select_related("visitor", "customer")
    )
    return [
        (
            link.visitor.anonymous_id,
            link.customer.external_id,
            (link.valid_from - T0).seconds // 60,
            (link.valid_until - T0).seconds // 60 if link.valid_until else None,
        )
        for link in rows
    ]


def test_identify_joins_a_visitor_to_a_customer_once(sender, store):
    sender.batch(identify("u1", messageId="m1"), identify("u1", minute=5, messageId="m2"))
    sender.batch(identify("u1", messageId="m1"))
    assert links(store) == [("anon-1", "u1", 0, None)]


def test_what_was_before_belongs_to_the_only_customer(sender, store):
    sender.batch(viewed(timestamp=(T0 - timedelta(hours=1)).isoformat()), identify("u1"))
    visitor = Visitor.objects.for_store(store).get()
    assert customer_at(visitor, T0 - timedelta(hours=1)).external_id == "u1"


def test_alias_joins_the_previous_id(sender, store):
    sender.batch({"type": "alias", "previousId": "anon-9", "userId": "u1", "timestamp": T0.isoformat()})
    assert links(store) == [("anon-9", "u1", 0, None)]


def test_a_shared_device_is_one_customer_after_the_other(sender, store):
    sender.batch(identify("u2", minute=30), identify("u1", minute=0))
    assert links(store) == [("anon-1", "u1", 0, 30), ("anon-1", "u2", 30, None)]


def test_one_customer_on_two_devices(sender, store):
    sender.batch(identify("u1", "phone"), identify("u1", "laptop", minute=1))
    assert links(store) == [("phone", "u1", 0, None), ("laptop", "u1", 1, None)]


def test_two_customers_are_never_merged(sender, store):
    CustomerFactory(store=store, external_id="u1")
    CustomerFactory(store=store, external_id="u2")
    sender.batch(
        {"type": "alias", "previousId": "u1", "userId": "u2", "messageId": "m"}, viewed(messageId="n")
    )
    assert quarantined(store) == {"m": "customers_not_merged"}
    assert not links(store)
    assert [event.message_id for event in stored(store)] == ["n"]
    assert not Visitor.objects.for_store(store).filter(anonymous_id="u1").exists()


def test_traits_go_to_the_profile_and_the_vault_and_not_into_the_log(sender, store):
    traits = {
        "email": "Ann@Shop.example",
        "firstName": "Ann",
        "loyaltyStatus": "gold",
        "gender": "f",
        "shoe": 39,
    }
    sender.batch(identify("u1", traits=traits))
    customer = Customer.objects.for_store(store).get()
    assert (customer.loyalty_status, customer.gender) == ("gold", "female")
    assert vault.get_all(customer) == {"email": "Ann@Shop.example", "first_name": "Ann"}
    event = stored(store)[0]
    assert event.properties == {"traits": ["email", "firstName", "gender", "loyaltyStatus", "shoe"]}
    assert "Ann" not in str(event.context)


def test_traits_in_the_context_are_read_too(sender, store):
    sender.batch({"type": "identify", "userId": "u1", "context": {"traits": {"loyaltyStatus": "gold"}}})
    assert Customer.objects.for_store(store).get().loyalty_status == "gold"


def test_the_newest_traits_win_whatever_the_order_of_arrival(sender, store):
    sender.batch(
        identify("u1", minute=9, traits={"city": "Graz"}),
        identify("u1", minute=1, traits={"city": "Linz"}),
    )
    sender.batch(identify("u1", minute=5, traits={"city": "Wels"}))
    assert Customer.objects.for_store(store).get().city == "Graz"


def test_traits_that_do_not_fit_lose_neither_the_event_nor_the_others(sender, store):
    sender.batch(
        identify("u1", traits={"age": 900, "city": "Graz", "country": "Cockaigne", "email": "a@b.example"})
    )
    customer = Customer.objects.for_store(store).get()
    assert (customer.city, customer.country, customer.birth_year) == ("Graz", "", None)
    assert len(stored(store)) == 1
