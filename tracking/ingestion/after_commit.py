"""What must be known before the answer: a shelf that is asked for next has to see the last event.

Runs after the commit. Nothing here may fail a request whose events are stored: what does not reach Valkey is
brought there by the sweep that follows the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from redis.exceptions import RedisError

from consent.purposes import Purpose
from profiles import sightings
from profiles import store as profile_store
from profiles.events import PROFILE_EVENTS, RecentEvent, recent_event
from profiles.sightings import SHOWN, Sighting
from tracking.ingestion.drafts import Draft
from tracking.models import EventType
from tracking.quality import clocks

log = structlog.get_logger(__name__)

_PERSONALISATION: Final = int(Purpose.PERSONALISATION)
_PROFILE_EVENTS: Final = frozenset((*PROFILE_EVENTS, SHOWN))
_TRACK: Final = EventType.TRACK.value


def announce(drafts: Sequence[Draft]) -> None:
    """Put into the profiles what was stored for personalisation, and note how far the senders' clocks are off.

    Never raises: the events are committed, and whoever sent them must not be told otherwise.
    """
    try:
        clocks.note(drafts)
        _remember(drafts)
    except Exception:
        log.exception("ingestion.announce_failed")


def _remember(drafts: Sequence[Draft]) -> None:
    stores: dict[int, dict[str, list[RecentEvent]]] = {}
    shown: dict[int, dict[str, list[Sighting]]] = {}
    for draft in drafts:
        if not _concerns_profiles(draft):
            continue
        if draft.name == SHOWN:
            _note_sighting(draft, shown.setdefault(draft.arrival.source.store_id, {}))
            continue
        event = recent_event(
            message_id=draft.message_id,
            name=draft.name,
            product_id=draft.product_id,
            properties=draft.properties,
            occurred_at=draft.occurred_at.timestamp(),
            customer_id=draft.customer_id,
        )
        if event is not None:
            profiles = stores.setdefault(draft.arrival.source.store_id, {})
            for key in profile_keys(draft.visitor_id, draft.customer_id):
                profiles.setdefault(key, []).append(event)
    for store_id, profiles in stores.items():
        try:
            profile_store.remember_many(store_id, profiles)
        except RedisError:
            log.exception("profiles.remember_failed")
    for store_id, seen in shown.items():
        sightings.remember(store_id, seen)


def _note_sighting(draft: Draft, seen: dict[str, list[Sighting]]) -> None:
    found = sightings.sighting(
        message_id=draft.message_id,
        name=draft.name,
        product_id=draft.product_id,
        properties=draft.properties,
        occurred_at=draft.occurred_at.timestamp(),
        customer_id=draft.customer_id,
    )
    if found is not None:
        for key in profile_keys(draft.visitor_id, draft.customer_id):
            seen.setdefault(key, []).append(found)


def _concerns_profiles(draft: Draft) -> bool:
    return bool(
        draft.granted & _PERSONALISATION
        and draft.name in _PROFILE_EVENTS
        and draft.type_code == _TRACK
        and draft.rejection is None
        and not draft.is_bot
    )


def profile_keys(visitor_id: int | None, customer_id: int | None) -> list[str]:
    """An event belongs to its browser, and to the customer whom it names itself."""
    keys = [profile_store.visitor_key(visitor_id)] if visitor_id is not None else []
    return [*keys, profile_store.customer_key(customer_id)] if customer_id is not None else keys
