"""Where events go that cannot be stored: byte for byte, with the reason, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from consent.pseudonyms import IdentifierKind, pseudonym
from tracking.ingestion.drafts import Draft
from tracking.models import QuarantinedEvent


def quarantine(store_id: int, drafts: Iterable[Draft]) -> int:
    """Keep rejected drafts, in the caller's transaction. Gives their number, resent ones included."""
    rows = {(row := _row(store_id, draft)).digest: row for draft in drafts}
    # Sorted, so that two batches that overlap wait for each other instead of deadlocking.
    QuarantinedEvent.all_stores.bulk_create((rows[digest] for digest in sorted(rows)), ignore_conflicts=True, batch_size=500)
    return len(rows)


def _row(store_id: int, draft: Draft) -> QuarantinedEvent:
    raw = draft.raw_bytes()
    return QuarantinedEvent(
        store_id=store_id,
        message_id=_storable(draft.message_id, 100),
        event_name=_storable(draft.name or draft.message_type, 100),
        subject_pseudonyms=subject_pseudonyms(store_id, draft.anonymous_id, draft.user_id),
        raw=raw,
        digest=hashlib.sha256(draft.message_id.encode("utf-8", "surrogatepass") or raw).hexdigest(),
        reason=str(draft.rejection),
        detail=_storable(draft.detail, 500),
        api_key_id=draft.arrival.source.api_key_id,
        received_at=draft.received_at,
    )


def subject_pseudonyms(store_id: int, anonymous_id: str, user_id: str) -> list[str]:
    found = [pseudonym(store_id, IdentifierKind.ANONYMOUS_ID, anonymous_id)] if anonymous_id else []
    return [*found, pseudonym(store_id, IdentifierKind.USER_ID, user_id)] if user_id else found


def _storable(text: str, limit: int) -> str:
    """Text that PostgreSQL takes: without U+0000 and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]
