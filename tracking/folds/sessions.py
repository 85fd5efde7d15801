"""Sessions: a visitor's events with gaps of at most 30 minutes, 24 hours at most. Where the store says so, another
campaign (`context.campaign`) begins a session too.

A late event may lengthen a session, bridge two, or stand alone. Sessions are cut from left to right, so for each visitor
whom new events touch, what begins with the session before them and hangs together to the right of it (no gap above 30
minutes inside) is cut anew; the rest of the visitor's history stays as it is, and of a robot that never sleeps too.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from accounts.models import Store, Visitor
from consent.purposes import Purpose
from tracking.folding import Fold, LoggedEvent
from tracking.folds.amounts import currency_of, first_amount, within_bounds
from tracking.jsonb import parsed
from tracking.models import EventType, Session

GAP: Final = timedelta(minutes=30)
CAP: Final = timedelta(hours=24)
_ANALYTICS: Final = int(Purpose.ANALYTICS)
_NAMESPACE: Final = uuid.UUID("9c0a2a52-2f4b-5b0a-9f27-2d4c9f6a3d10")
_MAX_DWELL_SECONDS: Final = CAP.total_seconds()
_TYPES: Final = (
    EventType.TRACK.value,
    EventType.PAGE.value,
    EventType.SCREEN.value,
    EventType.IDENTIFY.value,
)
# Told by the shop's server days later: nobody was visiting.
_AFTERWARDS: Final = ("Order Updated", "Order Refunded", "Order Cancelled")

_SESSIONS_AROUND: Final = """
SELECT touched.nth,
       max(session.started_at) FILTER (WHERE session.started_at < touched.first_at),
       max(session.ended_at)
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[])
       WITH ORDINALITY AS touched(visitor_id, first_at, last_at, nth)
  JOIN tracking_session session
    ON session.store_id = %s AND session.visitor_id = touched.visitor_id
   AND session.ended_at >= touched.first_at - interval '30 minutes'
   AND session.started_at <= touched.last_at + interval '30 minutes'
 GROUP BY touched.nth
"""
_EVENTS_WITHIN: Final = """
SELECT event.visitor_id, event.occurred_at, event.name, event.type, event.customer_id, event.is_bot, event.is_trusted,
       CASE WHEN event.name IN ('Page Left', 'Order Completed') THEN event.properties END,
       CASE WHEN %(campaigns)s THEN event.context ->> 'campaign' END
  FROM unnest(%(visitors)s::bigint[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[]) AS touched(visitor_id, first_at, last_at)
  JOIN tracking_event event
    ON event.store_id = %(store)s AND event.visitor_id = touched.visitor_id
   AND event.occurred_at BETWEEN touched.first_at AND touched.last_at
 WHERE event.purposes & %(analytics)s <> 0 AND event.type = ANY(%(types)s) AND event.name <> ALL(%(afterwards)s)
 ORDER BY event.visitor_id, event.occurred_at, event.message_id
"""
_DELETE_WITHIN: Final = """
DELETE FROM tracking_session session
 USING unnest(%(visitors)s::bigint[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[]) AS touched(visitor_id, first_at, last_at)
 WHERE session.store_id = %(store)s AND session.visitor_id = touched.visitor_id
   AND session.started_at BETWEEN touched.first_at AND touched.last_at
"""
# Who it was at the end of the session; before the first link, the only customer whom the visitor ever was. Else whom its own
# events name, which the fold has written.
_NAME_CUSTOMERS: Final = """
UPDATE tracking_session session SET customer_id = named.customer_id
  FROM (
    SELECT session.id,
           coalesce(
             (SELECT link.customer_id FROM accounts_identitylink link
               WHERE link.visitor_id = session.visitor_id AND link.undone_at IS NULL
                 AND link.valid_from <= session.ended_at AND (link.valid_until IS NULL OR link.valid_until > session.started_at)
               ORDER BY link.valid_from DESC, link.id DESC LIMIT 1),
             (SELECT min(link.customer_id) FROM accounts_identitylink link
               WHERE link.visitor_id = session.visitor_id AND link.undone_at IS NULL
              HAVING count(DISTINCT link.customer_id) = 1 AND min(link.valid_from) > session.ended_at)
           ) AS customer_id
      FROM tracking_session session WHERE session.store_id = %s AND session.visitor_id = ANY(%s)
  ) named
 WHERE session.id = named.id AND session.customer_id IS DISTINCT FROM named.customer_id AND named.customer_id IS NOT NULL
"""
_UNNAME: Final = """
UPDATE tracking_session session SET customer_id = (
    SELECT event.customer_id FROM tracking_event event
     WHERE event.visitor_id = session.visitor_id AND event.store_id = session.store_id AND event.customer_id IS NOT NULL
       AND event.occurred_at BETWEEN session.started_at AND session.ended_at AND event.purposes & %(analytics)s <> 0
     ORDER BY event.occurred_at DESC, event.message_id DESC LIMIT 1)
 WHERE session.store_id = %(store)s AND session.visitor_id = ANY(%(visitors)s)
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What the fold reads of an event."""

    occurred_at: datetime
    name: str
    type: int = EventType.TRACK.value
    customer_id: int | None = None
    is_bot: bool = False
    is_trusted: bool = False
    properties: dict[str, Any] | None = None
    campaign: str | None = None


def split_into_sessions(visits: Iterable[Visit]) -> Iterator[list[Visit]]:
    """Visits in order of time, cut where a gap exceeds 30 minutes, where 24 hours are full, and where another campaign led
    here than the session's last one. `campaign` is None throughout where campaigns begin no session."""
    current: list[Visit] = []
    campaign: str | None = None
    for visit in visits:
        if current and (_is_over(current, visit) or _is_led_anew(current, visit, campaign)):
            yield current
            current, campaign = [], None
        current.append(visit)
        campaign = visit.campaign or campaign
    if current:
        yield current


def _is_over(current: Sequence[Visit], visit: Visit) -> bool:
    return (
        visit.occurred_at - current[-1].occurred_at > GAP or visit.occurred_at - current[0].occurred_at >= CAP
    )


def _is_led_anew(current: Sequence[Visit], visit: Visit, campaign: str | None) -> bool:
    # No two sessions of a visitor begin at the same moment.
    return bool(visit.campaign and visit.campaign != campaign and visit.occurred_at > current[0].occurred_at)


def session_of(store: Store, visitor_id: int, visits: Sequence[Visit]) -> Session:
    """The row for one session's visits (at least one), in order of time."""
    names = [visit.name for visit in visits]
    orders = [visit for visit in visits if visit.name == "Order Completed" and visit.is_trusted]
    started_at = visits[0].occurred_at
    return Session(
        id=uuid.uuid5(_NAMESPACE, f"{store.pk} {visitor_id} {started_at.isoformat()}"),
        store=store,
        visitor_id=visitor_id,
        customer_id=next(
            (visit.customer_id for visit in reversed(visits) if visit.customer_id is not None), None
        ),
        started_at=started_at,
        ended_at=visits[-1].occurred_at,
        event_count=len(visits),
        product_view_count=names.count("Product Viewed"),
        search_count=names.count("Products Searched"),
        cart_add_count=names.count("Product Added") + names.count("Wishlist Product Added to Cart"),
        order_count=len(orders),
        revenue_minor_units=within_bounds(sum(_revenue(store, visit.properties or {}) for visit in orders)),
        dwell_seconds=sum(
            _dwell_seconds(visit.properties or {}) for visit in visits if visit.name == "Page Left"
        ),
        is_bot=any(visit.is_bot for visit in visits),
    )


def _revenue(store: Store, properties: dict[str, Any]) -> int:
    currency = currency_of(properties, store.currency)
    return first_amount(properties, ("total", "revenue", "value"), currency) or 0


def _dwell_seconds(properties: dict[str, Any]) -> float:
    value = properties.get("dwell_seconds")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return min(max(float(value), 0.0), _MAX_DWELL_SECONDS)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of a visitor to be cut anew, both ends included."""

    visitor_id: int
    first_at: datetime
    last_at: datetime


def apply(store_id: int, events: Sequence[LoggedEvent]) -> None:
    """Cut anew what the events touch."""
    moments: dict[int, list[datetime]] = defaultdict(list)
    for event in events:
        if event.visitor_id is not None and _counts(event):
            moments[event.visitor_id].append(event.occurred_at)
    if moments:
        stretches = [
            Stretch(visitor_id, chain[0], chain[-1])
            for visitor_id, found in moments.items()
            for chain in _chains(sorted(found))
        ]
        _refold(Store.objects.get(pk=store_id), _widen(store_id, stretches))
    _name_customers(store_id, {event.visitor_id for event in events if event.visitor_id is not None})


def _counts(event: LoggedEvent) -> bool:
    return bool(event.purposes & _ANALYTICS) and event.type in _TYPES and event.name not in _AFTERWARDS


def _chains(moments: Sequence[datetime]) -> Iterator[list[datetime]]:
    """Moments in order, apart where more than 30 minutes lie between them."""
    chain = [moments[0]]
    for moment in moments[1:]:
        if moment - chain[-1] > GAP:
            yield chain
            chain = []
        chain.append(moment)
    yield chain


def _widen(store_id: int, stretches: Sequence[Stretch]) -> list[Stretch]:
    """The stretches from the start of the session before each on, with every session that a chain of 30 minute steps
    connects to them on the right, none twice."""
    widened = list(stretches)
    pending = list(range(len(stretches)))
    is_first_look = True
    while pending:
        visitors, firsts, lasts = _columns([widened[position] for position in pending])
        with connection.cursor() as cursor:
            cursor.execute(_SESSIONS_AROUND, [visitors, firsts, lasts, store_id])
            around = cursor.fetchall()
        grown = []
        for nth, started_at, ended_at in around:
            position = pending[nth - 1]
            known = widened[position]
            # Where that session begins was decided by what lies before it: no need to look further back.
            first_at = started_at if is_first_look and started_at is not None else known.first_at
            if first_at < known.first_at or ended_at > known.last_at:
                widened[position] = Stretch(known.visitor_id, first_at, max(known.last_at, ended_at))
            if ended_at > known.last_at:
                grown.append(position)
        pending, is_first_look = grown, False
    return _merged(widened)


def _merged(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Stretches of a visitor that have grown into each other are one."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda stretch: (stretch.visitor_id, stretch.first_at)):
        last = merged[-1] if merged else None
        if last and last.visitor_id == stretch.visitor_id and stretch.first_at - last.last_at <= GAP:
            merged[-1] = Stretch(last.visitor_id, last.first_at, max(last.last_at, stretch.last_at))
        else:
            merged.append(stretch)
    return merged


def _columns(stretches: Sequence[Stretch]) -> tuple[list[int], list[datetime], list[datetime]]:
    return (
        [stretch.visitor_id for stretch in stretches],
        [stretch.first_at for stretch in stretches],
        [stretch.last_at for stretch in stretches],
    )


def _refold(store: Store, stretches: Sequence[Stretch]) -> None:
    visits = _visits_within(store, stretches)
    known = Visitor.objects.for_store(store).filter(pk__in={stretch.visitor_id for stretch in stretches})
    places = {
        visitor_id: (device, country)
        for visitor_id, device, country in known.values_list("pk", "device", "country")
    }
    # A visitor who was erased meanwhile leaves no session.
    sessions = [
        session_of(store, visitor_id, together)
        for visitor_id, found in visits.items()
        if visitor_id in places
        for together in split_into_sessions(found)
    ]
    for session in sessions:
        session.device, session.country = places[session.visitor_id]
    visitors, firsts, lasts = _columns(stretches)
    with connection.cursor() as cursor:
        cursor.execute(
            _DELETE_WITHIN, {"store": store.pk, "visitors": visitors, "firsts": firsts, "lasts": lasts}
        )
    Session.all_stores.bulk_create(sessions, batch_size=2000)


def _visits_within(store: Store, stretches: Sequence[Stretch]) -> dict[int, list[Visit]]:
    """Visits by visitor, in order of time. More than 30 minutes lie between the stretches of one visitor."""
    visitors, firsts, lasts = _columns(stretches)
    parameters: dict[str, Any] = {
        "store": store.pk, "visitors": visitors, "firsts": firsts, "lasts": lasts, "campaigns": store.campaign_starts_session,
        "analytics": _ANALYTICS, "types": list(_TYPES), "afterwards": list(_AFTERWARDS),
    }  # fmt: skip
    found: dict[int, list[Visit]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS_WITHIN, parameters)
        for (
            visitor_id,
            occurred_at,
            name,
            kind,
            customer_id,
            is_bot,
            is_trusted,
            properties,
            campaign,
        ) in cursor.fetchall():
            found[visitor_id].append(
                Visit(occurred_at, name, kind, customer_id, is_bot, is_trusted, parsed(properties), campaign)
            )
    return found


def _name_customers(store_id: int, visitor_ids: set[int]) -> None:
    if visitor_ids:
        with connection.cursor() as cursor:
            cursor.execute(_NAME_CUSTOMERS, [store_id, sorted(visitor_ids)])


def rename_customers(store_id: int, visitor_ids: Sequence[int]) -> None:
    """Staff took a link of these visitors back or ended it: name their sessions' customers anew, by the links as they are now
    and else by the sessions' own events."""
    with connection.cursor() as cursor:
        cursor.execute(_UNNAME, {"store": store_id, "visitors": list(visitor_ids), "analytics": _ANALYTICS})
    _name_customers(store_id, set(visitor_ids))


def reset(store_id: int) -> None:
    Session.objects.for_store(store_id).delete()


SESSIONS: Final = Fold(name="sessions", apply=apply, reset=reset, reads_properties=False, stage=10)
