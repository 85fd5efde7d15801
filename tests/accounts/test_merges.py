"""Two records declared one person: read as one everywhere, nothing rewritten, and taken back without a trace in what is read."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts import personal_data, vault
from accounts.models import Customer, CustomerMerge, CustomersApart, PersonRecord, ProfileSource, Store
from accounts.personal_data import Subject
from accounts.selectors.identity import IDENTITY_CTE, customer_at, find_subjects, identity_map, subject_of
from accounts.selectors.persons import person_view, persons, record_ids_of
from accounts.services import (
    MergeRefused,
    apart_take_back,
    customer_upsert,
    customers_keep_apart,
    customers_merge,
    identity_link,
    merge_undo,
)
from consent.gate import allowed_purposes, may_personalise
from consent.models import AuditPayload, ConsentChoice
from consent.purposes import ALL, NONE, OPTIONAL, Purpose
from consent.selectors.denied import denied_now
from consent.services.decisions import Decision, decision_record
from consent.subjects import subject_from_json, subject_to_json
from profiles.reading import profile_for, who_is
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving import subjects
from recommendations.shelf import Shopper
from segments.feature_table import feature_table
from tests.factories import CustomerFactory, StoreFactory, UserFactory, VisitorFactory
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages
from tracking.models import Event, Order
from tracking.selectors.interactions import read_interactions

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
NOON = NOW - timedelta(days=3)
HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> Store:
    return StoreFactory(slug="shop")


@pytest.fixture
def ann(store: Store) -> Customer:
    return CustomerFactory(store=store, external_id="ann")


@pytest.fixture
def anna(store: Store) -> Customer:
    return CustomerFactory(store=store, external_id="anna")


def merge(kept: Customer, merged: Customer) -> CustomerMerge:
    return customers_merge(kept=kept, merged=merged, actor=UserFactory(), reason="Same e-mail address")


def undo(made: CustomerMerge) -> None:
    merge_undo(merge=made, actor=UserFactory(), reason="Two people")


def rows(store: Store) -> list[dict[str, Any]]:
    return list(Customer.objects.for_store(store).order_by("pk").values())


def test_both_are_one_person_and_no_row_is_changed(store, ann, anna):
    phone, laptop = VisitorFactory(store=store), VisitorFactory(store=store)
    identity_link(store=store, visitor=phone, customer=ann, at=NOON)
    identity_link(store=store, visitor=laptop, customer=anna, at=NOON)
    before = rows(store)
    merge(ann, anna)
    assert rows(store) == before
    assert record_ids_of(anna) == record_ids_of(ann) == (ann.pk, anna.pk)
    subject = subject_of(anna)
    assert (subject.customer, subject.merged_customers) == (anna, (ann,))
    assert (subject.user_ids, set(subject.visitor_ids)) == (("anna", "ann"), {phone.pk, laptop.pk})
    assert customer_at(laptop, NOON + HOUR) == ann
    # One person who is found by both of their ids is one subject.
    assert len(find_subjects(store, user_id="ann", anonymous_id=laptop.anonymous_id)) == 1


def test_it_is_on_record_who_did_it_when_and_why(store, ann, anna):
    actor = UserFactory()
    made = customers_merge(
        kept=ann,
        merged=anna,
        actor=actor,
        reason=" Rang us ",
        evidence={"score": 0.9, "evidence": ["same_phone"]},
    )
    assert (made.merged_by, made.reason, made.undone_at) == (actor, "Rang us", None)
    entry = AuditPayload.objects.for_store(store).get(entry__action="customers.merged")
    assert (entry.actor, entry.target, entry.reason) == (
        f"user:{actor.pk}",
        f"customer:{ann.public_id}",
        "Rang us",
    )
    assert entry.details["other"] == str(anna.public_id)
    undo(made)
    made.refresh_from_db()
    assert made.undone_at is not None
    assert AuditPayload.objects.for_store(store).filter(entry__action="customers.merge_undone").count() == 1


def test_what_makes_no_sense_is_refused_and_changes_nothing(store, ann, anna):
    elsewhere = CustomerFactory()
    with pytest.raises(MergeRefused, match="one person already"):
        merge(ann, ann)
    with pytest.raises(MergeRefused, match="Two stores"):
        merge(ann, elsewhere)
    with pytest.raises(MergeRefused, match="Say why"):
        customers_merge(kept=ann, merged=anna, actor=UserFactory(), reason="  ")
    assert not CustomerMerge.all_stores.exists()
    assert not PersonRecord.all_stores.exists()
    made = merge(ann, anna)
    with pytest.raises(MergeRefused, match="one person already"):
        merge(anna, ann)
    with pytest.raises(MergeRefused, match="Undo the merge first"):
        customers_keep_apart(one=ann, other=anna, actor=UserFactory())
    undo(made)
    with pytest.raises(MergeRefused, match="undone before"):
        undo(made)


def test_who_was_found_to_be_two_is_not_merged_until_that_is_taken_back(store, ann, anna):
    eve = CustomerFactory(store=store, external_id="eve")
    apart = customers_keep_apart(one=anna, other=ann, actor=UserFactory(), reason="Mother and daughter")
    assert (apart.first, apart.second) == (ann, anna)
    assert customers_keep_apart(one=ann, other=anna, actor=UserFactory()) == apart
    merge(anna, eve)
    with pytest.raises(MergeRefused, match="declared two people"):
        merge(ann, eve)
    assert record_ids_of(ann) == (ann.pk,)
    apart_take_back(apart=apart, actor=UserFactory())
    assert not CustomersApart.all_stores.exists()
    merge(ann, eve)
    assert set(record_ids_of(anna)) == {ann.pk, anna.pk, eve.pk}


def test_undoing_one_merge_leaves_the_two_of_another_together(store, ann, anna):
    eve = CustomerFactory(store=store, external_id="eve")
    first = merge(ann, anna)
    merge(anna, eve)
    assert record_ids_of(eve)[0] == ann.pk
    undo(first)
    assert record_ids_of(ann) == (ann.pk,)
    assert record_ids_of(eve) == (anna.pk, eve.pk)


def everything_read(store: Store) -> dict[str, Any]:
    """What the store's readers see of each customer, as plain values."""
    customers = list(Customer.objects.for_store(store).order_by("pk"))
    links = identity_map(store)
    with connection.cursor() as cursor:
        columns = "visitor_id, customer_id, valid_from::text, valid_until::text"
        query = f"WITH {IDENTITY_CTE} SELECT {columns} FROM identity ORDER BY 1, 2, 3, 4"
        cursor.execute(query, {"store": store.pk})
        identity = cursor.fetchall()
    return {
        "rows": rows(store),
        "persons": persons(store),
        "subjects": [subject_to_json(subject_of(customer)) for customer in customers],
        "who": [who_is(store.pk, None, customer.pk) for customer in customers],
        "views": [{**person_view(customer).__dict__, "_state": None} for customer in customers],
        "permitted": [allowed_purposes(store, customer=customer) for customer in customers],
        "denied": denied_now(store, Purpose.PERSONALISATION),
        "links": [
            getattr(links, name).tolist() for name in ("visitor", "valid_from", "valid_until", "customer")
        ],
        "identity": identity,
    }


PEOPLE = 4
DEEDS = st.lists(
    st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1), st.booleans()), min_size=1, max_size=7
)


@settings(max_examples=8, phases=[Phase.explicit, Phase.generate])
@given(deeds=DEEDS, random=st.randoms(use_true_random=False))
def test_merging_and_undoing_in_any_order_gives_everybody_back_as_they_were(deeds, random):
    store, actor = StoreFactory(), UserFactory()
    customers = [CustomerFactory(store=store, country="DE" if n % 2 else "FR") for n in range(PEOPLE)]
    visitors = [VisitorFactory(store=store) for _ in range(PEOPLE)]
    for n, customer in enumerate(customers):
        identity_link(store=store, visitor=visitors[n], customer=customer, at=NOON)
        identity_link(store=store, visitor=visitors[0], customer=customer, at=NOON + n * HOUR)
        granted = OPTIONAL if n % 2 else NONE
        method = ConsentChoice.SAVE if granted else ConsentChoice.REJECT
        decision_record(store=store, decision=Decision(granted, method, customer=customer.external_id))
    before = everything_read(store)
    made: list[tuple[int, int, CustomerMerge]] = []
    for one, other, is_undo in deeds:
        if is_undo and made:
            merge_undo(merge=made.pop(random.randrange(len(made)))[2], actor=actor)
        elif other not in together(one, made):
            made.append(
                (
                    one,
                    other,
                    customers_merge(kept=customers[one], merged=customers[other], actor=actor, reason="x"),
                )
            )
        for n, customer in enumerate(customers):
            expected = {customers[kin].pk for kin in together(n, made)}
            assert set(record_ids_of(customer)) == expected
    random.shuffle(made)
    for _, _, left in made:
        merge_undo(merge=left, actor=actor)
    assert everything_read(store) == before
    assert not PersonRecord.objects.for_store(store).exists()


def together(start: int, made: list[tuple[int, int, CustomerMerge]]) -> set[int]:
    """Who hangs together with the start through the merges in force."""
    found, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        for one, other, _ in made:
            for kin in ({one, other} - {at}) if at in (one, other) else ():
                if kin not in found:
                    found.add(kin)
                    waiting.append(kin)
    return found


def test_of_the_profiles_the_best_source_counts_then_the_latest(store, ann, anna):
    def told(customer, source, hours, **profile):
        at = NOON + hours * HOUR
        customer_upsert(store=store, external_id=customer.external_id, profile=profile, source=source, at=at)

    told(ann, ProfileSource.CRM, 5, country="DE", city="Köln")
    told(anna, ProfileSource.DECLARED, 0, country="FR")
    told(anna, ProfileSource.CRM, 1, city="Paris", gender="female")
    made = merge(ann, anna)
    view = person_view(Customer.objects.for_store(store).get(pk=anna.pk))
    # Declared beats a later word of the shop's systems; of these two the later one counts; what one alone knows is known.
    assert (view.pk, view.country, view.city, view.gender) == (ann.pk, "FR", "Köln", "female")
    assert Customer.objects.for_store(store).get(pk=ann.pk).country == "DE"
    undo(made)
    assert person_view(Customer.objects.for_store(store).get(pk=anna.pk)).city == "Paris"


def decide(store: Store, customer: Customer, granted: Purpose) -> None:
    method = ConsentChoice.SAVE if granted else ConsentChoice.REJECT
    decision_record(store=store, decision=Decision(granted, method, customer=customer))


class TestConsent:
    def test_is_the_stricter_of_both_until_one_of_them_decides_anew(self, store, ann, anna):
        browser = VisitorFactory(store=store)
        identity_link(store=store, visitor=browser, customer=ann, at=NOON)
        decision_record(
            store=store,
            decision=Decision(OPTIONAL, ConsentChoice.SAVE, anonymous_id=browser.anonymous_id, customer=ann),
        )
        decide(store, anna, NONE)
        assert may_personalise(store, anonymous_id=browser.anonymous_id)
        made = merge(ann, anna)
        for asked in (ann, anna):
            assert allowed_purposes(store, customer=asked) == Purpose.NECESSARY
        assert not may_personalise(store, anonymous_id=browser.anonymous_id)
        assert denied_now(store, Purpose.PERSONALISATION).customer_ids == {ann.pk, anna.pk}
        decide(store, ann, OPTIONAL)
        assert allowed_purposes(store, customer=anna) == ALL
        assert may_personalise(store, anonymous_id=browser.anonymous_id)
        assert not denied_now(store, Purpose.PERSONALISATION).customer_ids
        undo(made)
        assert allowed_purposes(store, customer=ann) == ALL
        assert allowed_purposes(store, customer=anna) == Purpose.NECESSARY
        assert denied_now(store, Purpose.PERSONALISATION).customer_ids == {anna.pk}

    @pytest.mark.parametrize(
        "flag", ["is_processing_restricted", "has_objected_to_profiling", "is_personalisation_paused"]
    )
    def test_a_wish_of_one_record_holds_for_the_person(self, store, ann, anna, flag):
        for customer in (ann, anna):
            decide(store, customer, OPTIONAL)
        Customer.objects.for_store(store).filter(pk=anna.pk).update(**{flag: True})
        assert may_personalise(store, customer=ann)
        made = merge(ann, anna)
        assert not may_personalise(store, customer=ann)
        assert getattr(person_view(ann), flag)
        undo(made)
        assert may_personalise(store, customer=ann)

    def test_events_of_either_are_judged_so(self, store, ann, anna):
        decide(store, ann, OPTIONAL)
        decide(store, anna, NONE)
        key, _ = make_key(store, consent_source="ledger")
        message = viewed("p1", None, userId="ann", timestamp=datetime.now(UTC))
        assert ingest_messages(store, key, [{**message, "messageId": "before"}]).stored == 1
        merge(ann, anna)
        tally = ingest_messages(store, key, [{**message, "messageId": "after"}])
        assert (tally.stored, tally.discarded) == (0, 1)


@pytest.fixture
def shopping(store: Store) -> Any:
    """Ann looks at tents on her phone, Anna bought a kettle on her laptop, a stranger looks on."""
    key, _ = make_key(store)
    ingest_messages(
        store,
        key,
        [
            {"type": "identify", "userId": "ann", "anonymousId": "phone", "timestamp": NOON},
            viewed("tent", "phone", timestamp=NOON + HOUR),
            {"type": "identify", "userId": "anna", "anonymousId": "laptop", "timestamp": NOON},
            viewed("stove", "laptop", timestamp=NOON + HOUR),
            order_completed("o1", "laptop", timestamp=NOON + 2 * HOUR, userId="anna"),
            viewed("mug", "stranger", timestamp=NOON + HOUR),
        ],
    )
    fold_new_events(store)
    people = Customer.objects.for_store(store)
    for person in people:
        decide(store, person, OPTIONAL)
    return people.get(external_id="ann"), people.get(external_id="anna")


def viewed_products(profile: Any) -> set[str]:
    return {interaction.product_id for interaction in profile.interactions}


class TestReaders:
    def test_the_next_shelf_knows_both(self, store, shopping, django_capture_on_commit_callbacks):
        ann, anna = shopping
        shopper = Shopper(customer_id="ann")
        known = subjects.know(store, shopper, subjects.arrive(store.pk, shopper))
        assert (known.customer_pk, known.records, known.purchased) == (ann.pk, (ann.pk,), ())
        assert subjects.arrive(store.pk, shopper).shopper == known
        with django_capture_on_commit_callbacks(execute=True):
            made = merge(anna, ann)
        # The card that was kept is void at once.
        assert subjects.arrive(store.pk, shopper).shopper is None
        after = subjects.know(store, shopper, subjects.arrive(store.pk, shopper))
        assert (after.key, after.customer_pk, after.records) == (f"c:{anna.pk}", ann.pk, (anna.pk, ann.pk))
        assert after.purchased == ("p2",)
        assert viewed_products(profile_for(store, customer=ann)) >= {"tent", "stove"}
        with django_capture_on_commit_callbacks(execute=True):
            undo(made)
        assert subjects.know(store, shopper, subjects.arrive(store.pk, shopper)) == known
        assert viewed_products(profile_for(store, customer=ann)) == {"tent"}

    def test_the_profile_is_the_same_from_the_log(self, store, shopping, valkey):
        ann, anna = shopping
        merge(anna, ann)
        warm = profile_for(store, customer=ann)
        valkey.flushdb()
        cold = profile_for(store, customer=ann)
        assert (warm.source, cold.source) == ("valkey", "log")
        assert viewed_products(warm) == viewed_products(cold)

    def test_a_word_to_one_record_voids_the_cards_of_all(
        self, store, shopping, django_capture_on_commit_callbacks
    ):
        ann, anna = shopping
        merge(anna, ann)
        shopper = Shopper(customer_id="ann")
        subjects.know(store, shopper, subjects.arrive(store.pk, shopper))
        with django_capture_on_commit_callbacks(execute=True):
            decide(store, anna, NONE)
        assert subjects.arrive(store.pk, shopper).shopper is None
        assert not read_known_shopper(store, shopper).may_personalise

    def test_segments_count_one_shopper(self, store, shopping):
        ann, anna = shopping
        before = feature_table(store, NOW)
        assert set(before.customer.tolist()) == {0, ann.pk, anna.pk}
        made = merge(ann, anna)
        table = feature_table(store, NOW)
        assert sorted(table.customer.tolist()) == [0, ann.pk]
        row = table.row(table.customer.tolist().index(ann.pk))
        # An hour lies between all they did: two visits of Ann, three of Anna; each saw one product, Anna ordered once.
        assert (row["sessions_30d"], row["product_views_30d"], row["orders_30d"]) == (5, 2, 1)
        undo(made)
        after = feature_table(store, NOW)
        assert [after.row(n) for n in range(after.n)] == [before.row(n) for n in range(before.n)]

    def test_training_learns_from_one_person(self, store, shopping):
        ann, anna = shopping
        assert set(read_interactions(store).subject_customer.tolist()) == {0, ann.pk, anna.pk}
        merge(ann, anna)
        interactions = read_interactions(store)
        assert set(interactions.subject_customer.tolist()) == {0, ann.pk}


def tables_of(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    return {
        table.name: [dict(row) for row in table.rows]
        for held in personal_data.processors()
        for table in held.export(subject)
        if table.name != "profile" or held.name == "accounts"
    }


class TestRights:
    def test_an_export_covers_both_and_only_them(self, store, shopping):
        ann, anna = shopping
        vault.put(ann, "email", "ann@example.org")
        vault.put(anna, "email", "anna@example.org")
        merge(ann, anna)
        tables = tables_of(subject_of(ann))
        assert {row["customer_id"] for row in tables["profile"]} == {"ann", "anna"}
        assert {row["value"] for row in tables["identifiers"]} == {"ann@example.org", "anna@example.org"}
        assert {row["anonymous_id"] for row in tables["devices"]} == {"phone", "laptop"}
        assert {row["product_id"] for row in tables["events"] if row["product_id"]} == {"tent", "stove"}
        assert [row["order_id"] for row in tables["orders"]] == ["o1"]
        assert [row["reason"] for row in tables["merges"]] == ["Same e-mail address"]

    def test_an_export_after_the_undoing_tells_nothing_of_the_other(self, store, shopping):
        ann, anna = shopping
        undo(merge(ann, anna))
        tables = tables_of(subject_of(anna))
        assert [row["customer_id"] for row in tables["profile"]] == ["anna"]
        assert [(row["record"], row["declared_the_same"]) for row in tables["merges"]] == [("", "anna")]

    def test_an_erasure_erases_both_and_nobody_else(self, store, shopping):
        ann, anna = shopping
        merge(ann, anna)
        # A request keeps its subject as JSON until every part is done.
        subject = subject_from_json(store, subject_to_json(subject_of(anna)))
        for held in personal_data.processors():
            held.erase(subject)
        assert not Customer.objects.for_store(store).exists()
        assert not CustomerMerge.all_stores.exists()
        assert not PersonRecord.all_stores.exists()
        assert list(Event.objects.for_store(store).values_list("product_id", flat=True)) == ["mug"]
        order = Order.objects.for_store(store).get()
        assert (order.customer, order.visitor, order.is_blocked) == (None, None, True)

    def test_an_old_request_without_merged_customers_is_read(self, store, ann):
        content = subject_to_json(subject_of(ann))
        del content["merged_customers"]
        assert subject_from_json(store, content).customer_ids == (ann.pk,)


def test_merged_records_on_one_browser_are_no_shared_device(store, ann, anna):
    tablet = VisitorFactory(store=store)
    identity_link(store=store, visitor=tablet, customer=ann, at=NOON)
    identity_link(store=store, visitor=tablet, customer=anna, at=NOON + HOUR)
    assert [len(subject_of(customer).shared_visits) for customer in (ann, anna)] == [1, 1]
    assert customer_at(tablet, NOON - HOUR) is None
    made = merge(ann, anna)
    assert (subject_of(ann).shared_visits, subject_of(ann).visitor_ids) == ((), (tablet.pk,))
    # The time before the first of them is the person's: nobody else ever used it.
    assert customer_at(tablet, NOON - HOUR) == ann
    assert identity_map(store).resolve(*pairs(tablet.pk, NOON - HOUR)).tolist() == [ann.pk]
    undo(made)
    assert identity_map(store).resolve(*pairs(tablet.pk, NOON - HOUR)).tolist() == [-1]


def pairs(visitor_id: int, at: datetime) -> Any:
    return np.array([visitor_id]), np.array([at.timestamp()])


def test_merges_are_answered_in_a_bounded_number_of_queries(store, django_assert_max_num_queries):
    customers = [CustomerFactory(store=store) for _ in range(8)]
    for one, other in itertools.pairwise(customers):
        merge(one, other)
    with django_assert_max_num_queries(1):
        assert len(record_ids_of(customers[3])) == 8
    with django_assert_max_num_queries(6):
        assert len(subject_of(customers[3]).customer_ids) == 8
