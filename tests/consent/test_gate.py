"""The gate against the database: the same rule on facts that are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.models import Customer, Store
from accounts.services.identity import identity_link
from accounts.services.visitors import visitor_get_or_create
from consent import gate
from consent.gate import GateEvent, allowed_purposes, may_personalise, permissions_for_batch
from consent.models import ConsentRecord, ConsentState, Suppression
from consent.pseudonyms import pseudonym
from consent.purposes import ALL, NONE, Purpose

N, A, P = Purpose.NECESSARY, Purpose.ANALYTICS, Purpose.PERSONALISATION
VIEW = int(A | P)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def grant(store: Store, subject: str, granted: Purpose, at: datetime = T0, **values: object) -> None:
    number = ConsentRecord.objects.for_store(store).count() + 1
    record = ConsentRecord.objects.create(
        store=store, sequence=number, commitment="", previous_digest="", digest=""
    )
    ConsentState.objects.create(
        store=store, subject=subject, granted=int(granted), valid_from=at, record=record, **values
    )


def test_a_batch_is_judged_in_one_read(store: Store, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    grant(store, "v:yes", ALL)
    grant(store, "v:no", N)
    grant(store, "c:u-1", N | A)
    later = T0 + timedelta(minutes=5)
    events = [
        GateEvent("yes", None, VIEW, later),
        GateEvent("no", None, VIEW, later),
        GateEvent("yes", "u-1", VIEW, later),
        GateEvent("unknown", None, VIEW, later),
        GateEvent(None, None, int(ALL), later),
    ]
    with django_assert_num_queries(2):  # the lock and the facts
        verdicts = permissions_for_batch(connection, store.pk, events)
    assert [verdict.purposes for verdict in verdicts] == [A | P, 0, A, 0, N]


def test_another_stores_consent_says_nothing(store: Store) -> None:
    grant(store, "v:yes", ALL)
    other = Store.objects.create(slug="other", name="Other")
    assert allowed_purposes(other, anonymous_id="yes") == N
    assert allowed_purposes(store, anonymous_id="yes") == ALL


def test_suppression_is_found_by_digest_and_by_older_keys(store: Store, settings) -> None:  # type: ignore[no-untyped-def]
    grant(store, "v:gone", ALL)
    Suppression.objects.create(
        store=store,
        kind="anonymous_id",
        digest=pseudonym(store.pk, "anonymous_id", "gone"),
        suppressed_until=T0,
    )
    assert allowed_purposes(store, anonymous_id="gone", at=T0) == NONE
    assert allowed_purposes(store, anonymous_id="gone") == N
    settings.ETALAGE_SUPPRESSION_KEY = f"2:a-new-key,1:{settings.ETALAGE_SUPPRESSION_KEY}"
    assert allowed_purposes(store, anonymous_id="gone", at=T0) == NONE


@pytest.mark.parametrize(
    ("field", "expected"), [("is_processing_restricted", N), ("has_objected_to_profiling", ALL & ~P)]
)
def test_a_frozen_customer_is_frozen_on_every_linked_browser(
    store: Store, customer: Customer, field: str, expected: Purpose
) -> None:
    grant(store, "v:phone", ALL)
    visitor = visitor_get_or_create(store=store, anonymous_id="phone")
    link = identity_link(store=store, visitor=visitor, customer=customer)
    assert allowed_purposes(store, anonymous_id="phone") == ALL
    Customer.objects.for_store(store).filter(pk=customer.pk).update(**{field: True})
    assert allowed_purposes(store, anonymous_id="phone") == expected
    assert allowed_purposes(store, anonymous_id="phone", customer="u-1") == expected
    type(link).objects.for_store(store).filter(pk=link.pk).update(valid_until=timezone.now())
    assert allowed_purposes(store, anonymous_id="phone") == ALL


def test_personalisation_needs_a_person_who_permits_it(store: Store, customer: Customer) -> None:
    assert not may_personalise(store)
    assert not may_personalise(store, anonymous_id="a")
    grant(store, "v:a", N | P)
    assert may_personalise(store, anonymous_id="a")
    assert not may_personalise(store, anonymous_id="a", gpc=True)
    customer.is_personalisation_paused = True
    assert not may_personalise(store, anonymous_id="a", customer=customer)


def test_what_cannot_be_read_is_not_permitted(store: Store, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    grant(store, "v:a", ALL)

    def unreadable(*_: object) -> None:
        raise DatabaseError("the database is gone")

    monkeypatch.setattr(gate, "_ask_facts", unreadable)
    assert not may_personalise(store, anonymous_id="a")
