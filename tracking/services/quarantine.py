"""What a person does with an event in quarantine: send it through the door again, mended or not, or let it
go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from django.db import transaction

from accounts import auditing
from accounts.models import User
from tracking.ingestion.committer import commit
from tracking.ingestion.drafts import Arrival, Draft, Source, Tally
from tracking.ingestion.quarantine import digest_of, subject_pseudonyms
from tracking.ingestion.validation import draft_of_bytes
from tracking.models import QuarantinedEvent

Outcome = Literal["stored", "duplicate", "not_permitted", "faulty"]
State = QuarantinedEvent.State
MAX_RAW_BYTES: Final = 1_000_000


class CannotReplay(ValueError):
    """The event cannot be sent through again; the message says why."""


@dataclass(frozen=True)
class ReplayResult:
    """What became of the event. `detail` says what is still wrong with one that is `faulty`."""

    outcome: Outcome
    detail: str = ""


def quarantine_replay(
    *, event: QuarantinedEvent, actor: User | None, raw: bytes | None = None
) -> ReplayResult:
    """Send the event through validation, consent and storage as if it came now from its key, `raw` in place
    of its bytes.

    It keeps the moment of its receipt. One that is still faulty stays open with its new reason, and the bytes
    as mended. Storing it and closing it are one transaction. Raises
    CannotReplay for one that is not open, or whose key is gone: nobody can say then what was permitted.
    """
    if event.state != State.OPEN:
        raise CannotReplay(
            f"This event is {event.get_state_display().lower()}: only open ones can be replayed."
        )
    content = bytes(event.raw) if raw is None else raw
    draft = draft_of_quarantined(event, content)
    if draft.rejection is not None:
        return _still_faulty(event, content, draft)
    result = ReplayResult("stored")
    others = QuarantinedEvent.objects.for_store(event.store_id).exclude(pk=event.pk)
    is_there_twice = others.filter(digest=digest_of(draft)).exists()

    def close(tally: Tally) -> None:
        nonlocal result
        if draft.rejection is not None:
            # Refused while it was written, it went to quarantine once more where the mend changed its id.
            if not is_there_twice:
                others.filter(digest=digest_of(draft)).delete()
            result = _still_faulty(event, content, draft)
            return
        result = ReplayResult(
            "stored" if tally.stored else "duplicate" if tally.duplicates else "not_permitted"
        )
        details = {"outcome": result.outcome, "is_mended": raw is not None}
        _close(event, State.REPLAYED, actor, "quarantined_event.replayed", "", details)

    commit([[draft]], alongside=close)
    return result


def draft_of_quarantined(event: QuarantinedEvent, raw: bytes) -> Draft:
    """What validation makes of the bytes, as if they came now from the event's key, received when it was."""
    if event.api_key is None:
        raise CannotReplay(
            "The key that it came with is deleted: what it may be used for cannot be told any more. Discard it."
        )
    if len(raw) > MAX_RAW_BYTES:
        raise CannotReplay(f"{len(raw):,} bytes; at most {MAX_RAW_BYTES:,}.")
    arrival = Arrival(source=Source.of(event.api_key), received_at=event.received_at, keeps_received_at=False)
    return draft_of_bytes(raw, arrival)


@transaction.atomic
def _still_faulty(event: QuarantinedEvent, raw: bytes, draft: Draft) -> ReplayResult:
    QuarantinedEvent.objects.for_store(event.store_id).filter(pk=event.pk).update(
        raw=raw,
        reason=str(draft.rejection),
        detail=draft.detail[:500],
        # The mended bytes may name somebody else: erasure must find them too.
        subject_pseudonyms=subject_pseudonyms(event.store_id, raw),
    )
    event.refresh_from_db()
    return ReplayResult("faulty", draft.detail)


@transaction.atomic
def quarantine_discard(*, event: QuarantinedEvent, actor: User | None, reason: str = "") -> None:
    """Let the event go. Its bytes stay until retention takes them. Raises CannotReplay for one that is not
    open."""
    if event.state != State.OPEN:
        raise CannotReplay(f"This event is {event.get_state_display().lower()} already.")
    _close(event, State.DISCARDED, actor, "quarantined_event.discarded", reason, {})


@transaction.atomic
def _close(
    event: QuarantinedEvent,
    state: str,
    actor: User | None,
    action: str,
    reason: str,
    details: Mapping[str, object],
) -> None:
    closed = (
        QuarantinedEvent.objects.for_store(event.store_id)
        .filter(pk=event.pk, state=State.OPEN)
        .update(state=state, job=None)
    )
    event.refresh_from_db()
    if closed:
        target = f"quarantined_event:{event.pk}"
        auditing.record(
            store=event.store, actor=actor, action=action, target=target, reason=reason, details=details
        )
