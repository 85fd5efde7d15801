"""Events that do not come over HTTP: imports, replays from quarantine, the simulator. The same way as every
other event."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, Store
from tracking.ingestion.committer import commit
from tracking.ingestion.drafts import Arrival, Draft, Reason, Source, Tally
from tracking.ingestion.validation import draft_of_bytes, draft_of_fields
from tracking.ingestion.writing import pass_gate
from tracking.models import Event

BATCH_EVENTS = 5_000
IngestResult = Tally


def ingest_messages(
    store: Store,
    api_key: ApiKey,
    messages: Iterable[Mapping[str, Any] | bytes],
    *,
    received_at: datetime | None = None,
    progress: Callable[[int], object] | None = None,
    batch_events: int = BATCH_EVENTS,
) -> IngestResult:
    """Take messages of the tracking contract, through validation, gate and quarantine, in transactions of
    `batch_events`.

    A message is a dict (times as datetimes, ISO texts or Unix seconds) or its JSON bytes, and may say
    `receivedAt`; else it was received when it was sent, else when it happened. `received_at` overrules that
    for all. `progress` is called with the number of each batch. The key declares legal basis and consent
    source. Folds (sessions, orders) are run by `tracking.folding`, not here.

    Returns the counts `stored, duplicates, quarantined, discarded`, which add up to the number of messages (a
    resent faulty one counts as quarantined again). Raises ValueError where the key is of another store,
    django.db.Error where the database cannot be used: batches before are stored, and sending all again is
    harmless.
    """
    arrival = _arrival(store, api_key, received_at)
    result = IngestResult()
    for batch in _batches(messages, batch_events):
        with _collection_paused():
            drafts = [_draft(message, arrival) for message in batch]
            result.add(commit([drafts])[0])
        if progress is not None:
            progress(len(batch))
    return result


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A message made of a row of a file. `where` says which, for people: "line 17". A row that is no event has a
    `fault`: its reason and what is wrong with it; the message then holds what could be told of it."""

    message: Mapping[str, Any] | bytes
    where: str
    fault: tuple[Reason, str] | None = None


@dataclass(frozen=True, slots=True)
class RowFault:
    where: str
    reason: Reason
    detail: str


def ingest_rows(
    store: Store,
    api_key: ApiKey,
    rows: Sequence[ImportedRow],
    *,
    alongside: Callable[[Tally, Counter[str]], object],
) -> Tally:
    """Take the rows in one transaction; `alongside` is called in it with the counts, in total and of the quarantined by
    reason, so that what it writes stands or falls with the events. Raises as `ingest_messages` does."""
    with _collection_paused():
        drafts = _drafts_of(rows, _arrival(store, api_key, None, "track"))
        return commit([drafts], alongside=lambda tally: alongside(tally, _fault_counts(drafts)))[0]


def check_rows(store: Store, api_key: ApiKey, rows: Sequence[ImportedRow]) -> tuple[Tally, list[RowFault]]:
    """What would become of the rows, and what is wrong with which: validated and judged by the gate, not stored.

    What only the log can tell (a merge of two customers) is not seen here. `tally.duplicates` are the events that are
    stored already.
    """
    tally = Tally()
    drafts = _drafts_of(rows, _arrival(store, api_key, None, "track"))
    with transaction.atomic():
        permitted = pass_gate(drafts, tally) if drafts else []
    faults = [
        RowFault(row.where, draft.rejection, draft.detail)
        for row, draft in zip(rows, drafts, strict=True)
        if draft.granted and draft.rejection is not None
    ]
    tally.quarantined = len(faults)
    ids = {draft.message_id for draft in permitted if draft.rejection is None}
    known = Event.objects.for_store(store).filter(message_id__in=ids).count() if ids else 0
    tally.stored = len(ids) - known
    tally.duplicates = len(permitted) - tally.quarantined - tally.stored
    return tally, faults


def _arrival(store: Store, api_key: ApiKey, received_at: datetime | None, default_type: str = "") -> Arrival:
    if api_key.store_id != store.pk:
        raise ValueError(f"The key {api_key.prefix}… belongs to another store than {store.slug}.")
    return Arrival(
        source=Source.of(api_key),
        received_at=received_at or timezone.now(),
        default_type=default_type,
        keeps_received_at=received_at is None,
    )


def _drafts_of(rows: Sequence[ImportedRow], arrival: Arrival) -> list[Draft]:
    drafts = []
    for row in rows:
        draft = _draft(row.message, arrival)
        if row.fault is not None:
            draft.reject(*row.fault)
        if draft.rejection is not None:
            draft.detail = f"{row.where}: {draft.detail}"
        drafts.append(draft)
    return drafts


def _fault_counts(drafts: Sequence[Draft]) -> Counter[str]:
    return Counter(str(draft.rejection) for draft in drafts if draft.granted and draft.rejection is not None)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """A batch makes a hundred thousand objects without a cycle among them: looking for one takes a third of
    the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _draft(message: Mapping[str, Any] | bytes, arrival: Arrival) -> Draft:
    return (
        draft_of_bytes(message, arrival) if isinstance(message, bytes) else draft_of_fields(message, arrival)
    )


def _batches(
    messages: Iterable[Mapping[str, Any] | bytes], size: int
) -> Iterator[list[Mapping[str, Any] | bytes]]:
    remaining = iter(messages)
    while batch := list(islice(remaining, size)):
        yield batch
