"""Recent events in Valkey."""

from __future__ import annotations

import pytest

from accounts.valkey import ValkeyUnavailable
from profiles import store as profile_store
from profiles.events import RecentEvent

T0 = 1_777_000_000.0
STORE = 7


def viewed(number: int, second: float | None = None, customer_id: int | None = None) -> RecentEvent:
    return RecentEvent(
        f"{number:016x}",
        0,
        customer_id,
        ((f"p{number}", 1.0),),
        "",
        T0 + (number if second is None else second),
    )


def test_what_is_remembered_comes_back_oldest_first(valkey):
    assert profile_store.remember(STORE, "v:1", [viewed(2), viewed(1)])
    assert profile_store.recent(STORE, ["v:1"]) == [viewed(1), viewed(2)]
    assert profile_store.recent(STORE, ["v:2"]) == []
    assert profile_store.recent(STORE + 1, ["v:1"]) == []


def test_remembering_twice_changes_nothing_but_the_time(valkey):
    profile_store.remember(STORE, "v:1", [viewed(1, second=5.0)])
    profile_store.remember(STORE, "v:1", [viewed(1, second=6.0)])
    assert profile_store.recent(STORE, ["v:1"]) == [viewed(1, second=6.0)]


def test_only_the_newest_are_kept_whatever_the_order_of_arrival(valkey):
    numbers = range(profile_store.CAPACITY + 50)
    profile_store.remember(STORE, "v:1", [viewed(number) for number in reversed(numbers)])
    profile_store.remember(STORE, "v:1", [viewed(3)])
    kept = profile_store.recent(STORE, ["v:1"])
    assert [event.products[0][0] for event in kept] == [f"p{number}" for number in numbers[50:]]


def test_a_profile_expires(valkey):
    profile_store.remember(STORE, "v:1", [viewed(1)])
    assert 0 < valkey.ttl("etalage:7:profile:v:1") <= profile_store.TTL_SECONDS


def test_many_people_at_once(valkey):
    events = {f"v:{number}": [viewed(number)] for number in range(profile_store.EVENTS_PER_CALL * 2 + 1)}
    assert profile_store.remember_many(STORE, events)
    assert len(valkey.keys("etalage:7:profile:v:*")) == len(events)
    assert profile_store.recent(STORE, ["v:1000"]) == [viewed(1000)]
    assert profile_store.remember_many(STORE, {"v:1": []})


def test_forgetting(valkey):
    for key in ("v:1", "v:2", "c:1"):
        profile_store.remember(STORE, key, [viewed(1), viewed(2, customer_id=5), viewed(3)])
    assert profile_store.forget(STORE, ["v:1", "c:1", "c:9"]) == 2
    assert profile_store.recent(STORE, ["v:1", "c:1"]) == []
    assert profile_store.forget_between(STORE, "v:2", T0 + 3, T0 + 4) == 1
    assert profile_store.forget_customer_events(STORE, "v:2", 5) == 1
    assert profile_store.recent(STORE, ["v:2"]) == [viewed(1)]
    assert profile_store.forget(STORE, []) == 0


def test_the_mark_of_completeness(valkey):
    assert not profile_store.is_complete(STORE)
    profile_store.mark_complete(STORE)
    assert profile_store.is_complete(STORE)
    assert profile_store.read(STORE, ["v:1"]) == ([[]], True)
    profile_store.mark_complete(STORE, complete=False)
    assert not profile_store.is_complete(STORE)


def test_without_valkey_remembering_says_so_and_reading_and_forgetting_raise(no_valkey):
    assert profile_store.remember(STORE, "v:1", [viewed(1)]) is False
    with pytest.raises(ValkeyUnavailable):
        profile_store.recent(STORE, ["v:1"])
    with pytest.raises(ValkeyUnavailable):
        profile_store.forget(STORE, ["v:1"])
