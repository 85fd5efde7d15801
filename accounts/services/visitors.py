from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.identifiers import is_forbidden_id
from accounts.models.identity import Visitor
from accounts.models.store import Store

# `last_seen_at` is for people who look at lists and for retention: no event is worth a row update for a few seconds.
LAST_SEEN_RESOLUTION_SECONDS: Final = 60
_LAST_SEEN_RESOLUTION: Final = timedelta(seconds=LAST_SEEN_RESOLUTION_SECONDS)

_FIND = """
SELECT visitor.anonymous_id, visitor.id, visitor.last_seen_at, visitor.first_seen_at, visitor.is_bot
FROM accounts_visitor AS visitor
WHERE visitor.store_id = %s AND visitor.anonymous_id = ANY(%s)
"""

# Sorted, so that two batches that overlap wait for each other instead of deadlocking.
_INSERT = """
INSERT INTO accounts_visitor (store_id, anonymous_id, first_seen_at, last_seen_at, country, device, is_bot)
SELECT %s, seen.anonymous_id, seen.first_seen_at, seen.last_seen_at, seen.country, seen.device, seen.is_bot
FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::boolean[])
    AS seen(anonymous_id, first_seen_at, last_seen_at, country, device, is_bot)
ORDER BY seen.anonymous_id
ON CONFLICT (store_id, anonymous_id) DO UPDATE SET last_seen_at = GREATEST(accounts_visitor.last_seen_at, EXCLUDED.last_seen_at)
RETURNING anonymous_id, id
"""

# A row that somebody else is writing is being freshened already: pass over it rather than wait.
_FRESHEN = """
UPDATE accounts_visitor AS visitor
SET last_seen_at = GREATEST(visitor.last_seen_at, seen.last_seen_at),
    first_seen_at = LEAST(visitor.first_seen_at, seen.first_seen_at),
    country = COALESCE(NULLIF(seen.country, ''), visitor.country),
    device = COALESCE(NULLIF(seen.device, ''), visitor.device),
    is_bot = visitor.is_bot OR seen.is_bot
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::boolean[])
    AS seen(id, first_seen_at, last_seen_at, country, device, is_bot)
WHERE visitor.id = seen.id
  AND visitor.id IN (SELECT id FROM accounts_visitor WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True)
class SeenVisitor:
    """What a batch of events says of one visitor: `country` two letters, `device` desktop, mobile or tablet; empty is unknown."""

    anonymous_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    country: str = ""
    device: str = ""
    is_bot: bool = False


def visitors_find(cursor: Any, store_id: int, anonymous_ids: Iterable[str]) -> None:
    """Ask for what `visitors_get_or_create` needs first, of these ids or more. The answer stays in the cursor."""
    cursor.execute(_FIND, [store_id, list(anonymous_ids)])


def visitors_get_or_create(
    cursor: Any, store_id: int, seen: Iterable[SeenVisitor], found: Iterable[Any] | None = None
) -> dict[str, int]:
    """{anonymous id: visitor id} of a whole batch, on the caller's cursor and in its transaction.

    One query where all are known and fresh, three at most; one less with the rows of `visitors_find` of this
    transaction as `found`. `cursor` is psycopg's or Django's. Several entries for one visitor are merged. Raises
    ValueError for an id that names nobody: the caller has checked them.
    """
    merged = _merge(seen)
    if not merged:
        return {}
    for anonymous_id in merged:
        if is_forbidden_id(anonymous_id):
            raise ValueError(f"{anonymous_id[:40]!r} cannot be an anonymous id.")
    if found is None:
        visitors_find(cursor, store_id, merged)
        found = cursor.fetchall()
    ids: dict[str, int] = {}
    stale: list[tuple[int, SeenVisitor]] = []
    for anonymous_id, visitor_id, last_seen_at, first_seen_at, is_bot in found:
        visitor = merged.get(anonymous_id)
        if visitor is None:
            continue
        ids[anonymous_id] = visitor_id
        is_later = visitor.last_seen_at - last_seen_at > _LAST_SEEN_RESOLUTION
        if is_later or visitor.first_seen_at < first_seen_at or visitor.is_bot > is_bot:
            stale.append((visitor_id, visitor))
    if new := [visitor for anonymous_id, visitor in merged.items() if anonymous_id not in ids]:
        cursor.execute(_INSERT, [store_id, [visitor.anonymous_id for visitor in new], *_columns(new)])
        ids.update(cursor.fetchall())
    if stale:
        stale_ids = [visitor_id for visitor_id, _ in stale]
        cursor.execute(_FRESHEN, [stale_ids, *_columns([visitor for _, visitor in stale]), stale_ids])
    return ids


def _merge(seen: Iterable[SeenVisitor]) -> dict[str, SeenVisitor]:
    merged: dict[str, SeenVisitor] = {}
    for visitor in seen:
        known = merged.get(visitor.anonymous_id)
        if known is not None:
            visitor = SeenVisitor(
                visitor.anonymous_id,
                min(known.first_seen_at, visitor.first_seen_at),
                max(known.last_seen_at, visitor.last_seen_at),
                visitor.country or known.country,
                visitor.device or known.device,
                known.is_bot or visitor.is_bot,
            )
        merged[visitor.anonymous_id] = visitor
    return merged


def _columns(visitors: list[SeenVisitor]) -> list[list[Any]]:
    return [
        [visitor.first_seen_at for visitor in visitors],
        [visitor.last_seen_at for visitor in visitors],
        [visitor.country for visitor in visitors],
        [visitor.device for visitor in visitors],
        [visitor.is_bot for visitor in visitors],
    ]


def visitor_get_or_create(*, store: Store, anonymous_id: str, at: datetime | None = None) -> Visitor:
    """The visitor of this browser, made at `at` (default now) if new. Raises ValueError for an id that names nobody."""
    moment = at or timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        ids = visitors_get_or_create(cursor, store.pk, [SeenVisitor(anonymous_id, moment, moment)])
    return Visitor.objects.for_store(store).get(pk=ids[anonymous_id])
