"""Events that do not come over HTTP: imports, replays from quarantine, the simulator. The same way as every
other event."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils import timezone

from accounts.models import ApiKey, Store
from tracking.ingestion.committer import commit
from tracking.ingestion.drafts import Arrival, Draft, Source, Tally
from tracking.ingestion.validation import draft_of_bytes, draft_of_fields

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
    if api_key.store_id != store.pk:
        raise ValueError(f"The key {api_key.prefix}… belongs to another store than {store.slug}.")
    arrival = Arrival(
        source=Source.of(api_key),
        received_at=received_at or timezone.now(),
        keeps_received_at=received_at is None,
    )
    result = IngestResult()
    for batch in _batches(messages, batch_events):
        with _collection_paused():
            drafts = [_draft(message, arrival) for message in batch]
            result.add(commit([drafts])[0])
        if progress is not None:
            progress(len(batch))
    return result


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
