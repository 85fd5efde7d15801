"""Following the log: each fold is given every committed event once it is certain that no earlier one can
still appear.

How far a fold came (`tracking.log_position`) moves in the transaction in which it writes.

A fold's `apply` must be idempotent, and must not depend on the order of events: they come as they were
committed, late ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction

from accounts.models import Store
from accounts.valkey import ValkeyUnavailable
from tracking.ingestion.metrics import FOLD_FAILURES
from tracking.jsonb import parsed
from tracking.log_position import chunk_end, position_ensure, position_lock, position_move
from tracking.models import LogPosition

log = structlog.get_logger(__name__)

CHUNK_EVENTS: Final = 20_000

_READ: Final = """
SELECT id, message_id, type, name, visitor_id, customer_id, product_id, occurred_at, received_at, purposes, is_bot, is_trusted{properties}
  FROM tracking_event
 WHERE store_id = %(store)s AND {range} AND (%(names)s::text[] IS NULL OR name = ANY(%(names)s))
"""


class LoggedEvent(NamedTuple):
    """A row of the log. `properties` is empty for folds that do not ask for them."""

    id: UUID
    message_id: str
    type: int
    name: str
    visitor_id: int | None
    customer_id: int | None
    product_id: str
    occurred_at: datetime
    received_at: datetime
    purposes: int
    is_bot: bool
    is_trusted: bool
    properties: dict[str, Any]


@dataclass(frozen=True)
class Fold:
    """`apply(store_id, events)` takes newly committed events in, `reset(store_id)` empties what was folded.

    `event_names`: only events of these names are read (None: all). Folds of lower `stage` run first.
    `needs_rebuild(store_id)` is asked before each run, for what may be lost outside of the database;
    `caught_up(store_id)` is called when nothing is left to read.
    """

    name: str
    apply: Callable[[int, Sequence[LoggedEvent]], None]
    reset: Callable[[int], None]
    event_names: frozenset[str] | None = None
    reads_properties: bool = True
    stage: int = 50
    needs_rebuild: Callable[[int], bool] | None = None
    caught_up: Callable[[int], None] | None = None


_folds: dict[str, Fold] = {}


def register(fold: Fold) -> None:
    """Call it in `AppConfig.ready()`. Raises ValueError where another fold has the name."""
    if _folds.get(fold.name, fold) != fold:
        raise ValueError(f"Two folds are named {fold.name!r}: names must differ.")
    _folds[fold.name] = fold


def folds() -> list[Fold]:
    return sorted(_folds.values(), key=lambda fold: (fold.stage, fold.name))


def fold_new_events(
    store: Store | int, *, only: Sequence[str] = (), progress: Callable[[str, int], object] | None = None
) -> dict[str, int]:
    """Give every fold (or those named in `only`) what has been committed since its last run. Events read, by
    fold.

    A fold that fails, for want of Valkey or over what the log holds, does not hold the others back: it is left
    out of what is given, and goes on from where it was at the next run.
    """
    store_id = store if isinstance(store, int) else store.pk
    counts = {}
    for fold in folds():
        if only and fold.name not in only:
            continue
        try:
            counts[fold.name] = _run(fold, store_id, progress)
        except ValkeyUnavailable:
            log.warning("fold.valkey_unavailable", fold=fold.name, store_id=store_id)
            FOLD_FAILURES.labels(fold.name).inc()
        except (MemoryError, SoftTimeLimitExceeded):
            raise  # the process is at its end, not the fold
        except Exception:
            log.exception("fold.failed", fold=fold.name, store_id=store_id)
            FOLD_FAILURES.labels(fold.name).inc()
    return counts


def rebuild(
    store: Store | int, *, only: Sequence[str] = (), progress: Callable[[str, int], object] | None = None
) -> dict[str, int]:
    """Empty every fold (or those named) of the store and fold the whole log again."""
    store_id = store if isinstance(store, int) else store.pk
    for fold in folds():
        if not only or fold.name in only:
            _restart(fold, store_id)
    return fold_new_events(store_id, only=only, progress=progress)


def renumber_after_restore() -> int:
    """After a restore into another server: its transaction numbers begin anew, those in the rows are of the
    old one.

    Sets them all to 0 and lets every fold read the log from the start: folding again is harmless, missing an
    event is not. Gives the number of rows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE tracking_event SET xact_id = 0 WHERE xact_id <> 0")
        count = int(cursor.rowcount)
        cursor.execute("UPDATE tracking_logposition SET xact_id = 0")
    return count


def _restart(fold: Fold, store_id: int) -> None:
    with transaction.atomic():
        position = _lock(fold, store_id)
        fold.reset(store_id)
        position_move(position, 0)


def _run(fold: Fold, store_id: int, progress: Callable[[str, int], object] | None) -> int:
    if fold.needs_rebuild is not None and fold.needs_rebuild(store_id):
        _restart(fold, store_id)
    total = 0
    has_more = True
    while has_more:
        count, has_more = _step(fold, store_id)
        total += count
        if progress is not None and count:
            progress(fold.name, count)
    if fold.caught_up is not None:
        fold.caught_up(store_id)
    return total


def _step(fold: Fold, store_id: int) -> tuple[int, bool]:
    """Fold one chunk in one transaction: how many events, and whether there may be more."""
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        position = _lock(fold, store_id)
        with connection.cursor() as cursor:
            end, has_more = chunk_end(cursor, store_id, position.xact_id, CHUNK_EVENTS)
            events = _read(
                cursor,
                fold,
                store_id,
                "xact_id >= %(start)s AND xact_id < %(end)s",
                start=position.xact_id,
                end=end,
            )
            if not is_outermost and not has_more:
                # Rows of the caller's own transaction are not below the horizon yet, and will be read again:
                # for the caller they count.
                events += _read(
                    cursor,
                    fold,
                    store_id,
                    "xact_id = pg_current_xact_id()::text::bigint AND xact_id >= %(end)s",
                    end=end,
                )
        if events:
            fold.apply(store_id, events)
        position_move(position, end)
    return len(events), has_more


def _lock(fold: Fold, store_id: int) -> LogPosition:
    position_ensure(store_id, fold.name)
    position = position_lock(store_id, fold.name)
    if position is None:
        raise LogPosition.DoesNotExist(f"The position of {fold.name!r} was deleted while it was read.")
    return position


def _read(cursor: Any, fold: Fold, store_id: int, where: str, **bounds: int) -> list[LoggedEvent]:
    query = _READ.format(range=where, properties=", properties" if fold.reads_properties else "")
    names = sorted(fold.event_names) if fold.event_names is not None else None
    cursor.execute(query, {"store": store_id, "names": names, **bounds})
    if fold.reads_properties:
        return [LoggedEvent._make((*columns, parsed(text))) for *columns, text in cursor.fetchall()]
    return [LoggedEvent._make((*columns, {})) for columns in cursor.fetchall()]
