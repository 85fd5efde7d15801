"""The sweep of the profiles: what did not reach Valkey when it was taken (a crash, an outage) gets there by
the log.

Writing an event that is there already changes nothing. When Valkey has lost its data, the mark of
completeness is gone with it, and the whole log is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.valkey import PATIENT_SECONDS, ValkeyUnavailable
from consent.purposes import Purpose
from profiles import store as profile_store
from profiles.events import PROFILE_EVENTS, RecentEvent, recent_event
from tracking.folding import Fold, LoggedEvent
from tracking.ingestion.after_commit import profile_keys
from tracking.jsonb import parsed
from tracking.models import LogPosition

_PERSONALISATION: Final = int(Purpose.PERSONALISATION)
READER: Final = "profiles"

_NEWEST: Final = """
(SELECT visitor_id, message_id, name, product_id, properties, occurred_at, customer_id FROM tracking_event
  WHERE store_id = %(store)s AND {person} AND name = ANY(%(names)s) AND purposes & %(purpose)s <> 0 AND NOT is_bot
  ORDER BY occurred_at DESC LIMIT %(limit)s)
"""


def apply(store_id: int, events: Sequence[LoggedEvent]) -> None:
    """Raises ValkeyUnavailable: the position then stays where it is."""
    oldest = timezone.now().timestamp() - profile_store.TTL_SECONDS
    profiles: dict[str, list[RecentEvent]] = {}
    for event in events:
        occurred_at = event.occurred_at.timestamp()
        if event.is_bot or not event.purposes & _PERSONALISATION or occurred_at < oldest:
            continue
        recent = recent_event(
            message_id=event.message_id,
            name=event.name,
            product_id=event.product_id,
            properties=event.properties,
            occurred_at=occurred_at,
            customer_id=event.customer_id,
        )
        if recent is not None:
            for key in profile_keys(event.visitor_id, event.customer_id):
                profiles.setdefault(key, []).append(recent)
    if not profile_store.remember_many(store_id, profiles, timeout_seconds=PATIENT_SECONDS):
        raise ValkeyUnavailable(
            "The recent events of profiles could not be written: Valkey cannot be reached."
        )


def reset(store_id: int) -> None:
    """Nothing is deleted: what is written again is the same. Until all of it is, readers ask the log."""
    profile_store.mark_complete(store_id, complete=False)


def needs_rebuild(store_id: int) -> bool:
    """Whether Valkey has lost what was there. Raises ValkeyUnavailable."""
    if profile_store.is_complete(store_id):
        return False
    return LogPosition.objects.for_store(store_id).filter(reader=READER, xact_id__gt=0).exists()


def read_log(
    store_id: int, visitor_ids: Sequence[int], customer_ids: Sequence[int], timeout_seconds: float
) -> list[tuple[int | None, RecentEvent]]:
    """The newest events of these people straight from the log, within the time: what `profiles.reading` falls
    back on.

    (visitor id, event) for events of the visitors, (None, event) for events that name one of the customers. Raises
    django.db.Error.
    """
    queries = []
    parameters: dict[str, Any] = {
        "store": store_id, "names": list(PROFILE_EVENTS), "purpose": _PERSONALISATION, "limit": profile_store.CAPACITY,
    }  # fmt: skip
    for position, visitor_id in enumerate(visitor_ids):
        parameters[f"visitor_{position}"] = visitor_id
        queries.append(_NEWEST.format(person=f"visitor_id = %(visitor_{position})s"))
    for position, customer_id in enumerate(customer_ids):
        parameters[f"customer_{position}"] = customer_id
        queries.append(_NEWEST.format(person=f"customer_id = %(customer_{position})s"))
    if not queries:
        return []
    found: list[tuple[int | None, RecentEvent]] = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true)", [str(max(1, int(timeout_seconds * 1000)))]
        )
        cursor.execute(" UNION ALL ".join(queries), parameters)
        rows = cursor.fetchall()
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
    for visitor_id, message_id, name, product_id, properties, occurred_at, named in rows:
        event = recent_event(
            message_id=message_id,
            name=name,
            product_id=product_id,
            properties=parsed(properties),
            occurred_at=occurred_at.timestamp(),
            customer_id=named,
        )
        if event is not None:
            found.append((None if named in customer_ids else visitor_id, event))
    return found


PROFILES: Final = Fold(
    name=READER,
    apply=apply,
    reset=reset,
    event_names=frozenset(PROFILE_EVENTS),
    stage=30,
    needs_rebuild=needs_rebuild,
    caught_up=profile_store.mark_complete,
)
