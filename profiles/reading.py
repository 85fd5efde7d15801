"""A shopper's profile, for whoever may see it. Ask the gate first: nothing here looks at permissions.

From Valkey where it is there and complete, else from the log through the reader that tracking registers, else
empty.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from django.db import Error
from redis.exceptions import ResponseError

from accounts.models import Customer, IdentityLink, PersonRecord, Store, Visitor
from accounts.valkey import ValkeyUnavailable
from profiles import sightings
from profiles import store as profile_store
from profiles.events import RecentEvent
from profiles.fold import EMPTY, Folding, Profile, fold
from profiles.sightings import Sighting

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time that a visitor was the shopper: [since, until) in Unix seconds."""

    visitor_id: int
    since: float = -math.inf
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Who:
    """Whose events make the profile: those that name the customer (in any record of theirs: merged ones have
    several), and those of the stretches that name nobody else."""

    customer_ids: tuple[int, ...]
    stretches: tuple[Stretch, ...]

    def has(self, visitor_id: int, event: RecentEvent | Sighting) -> bool:
        if event.customer_id is not None and self.customer_ids:
            return event.customer_id in self.customer_ids
        return any(
            stretch.visitor_id == visitor_id and stretch.since <= event.occurred_at < stretch.until
            for stretch in self.stretches
        )


LogReader = Callable[[int, Sequence[int], Sequence[int], float], "list[tuple[int | None, RecentEvent]]"]
"""(store id, visitor ids, customer ids, timeout in seconds) → (visitor id or None, event). Raises django.db.Error."""

_log_reader: LogReader | None = None


def register_log_reader(reader: LogReader) -> None:
    global _log_reader
    _log_reader = reader


def profile_for(
    store: Store | int,
    *,
    visitor: Visitor | int | None = None,
    customer: Customer | int | None = None,
    now: float | None = None,
    deadline: float | None = None,
) -> Profile:
    """The profile of a visitor, of a customer over all of their visitors, or of a customer at this visitor's
    browser.

    `now` in Unix seconds (default: this moment). `deadline` is a `time.monotonic()` moment: what is left of
    it bounds the reading from the log. Never raises for a server that cannot be reached: the profile is then
    empty, and its `source` is `none`.
    """
    store_id = store if isinstance(store, int) else store.pk
    visitor_id = visitor.pk if isinstance(visitor, Visitor) else visitor
    customer_id = customer.pk if isinstance(customer, Customer) else customer
    moment = time.time() if now is None else now
    if visitor_id is None and customer_id is None:
        return EMPTY
    try:
        who = who_is(store_id, visitor_id, customer_id)
    except Error:
        log.warning("profile.links_unreadable", exc_info=True)
        named = () if customer_id is None else (customer_id,)
        who = Who(named, (Stretch(visitor_id),) if visitor_id is not None else ())
    return profile_of(store_id, who, now=moment, deadline=deadline)


def profile_of(store_id: int, who: Who, *, now: float, deadline: float | None = None) -> Profile:
    """The same for who has asked `who_is` before and kept the answer: no query where Valkey has the profile."""
    if not who.stretches and not who.customer_ids:
        return EMPTY
    events = _from_valkey(store_id, who)
    if events is not None:
        return fold(events, now, source="valkey")
    events = _from_log(store_id, who, deadline)
    return fold(events, now, source="log") if events is not None else EMPTY


def who_is(
    store_id: int,
    visitor_id: int | None,
    customer_id: int | None,
    *,
    record_ids: Sequence[int] | None = None,
) -> Who:
    """The stretches of a shopper: a visitor's own time, or all that a customer is linked to. Two queries, one
    where the customer's records are known already; none without a customer."""
    if customer_id is None:
        return Who((), (Stretch(visitor_id),) if visitor_id is not None else ())
    if record_ids is None:
        people = PersonRecord.objects.for_store(store_id).filter(person__records__customer=customer_id)
        record_ids = sorted({customer_id, *people.values_list("customer_id", flat=True)})
    records = tuple(record_ids)
    own = (
        IdentityLink.objects.for_store(store_id)
        .filter(customer_id__in=records, undone_at=None)
        .values("visitor_id")
    )
    links = (
        IdentityLink.objects.for_store(store_id)
        .filter(visitor_id__in=own, undone_at=None)
        .order_by("valid_from", "pk")
    )
    rows = list(links.values_list("visitor_id", "customer_id", "valid_from", "valid_until"))
    # What a browser did before its only customer first identified there was them; after a log-out it is nobody's.
    shared = {linked for linked, owner, _, _ in rows if owner not in records}
    begun: set[int] = set()
    stretches = []
    for linked, owner, valid_from, valid_until in rows:
        if owner in records:
            since = valid_from.timestamp() if linked in shared | begun else -math.inf
            stretches.append(Stretch(linked, since, valid_until.timestamp() if valid_until else math.inf))
        begun.add(linked)
    if visitor_id is not None and visitor_id not in begun:
        stretches.append(Stretch(visitor_id))
    return Who(records, tuple(stretches))


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile as it came from Valkey with other things: `sets` are the answers for `valkey_names`, without the mark: one for each
    key, then one for each key's sightings where they were asked for."""

    is_complete: bool
    sets: tuple[tuple[bytes, ...], ...]


def valkey_names(store_id: int, who: Who, *, with_shown: bool = False) -> list[str]:
    """What to ask Valkey for so that `folded` can make the profile: see `profiles.store.names`. `with_shown`: what shelves showed
    them too."""
    keys = [key for _, key in _keys(who)]
    shown = sightings.names(store_id, keys) if with_shown else []
    return [*profile_store.names(store_id, keys), *shown]


@dataclass(frozen=True, slots=True)
class Folded:
    """A profile folded from `sets`, and whose it is. `folding` is None where some events were still to come."""

    who: Who
    sets: tuple[tuple[bytes, ...], ...]
    profile: Profile
    folding: Folding | None

    def later(self, who: Who, sets: tuple[tuple[bytes, ...], ...]) -> list[tuple[bytes, ...]] | None:
        """What stands in `sets` after what was folded, of each; None where something else has changed."""
        if self.folding is None or who != self.who or len(sets) != len(self.sets):
            return None
        pairs = list(zip(self.sets, sets, strict=True))
        if any(found[: len(known)] != known for known, found in pairs):
            return None
        return [found[len(known) :] for known, found in pairs]


def folded(who: Who, stored: StoredProfile, now: float, before: Folded | None = None) -> Folded:
    """The profile at `now` out of what Valkey gave for `valkey_names`. Only where it `is_complete`.

    `before` is what this gave earlier: what only came after it is then all that is folded.
    """
    keys = _keys(who)
    sets, shown = stored.sets[: len(keys)], stored.sets[len(keys) :]
    folding = _taken_on(keys, who, sets, now, before)
    is_whole = folding is not None
    if folding is None:
        events = _events(keys, who, sets)
        folding = Folding.of(events, now, "valkey")
        is_whole = all(event.occurred_at <= now for event in events)
    profile = folding.at(now)
    if any(shown):
        opened = (interaction.product_id for interaction in profile.interactions)
        profile = replace(profile, shown=sightings.counts(_sightings(keys, who, shown), opened, now))
    return Folded(who, sets, profile, folding if is_whole else None)


Keys = Sequence[tuple[int | None, str]]


def _taken_on(
    keys: Keys, who: Who, sets: tuple[tuple[bytes, ...], ...], now: float, before: Folded | None
) -> Folding | None:
    later = None if before is None else before.later(who, sets)
    if before is None or before.folding is None or later is None:
        return None
    if not any(later):
        return before.folding if now >= (before.folding.profile.last_event_at or now) else None
    return before.folding.after(_events(keys, who, later), now)


def _events(keys: Keys, who: Who, sets: Sequence[tuple[bytes, ...]]) -> list[RecentEvent]:
    return [
        event
        for (visitor_id, _), found in zip(keys, sets, strict=True)
        if found
        for event in profile_store.events_of(found)
        if visitor_id is None or who.has(visitor_id, event)
    ]


def _sightings(keys: Keys, who: Who, sets: Sequence[tuple[bytes, ...]]) -> list[Sighting]:
    return [
        each
        for (visitor_id, _), found in zip(keys, sets, strict=True)
        for each in sightings.sightings_of(found)
        if visitor_id is None or who.has(visitor_id, each)
    ]


def _keys(who: Who) -> list[tuple[int | None, str]]:
    visitors = dict.fromkeys(stretch.visitor_id for stretch in who.stretches)
    keys: list[tuple[int | None, str]] = [
        (visitor_id, profile_store.visitor_key(visitor_id)) for visitor_id in visitors
    ]
    return [*keys, *((None, profile_store.customer_key(customer_id)) for customer_id in who.customer_ids)]


def _from_valkey(store_id: int, who: Who) -> list[RecentEvent] | None:
    """None where Valkey cannot be reached or does not hold everything."""
    keys = _keys(who)
    try:
        sets, is_complete = profile_store.read(store_id, [key for _, key in keys])
    except (ValkeyUnavailable, ResponseError):
        return None
    if not is_complete:
        return None
    return [
        event
        for (visitor_id, _), events in zip(keys, sets, strict=True)
        for event in events
        if visitor_id is None or who.has(visitor_id, event)
    ]


def _from_log(store_id: int, who: Who, deadline: float | None) -> list[RecentEvent] | None:
    timeout_seconds = 1.0 if deadline is None else deadline - time.monotonic()
    if _log_reader is None or timeout_seconds <= 0:
        return None
    visitors = list(dict.fromkeys(stretch.visitor_id for stretch in who.stretches))
    try:
        found = _log_reader(store_id, visitors, who.customer_ids, timeout_seconds)
    except Error:
        log.warning("profile.log_unreadable", exc_info=True)
        return None
    return [event for visitor_id, event in found if visitor_id is None or who.has(visitor_id, event)]
