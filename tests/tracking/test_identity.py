from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import vault
from accounts.models import Customer, IdentityLink, ProfileSource, ProfileStatement, Visitor
from accounts.privacy import export
from accounts.selectors.identity import customer_at, subject_of
from accounts.selectors.origins import field_origins
from accounts.services import customer_upsert, identity_link_end, identity_relink, identity_unlink
from accounts.services.identity import LinkRefused
from consent.services.profile_requests import correction_apply
from tests.factories import CustomerFactory, StoreFactory
from tests.tracking.conftest import make_key, quarantined, stored, viewed
from tracking.ingestion.importing import ingest_messages

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


def resolved(store, minutes):
    visitor = Visitor.objects.for_store(store).get(anonymous_id="anon-1")
    found = (customer_at(visitor, T0 + timedelta(minutes=minute)) for minute in minutes)
    return [customer.external_id if customer else None for customer in found]


def test_who_came_back_within_one_batch_is_not_swallowed(sender, store):
    sender.batch(identify("u1"))
    # The last of these is covered by the first link, until the second one is known.
    sender.batch(identify("u2", minute=10), identify("u1", minute=20))
    assert links(store) == [("anon-1", "u1", 0, 10), ("anon-1", "u2", 10, 20), ("anon-1", "u1", 20, None)]


def test_who_came_back_before_a_late_identification_is_not_swallowed(sender, store):
    sender.batch(identify("u1"))
    sender.batch(identify("u1", minute=20))
    sender.batch(identify("u2", minute=10))
    assert links(store) == [("anon-1", "u1", 0, 10), ("anon-1", "u2", 10, 20), ("anon-1", "u1", 20, None)]


IDENTIFICATIONS = st.lists(
    st.tuples(st.sampled_from(["u1", "u2", "u3"]), st.integers(1, 40)),
    min_size=1,
    max_size=9,
    unique_by=lambda told: told[1],
)


@pytest.mark.django_db
@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(told=IDENTIFICATIONS, random=st.randoms(use_true_random=False))
def test_any_order_of_arrival_says_the_same_of_every_moment(told, random):
    other = StoreFactory()
    key, _ = make_key(other)
    messages = [identify(user_id, minute=minute, messageId=f"m{minute}") for user_id, minute in told]
    random.shuffle(messages)
    while messages:
        size = random.randrange(1, 4)
        ingest_messages(other, key, messages[:size])
        del messages[:size]
    in_order = sorted(told, key=lambda one: one[1])
    everybody = {user_id for user_id, _ in told}
    expected = []
    for minute in range(42):
        last = [user_id for user_id, at in in_order if at <= minute]
        only = next(iter(everybody)) if len(everybody) == 1 else None
        expected.append(last[-1] if last else only)
    assert resolved(other, range(42)) == expected


class TestJudgedByStaff:
    def test_what_was_taken_back_does_not_return_with_a_resend(self, sender, store):
        sender.batch(identify("u1", messageId="m1"))
        link = IdentityLink.objects.for_store(store).get()
        identity_unlink(link=link)
        sender.batch(identify("u1", messageId="m1"))
        sender.batch(identify("u1", minute=5, messageId="late"))
        assert resolved(store, [0, 5, 60]) == [None, None, None]
        assert IdentityLink.objects.for_store(store).count() == 1

    def test_a_new_identification_after_that_is_believed(self, sender, store):
        sender.batch(identify("u1"))
        link = IdentityLink.objects.for_store(store).get()
        identity_unlink(link=link, at=T0 + timedelta(minutes=30))
        sender.batch(identify("u1", minute=40))
        assert IdentityLink.objects.for_store(store).filter(
            undone_at=None
        ).get().valid_from == T0 + timedelta(minutes=40)

    def test_a_shared_device_is_split_at_a_moment(self, sender, store):
        sender.batch(identify("u1"))
        link = IdentityLink.objects.for_store(store).get()
        identity_link_end(link=link, at=T0 + timedelta(minutes=15))
        assert resolved(store, [10, 20]) == ["u1", None]
        for minutes in (0, 15, 20):
            with pytest.raises(LinkRefused, match="outside"):
                identity_link_end(link=link, at=T0 + timedelta(minutes=minutes))
        assert links(store) == [("anon-1", "u1", 0, 15)]

    def test_an_undoing_is_taken_back_unless_somebody_else_was_there(self, sender, store):
        sender.batch(identify("u1"))
        link = IdentityLink.objects.for_store(store).get()
        with pytest.raises(LinkRefused, match="not undone"):
            identity_relink(link=link)
        identity_unlink(link=link)
        identity_relink(link=link)
        assert resolved(store, [10]) == ["u1"]
        identity_unlink(link=link)
        sender.batch(identify("u2", minute=10))
        with pytest.raises(LinkRefused, match="was u2 at that time"):
            identity_relink(link=link)
        assert resolved(store, [10]) == ["u2"]


class TestSources:
    """Declared beats the shop's systems, which beat what was guessed; who is outranked is kept beside."""

    def told(self, store):
        rows = ProfileStatement.objects.for_store(store).order_by("field", "source")
        return [(row.field, row.source, row.value, row.origin) for row in rows]

    def test_what_the_server_says_later_is_kept_beside_a_declared_value(self, sender, store):
        customer_upsert(
            store=store, external_id="u1", profile={"city": "Bonn"}, source=ProfileSource.DECLARED, at=T0
        )
        sender.batch(identify("u1", minute=9, traits={"city": "Köln"}))
        assert Customer.objects.for_store(store).get().city == "Bonn"
        assert self.told(store) == [("city", "crm", "Köln", "identify call of the shop's server")]
        # The same again says nothing new; another word of the same source replaces it.
        sender.batch(
            identify("u1", minute=10, traits={"city": "Köln"}),
            identify("u1", minute=11, traits={"city": "Trier"}),
        )
        assert self.told(store) == [("city", "crm", "Trier", "identify call of the shop's server")]

    def test_a_better_word_puts_the_weaker_one_beside_it(self, store):
        for source, city in (
            (ProfileSource.INFERRED, "Köln"),
            (ProfileSource.CRM, "Bonn"),
            (ProfileSource.DECLARED, ""),
        ):
            customer_upsert(
                store=store,
                external_id="u1",
                profile={"city": city},
                source=source,
                at=T0,
                confidence={"city": 0.8},
            )
        customer = Customer.objects.for_store(store).get()
        # Emptied by the customer: it stays empty.
        assert (customer.city, customer.field_sources["city"]["source"]) == ("", "declared")
        assert [row[1:3] for row in self.told(store)] == [("crm", "Bonn"), ("inferred", "Köln")]
        assert [word.value for word in field_origins([customer])[0].others] == ["Bonn", "Köln"]

    def test_a_guess_does_not_overwrite_but_is_shown_with_its_confidence(self, store):
        customer_upsert(store=store, external_id="u1", profile={"device": "mobile"}, at=T0)
        customer = customer_upsert(
            store=store, external_id="u1", profile={"device": "desktop"}, source=ProfileSource.INFERRED,
            at=T0 + timedelta(days=9), confidence={"device": 0.7},
        )  # fmt: skip
        assert customer.device == "mobile"
        (origin,) = field_origins([customer])
        assert [(word.value, word.confidence, word.label) for word in origin.others] == [
            ("desktop", 0.7, "Inferred")
        ]

    def test_a_corrected_address_is_not_overwritten_by_the_server(self, sender, store):
        sender.batch(identify("u1", traits={"email": "old@example.org"}))
        customer = Customer.objects.for_store(store).get()
        correction_apply(customer=customer, corrections={"email": "new@example.org"})
        sender.batch(identify("u1", minute=5, traits={"email": "old@example.org"}))
        assert vault.get(customer, "email") == "new@example.org"
        # That somebody said otherwise is kept, what they said is not.
        assert [row[:3] for row in self.told(store)] == [("email", "crm", None)]

    def test_the_person_reads_it_in_plain_words(self, sender, store):
        customer_upsert(
            store=store, external_id="u1", profile={"city": "Bonn"}, source=ProfileSource.DECLARED, at=T0, origin="account page"
        )  # fmt: skip
        sender.batch(identify("u1", traits={"city": "Köln"}))
        tables = {
            table.name: list(table.rows)
            for table in export(subject_of(Customer.objects.for_store(store).get()))
        }
        assert [
            (row["value"], row["because"], row["where"], row["counts"]) for row in tables["profile_sources"]
        ] == [
            ("Bonn", "you told the shop", "account page", True),
            ("Köln", "the shop's own systems say so", "identify call of the shop's server", False),
        ]
