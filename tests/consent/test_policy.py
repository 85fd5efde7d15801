"""The rule of permission on facts alone, each case worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.policy import (
    GPC_WITHHELD,
    LEDGER,
    DiscardReason,
    Facts,
    Flag,
    GateEvent,
    SourcePolicy,
    StateAt,
    Suppressed,
    decide,
)
from consent.purposes import ALL, EVENT_PURPOSES

N, A, P, M, S = (int(purpose) for purpose in ALL)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEW = int(EVENT_PURPOSES["Product Viewed"])  # 2 + 4
ORDER = int(EVENT_PURPOSES["Order Completed"])  # 1 + 2 + 4 + 8


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def verdict(facts: Facts, *, now: float = 60, happened: float = 30, purposes: int = VIEW, **values: object):
    event = GateEvent("a", values.pop("user_id", None), purposes, at(happened), **values)  # type: ignore[arg-type]
    return decide([event], facts, at(now))[0]


def history(*states: tuple[float, int]) -> list[StateAt]:
    return [StateAt(at(minutes), granted) for minutes, granted in states]


def test_who_has_not_decided_has_permitted_nothing() -> None:
    assert verdict(Facts()) == (0, DiscardReason.NO_CONSENT)


def test_an_order_is_necessary_whatever_was_decided() -> None:
    assert verdict(Facts(), purposes=ORDER) == (N, "")
    assert verdict(Facts({"v:a": history((0, N))}), purposes=ORDER) == (N, "")


def test_an_event_keeps_only_what_was_granted() -> None:
    assert verdict(Facts({"v:a": history((0, N | A))})).purposes == A
    assert verdict(Facts({"v:a": history((0, N | A | P))})).purposes == A | P


def test_permission_must_have_held_when_somebody_else_received_it() -> None:
    """Granted at 0, refused from 40 to 50, granted since: happened at 30, known to us at 60."""
    facts = Facts({"v:a": history((0, N | A | P), (40, N), (50, N | A))})
    assert verdict(facts).purposes == A
    assert verdict(facts, received_at=at(35)).purposes == A
    assert verdict(facts, received_at=at(45)) == (0, DiscardReason.REFUSED)
    assert verdict(facts, received_at=at(55)).purposes == A
    declared = SourcePolicy("declared", "consent", A | P)
    assert verdict(facts, received_at=at(45), source=declared) == (0, DiscardReason.REFUSED)
    # Of somebody whom our ledger does not know, the source's declaration stands.
    assert verdict(Facts(), received_at=at(45), source=declared).purposes == A | P


def test_events_of_one_moment_received_at_several_are_judged_each() -> None:
    facts = Facts({"v:a": history((0, A), (40, N), (50, A))})
    events = [GateEvent("a", None, VIEW, at(30), received_at=at(minutes)) for minutes in (35, 45, 55)]
    assert [each.purposes for each in decide(events, facts, at(60))] == [A, 0, A]


def test_consent_does_not_reach_back() -> None:
    facts = Facts({"v:a": history((31, ALL))})
    assert verdict(facts, happened=30) == (0, DiscardReason.NOT_YET)
    assert verdict(facts, happened=31).purposes == A | P  # the moment itself counts


def test_what_was_withdrawn_before_receipt_is_not_stored() -> None:
    facts = Facts({"v:a": history((0, int(ALL)), (45, N))})
    assert verdict(facts, happened=30, now=44).purposes == A | P
    assert verdict(facts, happened=30, now=45) == (0, DiscardReason.REFUSED)


def test_what_was_refused_in_between_is_not_stored_after_a_new_consent() -> None:
    facts = Facts({"v:a": history((0, int(ALL)), (10, N), (40, int(ALL)))})
    assert verdict(facts, happened=9).purposes == A | P
    assert verdict(facts, happened=30) == (0, DiscardReason.REFUSED)
    assert verdict(facts, happened=41).purposes == A | P


def test_browser_and_customer_must_both_permit_where_both_decided() -> None:
    facts = Facts({"v:a": history((0, int(ALL))), "c:u": history((20, N | A))})
    assert verdict(facts, user_id="u", happened=10, now=15).purposes == A | P
    assert (
        verdict(facts, user_id="u", happened=10, now=60).purposes == A
    )  # the customer has since withdrawn personalisation
    assert verdict(facts, user_id="u", happened=30).purposes == A
    assert verdict(facts).purposes == A | P  # nobody logged in


def test_the_message_can_only_take_away_from_the_ledger() -> None:
    assert verdict(Facts({"v:a": history((0, N | A))}), client_consent=int(ALL)).purposes == A
    assert verdict(Facts({"v:a": history((0, int(ALL)))}), client_consent=N | P).purposes == P
    assert verdict(Facts({"v:a": history((0, int(ALL)))}), client_consent=N) == (0, DiscardReason.SOURCE)


@pytest.mark.parametrize(
    ("source", "client", "expected"),
    [
        (SourcePolicy("declared", "consent", A | P), None, A | P),
        (SourcePolicy("declared", "legitimate_interest", A), None, A),
        (SourcePolicy("declared", "contract", A | P), None, 0),
        (SourcePolicy("declared", "consent", A | P), N | P, P),
        (SourcePolicy("client", "consent", 0), A, A),
        (SourcePolicy("client", "consent", A | P), None, 0),
        (SourcePolicy("client", "contract", 0), A, 0),
    ],
)
def test_sources_without_a_banner(source: SourcePolicy, client: int | None, expected: int) -> None:
    assert verdict(Facts(), source=source, client_consent=client).purposes == expected


def test_a_refusal_in_the_ledger_beats_every_declaration() -> None:
    facts = Facts({"v:a": history((45, N))})
    source = SourcePolicy("declared", "consent", A | P)
    assert verdict(facts, source=source, happened=30, now=44).purposes == A | P
    assert verdict(facts, source=source, happened=30, now=60) == (0, DiscardReason.REFUSED)


def test_global_privacy_control_withholds_profiling_unless_it_was_overridden_by_name() -> None:
    granted = {"v:a": [StateAt(at(0), int(ALL))]}
    assert verdict(Facts(granted), gpc=True).purposes == A
    overridden = {"v:a": [StateAt(at(0), int(ALL), overrides_gpc=True)]}
    assert verdict(Facts(overridden), gpc=True).purposes == A | P


def test_restriction_and_objection() -> None:
    granted = {"v:a": history((0, int(ALL)))}
    assert verdict(Facts(granted, {"v:a": Flag.RESTRICTED})) == (0, DiscardReason.RESTRICTED)
    assert verdict(Facts(granted, {"v:a": Flag.RESTRICTED}), purposes=ORDER).purposes == N
    assert verdict(Facts(granted, {"v:a": Flag.OBJECTED})).purposes == A
    assert verdict(Facts(granted, {"c:u": Flag.OBJECTED}), user_id="u").purposes == A


def test_what_an_erased_person_did_never_comes_back() -> None:
    granted = {"v:a": history((0, int(ALL)))}
    erased = Facts(granted, suppressed={"v:a": Suppressed(at(30), None)})
    assert verdict(erased, happened=30, purposes=ORDER) == (0, DiscardReason.SUPPRESSED)
    assert verdict(erased, happened=31) == (0, DiscardReason.SUPPRESSED)
    assert verdict(erased, happened=31, purposes=ORDER).purposes == N  # a new purchase is a new contract
    readmitted = Facts(granted, suppressed={"v:a": Suppressed(at(30), at(35))})
    assert verdict(readmitted, happened=30) == (0, DiscardReason.SUPPRESSED)
    assert verdict(readmitted, happened=36).purposes == A | P


masks = st.integers(0, 15).map(lambda bits: N | bits << 1)
histories = st.lists(st.tuples(st.integers(0, 60), masks), max_size=6, unique_by=lambda state: state[0]).map(
    lambda states: history(*sorted(states))
)
sources = st.sampled_from(
    [LEDGER, SourcePolicy("declared", "consent", A | P), SourcePolicy("client", "consent", 0)]
)


@given(
    histories, histories, st.integers(0, 60), st.integers(0, 60), sources, st.none() | masks, st.booleans(), st.integers(0, 3),
    st.sampled_from(sorted(EVENT_PURPOSES)),
)  # fmt: skip
def test_nothing_is_stored_that_any_decision_in_force_forbids(
    visitor,
    customer,
    happened,
    received,
    source,
    client,
    gpc,
    flags,
    name,  # type: ignore[no-untyped-def]
) -> None:
    """An independent reading of the promise: for every stored purpose, each decision in force at either moment grants it."""
    facts = Facts({"v:a": visitor, "c:u": customer}, {"c:u": flags})
    event = GateEvent("a", "u", int(EVENT_PURPOSES[name]), at(happened), source, client, gpc)
    stored = decide([event], facts, at(received))[0].purposes
    assert stored & ~int(EVENT_PURPOSES[name]) == 0
    for optional in (A, P, M, S):
        if not stored & optional:
            continue
        for states in (visitor, customer):
            for moment in (at(happened), at(received)):
                in_force = [state for state in states if state.valid_from <= moment]
                assert not in_force or in_force[-1].granted & optional
        if source is LEDGER:
            assert any(state.valid_from <= at(happened) for state in visitor + customer)
        if client is not None:
            assert client & optional
        assert not flags & Flag.RESTRICTED
        assert not (flags & Flag.OBJECTED and optional == P)
        assert not (gpc and optional & GPC_WITHHELD)


MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)
_moments = st.integers(-3, 3).map(lambda days: MOMENT + timedelta(days=days))
_masks = st.integers(0, int(ALL))
_histories = st.lists(st.builds(StateAt, _moments, _masks, st.booleans()), min_size=1, max_size=2).map(sorted)
_sources = st.builds(
    SourcePolicy,
    st.sampled_from(["ledger", "client", "declared"]),
    st.sampled_from(["consent", "contract"]),
    _masks,
)


@given(
    histories=st.dictionaries(st.sampled_from(["v:a", "v:b", "c:1"]), _histories),
    events=st.lists(
        st.builds(
            GateEvent, st.sampled_from(["a", "b", None]), st.sampled_from(["1", None]), _masks, _moments, _sources,
            st.none() | _masks, st.booleans(), st.none() | _moments,
        ),
        max_size=5,
    ),
    now=_moments,
)  # fmt: skip
def test_the_quick_way_for_plain_people_gives_what_the_long_way_gives(histories, events, now):
    plain = Facts(histories)
    # Facts about somebody else altogether leave no quick way.
    long = Facts(histories, flags={"v:somebody else": 1})
    assert decide(events, plain, now) == decide(events, long, now)
