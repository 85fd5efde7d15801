"""A shopper's profile, for whoever may see it. Ask the gate first: nothing here looks at permissions.

From Valkey where it is there and complete, else from the log through the reader that tracking registers, else
empty.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.db import Error
from redis.exceptions import ResponseError

from accounts.models import Customer, IdentityLink, Store, Visitor
from accounts.valkey import ValkeyUnavailable
from profiles import store as profile_store
from profiles.events import RecentEvent
from profiles.fold import EMPTY, Profile, fold

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time that a visitor was the shopper: [since, until) in Unix seconds."""

    visitor_id: int
    since: float = -math.inf
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Who:
    """Whose events make the profile: those that name the customer, and those of the stretches that name
    nobody else."""

    customer_id: int | None
    stretches: tuple[Stretch, ...]

    def has(self, visitor_id: int, event: RecentEvent) -> bool:
        if event.customer_id is not None and self.customer_id is not None:
            return event.customer_id == self.customer_id
        return any(
            stretch.visitor_id == visitor_id and stretch.since <= event.occurred_at < stretch.until
            for stretch in self.stretches
        )


LogReader = Callable[[int, Sequence[int], int | None, float], "list[tuple[int | None, RecentEvent]]"]
"""(store id, visitor ids, customer id, timeout in seconds) → (visitor id or None, event). Raises django.db.Error."""

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
        who = Who(customer_id, (Stretch(visitor_id),) if visitor_id is not None else ())
    return profile_of(store_id, who, now=moment, deadline=deadline)


def profile_of(store_id: int, who: Who, *, now: float, deadline: float | None = None) -> Profile:
    """The same for who has asked `who_is` before and kept the answer: no query where Valkey has the profile."""
    if not who.stretches and who.customer_id is None:
        return EMPTY
    events = _from_valkey(store_id, who)
    if events is not None:
        return fold(events, now, source="valkey")
    events = _from_log(store_id, who, deadline)
    return fold(events, now, source="log") if events is not None else EMPTY


def who_is(store_id: int, visitor_id: int | None, customer_id: int | None) -> Who:
    """The stretches of a shopper: a visitor's own time, or all that a customer is linked to. One query; none
    without a customer."""
    if customer_id is None:
        return Who(None, (Stretch(visitor_id),) if visitor_id is not None else ())
    own = (
        IdentityLink.objects.for_store(store_id)
        .filter(customer_id=customer_id, undone_at=None)
        .values("visitor_id")
    )
    links = (
        IdentityLink.objects.for_store(store_id)
        .filter(visitor_id__in=own, undone_at=None)
        .order_by("valid_from", "pk")
    )
    rows = list(links.values_list("visitor_id", "customer_id", "valid_from", "valid_until"))
    owners: dict[int, set[int]] = {}
    for linked, owner, _, _ in rows:
        owners.setdefault(linked, set()).add(owner)
    stretches = [
        Stretch(
            linked,
            # What a browser did before its only customer identified there was them.
            -math.inf if len(owners[linked]) == 1 else valid_from.timestamp(),
            valid_until.timestamp() if valid_until else math.inf,
        )
        for linked, owner, valid_from, valid_until in rows
        if owner == customer_id
    ]
    if visitor_id is not None and visitor_id not in owners:
        stretches.append(Stretch(visitor_id))
    return Who(customer_id, tuple(stretches))


def _keys(who: Who) -> list[tuple[int | None, str]]:
    visitors = dict.fromkeys(stretch.visitor_id for stretch in who.stretches)
    keys: list[tuple[int | None, str]] = [
        (visitor_id, profile_store.visitor_key(visitor_id)) for visitor_id in visitors
    ]
    return (
        [*keys, (None, profile_store.customer_key(who.customer_id))] if who.customer_id is not None else keys
    )


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
        found = _log_reader(store_id, visitors, who.customer_id, timeout_seconds)
    except Error:
        log.warning("profile.log_unreadable", exc_info=True)
        return None
    return [event for visitor_id, event in found if visitor_id is None or who.has(visitor_id, event)]
