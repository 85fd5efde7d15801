"""Histories of decisions, written through the services and read back through the gate and the selector of later use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import Customer, Store, Visitor
from accounts.services.identity import identity_link, identity_unlink
from accounts.services.visitors import visitor_get_or_create
from consent.gate import GateEvent, allowed_purposes, permissions_for_batch
from consent.models import ConsentRecord, ConsentState
from consent.purposes import ALL, EVENT_PURPOSES, Purpose
from consent.selectors.denied import DENIED_NOW_CTE, denied_now, denied_now_parameters, permitted_now_sql
from consent.services.decisions import Decision, decision_record, decisions_record
from consent.services.profile_requests import objection_set, restriction_lift, restriction_set
from consent.withdrawal import Withdrawal, _listeners, on_withdrawal

N, A, P = Purpose.NECESSARY, Purpose.ANALYTICS, Purpose.PERSONALISATION
T0 = datetime(2026, 3, 1, tzinfo=UTC)
VIEW = int(EVENT_PURPOSES["Product Viewed"])


def at(minute: int) -> datetime:
    return T0 + timedelta(minutes=minute)


@dataclass(frozen=True)
class Step:
    """At `minute`, this browser or (and) this customer decides."""

    minute: int
    who: str
    granted: Purpose


steps = st.lists(
    st.builds(
        Step,
        st.integers(0, 30),
        st.sampled_from(["v:a", "v:b", "c:u"]),
        st.integers(0, 15).map(lambda bits: Purpose(1 | bits << 1)),
    ),
    max_size=8,
    unique_by=lambda step: (step.minute, step.who),
)


def decision(step: Step) -> Decision:
    kind, identifier = step.who.split(":")
    who = {"anonymous_id": identifier} if kind == "v" else {"customer": identifier}
    return Decision(step.granted, "save", at=at(step.minute), **who)  # type: ignore[arg-type]


def in_force(history: list[Step], who: str, minute: int) -> Purpose | None:
    """An independent reading: the last decision of the subject at or before the minute."""
    past = [step for step in history if step.who == who and step.minute <= minute]
    return max(past, key=lambda step: step.minute).granted if past else None


class Histories(TestCase):
    """Each example in a transaction of its own."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        steps,
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["a", "b"]), st.booleans()), max_size=6),
        st.integers(0, 30),
    )
    def test_what_is_stored_and_what_is_used_later_was_permitted_by_every_decision_in_force(
        self, history: list[Step], events: list[tuple[int, str, bool]], received: int
    ) -> None:
        store = Store.objects.create(slug="shop", name="Shop")
        customer = Customer.objects.create(store=store, external_id="u")
        visitors = {name: visitor_get_or_create(store=store, anonymous_id=name, at=T0) for name in ("a", "b")}
        decisions_record(store=store, decisions=[decision(step) for step in history])

        asked = [
            GateEvent(name, "u" if is_named else None, VIEW, at(minute)) for minute, name, is_named in events
        ]
        verdicts = permissions_for_batch(connection, store.pk, asked, now=at(received))  # type: ignore[arg-type]
        for event, (minute, name, is_named), verdict in zip(asked, events, verdicts, strict=True):
            subjects = [f"v:{name}", *(["c:u"] if is_named else [])]
            expected = VIEW
            for moment in (minute, received):
                known = [
                    granted for who in subjects if (granted := in_force(history, who, moment)) is not None
                ]
                for granted in known or [N]:
                    expected &= int(granted)
            assert verdict.purposes == expected, event

        denied = denied_now(store, P)
        for name, visitor in visitors.items():
            newest = in_force(history, f"v:{name}", 30)
            assert (visitor.pk in denied.visitor_ids) == (newest is not None and P not in newest)
        newest = in_force(history, "c:u", 30)
        assert (customer.pk in denied.customer_ids) == (newest is not None and P not in newest)


# The selector of later use


@pytest.fixture
def linked(store: Store, customer: Customer) -> Visitor:
    visitor = visitor_get_or_create(store=store, anonymous_id="phone")
    identity_link(store=store, visitor=visitor, customer=customer)
    return visitor


def test_nobody_is_denied_who_never_decided(store: Store, linked: Visitor) -> None:
    assert not denied_now(store, P).visitor_ids
    assert not denied_now(store, P).customer_ids


def test_a_customers_no_counts_for_their_browsers_and_not_the_other_way_round(
    store: Store, customer: Customer, linked: Visitor
) -> None:
    decision_record(store=store, decision=Decision(N, "reject", customer="u-1"))
    assert denied_now(store, P).visitor_ids == {linked.pk}
    assert denied_now(store, P).customer_ids == {customer.pk}
    decision_record(store=store, decision=Decision(ALL, "accept", customer="u-1"))
    decision_record(store=store, decision=Decision(N, "reject", anonymous_id="phone"))
    assert denied_now(store, P).visitor_ids == {linked.pk}
    assert denied_now(store, P).customer_ids == frozenset()


def test_a_link_that_was_taken_back_denies_nothing(store: Store, customer: Customer) -> None:
    visitor = visitor_get_or_create(store=store, anonymous_id="phone")
    link = identity_link(store=store, visitor=visitor, customer=customer)
    restriction_set(customer=customer)
    assert denied_now(store, A).visitor_ids == {visitor.pk}
    identity_unlink(link=link)
    assert denied_now(store, A).visitor_ids == frozenset()


def test_a_restriction_denies_every_purpose_and_an_objection_profiling(
    store: Store, customer: Customer
) -> None:
    objection_set(customer=customer)
    assert denied_now(store, P).customer_ids == {customer.pk}
    assert denied_now(store, A).customer_ids == frozenset()
    restriction_set(customer=customer)
    assert denied_now(store, A).customer_ids == {customer.pk}
    restriction_lift(customer=customer, actor="user:1")
    assert denied_now(store, A).customer_ids == frozenset()


def test_the_condition_filters_rows_of_another_statement(
    store: Store, customer: Customer, linked: Visitor
) -> None:
    lone = visitor_get_or_create(store=store, anonymous_id="lone")
    decision_record(store=store, decision=Decision(N, "reject", anonymous_id="phone"))
    query = f"""WITH {DENIED_NOW_CTE}, seen(visitor_id, customer_id) AS (
        VALUES (%(denied)s, NULL::bigint), (%(lone)s, NULL), (%(lone)s, %(customer)s), (NULL, NULL))
        SELECT visitor_id, customer_id FROM seen e WHERE {permitted_now_sql("e")}"""
    rows = {"denied": linked.pk, "lone": lone.pk, "customer": customer.pk}
    with connection.cursor() as cursor:
        cursor.execute(query, {**denied_now_parameters(store, P), **rows})
        assert cursor.fetchall() == [(lone.pk, None), (lone.pk, customer.pk), (None, None)]


# What a withdrawal sets off


def test_a_withdrawal_is_announced_after_the_commit_and_a_failing_listener_holds_back_none(
    store: Store, django_capture_on_commit_callbacks, monkeypatch  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    heard: list[Withdrawal] = []

    def broken(_: Withdrawal) -> None:
        raise RuntimeError

    monkeypatch.setattr("consent.withdrawal._listeners", {})
    on_withdrawal("broken", broken)
    on_withdrawal("listening", heard.append)
    assert not _listeners or "broken" not in _listeners
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="a"))
    with django_capture_on_commit_callbacks(execute=True):
        decision_record(store=store, decision=Decision(N | A, "save", anonymous_id="a"))
        assert heard == []
    (withdrawal,) = heard
    assert withdrawal.anonymous_ids == ("a",)
    assert withdrawal.purposes == ALL & ~(N | A)


def test_thousands_of_decisions_are_recorded_at_once(store: Store, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    decisions = [Decision(ALL, "accept", anonymous_id=f"a-{n}", at=at(n)) for n in range(1500)]
    with django_assert_max_num_queries(20):
        decisions_record(store=store, decisions=decisions)
    assert ConsentRecord.objects.for_store(store).count() == 1500
    assert ConsentState.objects.for_store(store).count() == 1500
    assert allowed_purposes(store, anonymous_id="a-1499") == ALL


def test_a_decision_by_a_method_that_does_not_exist_records_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="no way to decide"):
        decisions_record(store=store, decisions=[Decision(ALL, "accept"), Decision(ALL, "shout")])
    assert not ConsentRecord.objects.for_store(store).exists()
