"""Where events go that cannot be stored: byte for byte, with the reason, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from consent.pseudonyms import IdentifierKind, pseudonym
from tracking.ingestion.drafts import Draft
from tracking.ingestion.messages import as_text, readable_fields
from tracking.models import QuarantinedEvent


def quarantine(store_id: int, drafts: Iterable[Draft]) -> int:
    """Keep rejected drafts, in the caller's transaction. Gives their number, resent ones included."""
    rows = {(row := _row(store_id, draft)).digest: row for draft in drafts}
    # Sorted, so that two batches that overlap wait for each other instead of deadlocking.
    QuarantinedEvent.all_stores.bulk_create(
        (rows[digest] for digest in sorted(rows)), ignore_conflicts=True, batch_size=500
    )
    return len(rows)


def _row(store_id: int, draft: Draft) -> QuarantinedEvent:
    raw = draft.raw_bytes()
    return QuarantinedEvent(
        store_id=store_id,
        message_id=_storable(draft.message_id, 100),
        event_name=_storable(draft.name or draft.message_type, 100),
        subject_pseudonyms=subject_pseudonyms(store_id, raw),
        raw=raw,
        digest=digest_of(draft),
        reason=str(draft.rejection),
        detail=_storable(draft.detail, 500),
        api_key_id=draft.arrival.source.api_key_id,
        received_at=draft.received_at,
    )


def digest_of(draft: Draft) -> str:
    """What makes a quarantined event one row however often it comes: SHA-256 of the message id, else of the bytes."""
    return hashlib.sha256(draft.message_id.encode("utf-8", "surrogatepass") or draft.raw_bytes()).hexdigest()


def subject_pseudonyms(store_id: int, raw: bytes) -> list[str]:
    """Of every id that the bytes name, also of one that was not believed: whoever is erased is erased here
    too."""
    fields = readable_fields(raw)
    named = [(IdentifierKind.USER_ID, as_text(fields.get("userId")))]
    named += [
        (IdentifierKind.ANONYMOUS_ID, as_text(fields.get(key))) for key in ("anonymousId", "previousId")
    ]
    return sorted({pseudonym(store_id, kind, value) for kind, value in named if value})


def _storable(text: str, limit: int) -> str:
    """Text that PostgreSQL takes: without U+0000 and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]
