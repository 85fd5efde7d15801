"""The review list: checks report what is odd, people resolve or dismiss it, and what is no longer true resolves
itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import Store, User
from tracking.models import Finding, FindingKind

State = Finding.State
Severity = Finding.Severity
CHUNK: Final = 500
NO_LONGER_TRUE: Final = "No longer true."


class CannotClose(ValueError):
    """The finding cannot be closed that way; the message says why."""


@dataclass(frozen=True)
class FindingDraft:
    """What a check found. `key` is what makes it the same thing next time, at most 200 characters.

    `summary` is one plain sentence. `details` are numbers and ids, never names or addresses. `evidence` are
    references `<noun>:<id>`. `observed_at` is the moment of what was seen, now if not said: a finding that a person
    resolved opens again if it is seen after that. `began_at` is since when, if that was before. `fingerprint` is what
    must change for a dismissed one to open again; the details, if not said: say it where they hold figures that
    differ a little each time.
    """

    kind: FindingKind
    key: str
    summary: str
    severity: Finding.Severity = Severity.MEDIUM
    details: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[str] = ()
    observed_at: datetime | None = None
    began_at: datetime | None = None
    fingerprint: str | None = None

    def digest(self) -> str:
        told = self.fingerprint
        if told is None:
            told = json.dumps(self.details, sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class FindingCounts:
    """`left_closed` were told again, and stay as a person left them."""

    new: int = 0
    refreshed: int = 0
    reopened: int = 0
    left_closed: int = 0

    def __add__(self, other: FindingCounts) -> FindingCounts:
        return FindingCounts(
            self.new + other.new,
            self.refreshed + other.refreshed,
            self.reopened + other.reopened,
            self.left_closed + other.left_closed,
        )


def findings_report(*, store: Store, findings: Iterable[FindingDraft]) -> FindingCounts:
    """Write what was found, once per kind and key (the last draft counts). Safe to repeat.

    A dismissed one opens again only where its fingerprint changed; one that a person resolved, where it was seen after
    that; one that resolved itself, always.
    """
    drafts = {(str(draft.kind), draft.key): draft for draft in findings}
    counts = FindingCounts()
    for chunk in _chunks(sorted(drafts)):
        counts += _report({identity: drafts[identity] for identity in chunk}, store)
    return counts


def _chunks(identities: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    left = iter(identities)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


@transaction.atomic
def _report(drafts: Mapping[tuple[str, str], FindingDraft], store: Store) -> FindingCounts:
    now = timezone.now()
    known = (
        Finding.objects.for_store(store)
        .filter(kind__in={kind for kind, _ in drafts}, key__in=[key for _, key in drafts])
        .select_for_update()
        .order_by("kind", "key")
    )
    rows = {(row.kind, row.key): row for row in known if (row.kind, row.key) in drafts}
    reopened = left_closed = 0
    for identity, row in rows.items():
        was_open = row.state == State.OPEN
        _refresh(row, drafts[identity], now)
        reopened += not was_open and row.state == State.OPEN
        left_closed += row.state != State.OPEN
    Finding.all_stores.bulk_update(rows.values(), _REFRESHED, batch_size=CHUNK)
    new = [_new(store, draft, now) for identity, draft in drafts.items() if identity not in rows]
    # Another run of the same check may tell the same thing at the same moment.
    Finding.all_stores.bulk_create(new, ignore_conflicts=True, batch_size=CHUNK)
    return FindingCounts(len(new), len(rows) - reopened - left_closed, reopened, left_closed)


_REFRESHED: Final = (
    "severity", "summary", "details", "evidence", "fingerprint", "last_seen_at", "state", "resolved_by", "resolved_at",
    "note",
)  # fmt: skip


def _new(store: Store, draft: FindingDraft, now: datetime) -> Finding:
    seen_at = draft.observed_at or now
    row = Finding(store=store, kind=draft.kind, key=draft.key, first_seen_at=draft.began_at or seen_at)
    _tell(row, draft, seen_at)
    return row


def _tell(row: Finding, draft: FindingDraft, seen_at: datetime) -> None:
    row.severity = draft.severity
    row.summary = draft.summary[:300]
    row.details = dict(draft.details)
    row.evidence = list(draft.evidence)
    row.fingerprint = draft.digest()
    row.last_seen_at = seen_at


def _refresh(row: Finding, draft: FindingDraft, now: datetime) -> None:
    seen_at = max(draft.observed_at or now, row.last_seen_at)
    if _opens_again(row, draft, seen_at):
        row.state, row.resolved_by, row.resolved_at, row.note = State.OPEN, None, None, ""
    _tell(row, draft, seen_at)


def _opens_again(row: Finding, draft: FindingDraft, seen_at: datetime) -> bool:
    if row.state == State.DISMISSED:
        return row.fingerprint != draft.digest()
    if row.state == State.RESOLVED:
        return row.resolved_by_id is None or row.resolved_at is None or seen_at > row.resolved_at
    return False


def finding_close(*, finding: Finding, actor: User, state: str, note: str = "") -> None:
    """Resolve or dismiss one; see `findings_close`. Raises CannotClose for one that is not open."""
    if not findings_close(store=finding.store, findings=[finding], actor=actor, state=state, note=note):
        finding.refresh_from_db()
        raise CannotClose(f"This finding is {finding.get_state_display().lower()} already.")
    finding.refresh_from_db()


@transaction.atomic
def findings_close(
    *, store: Store, findings: Collection[Finding], actor: User, state: str, note: str = ""
) -> int:
    """Resolve (it is mended) or dismiss (it is no fault) those that are open. Gives their number. One entry in the
    audit log names them all. Raises CannotClose for any other state."""
    if state not in (State.RESOLVED, State.DISMISSED):
        raise CannotClose(f"A finding is resolved or dismissed, not {state!r}.")
    rows = Finding.objects.for_store(store).filter(
        pk__in=[finding.pk for finding in findings], state=State.OPEN
    )
    closed = sorted(rows.select_for_update().values_list("pk", flat=True))
    if not closed:
        return 0
    Finding.objects.for_store(store).filter(pk__in=closed).update(
        state=state, resolved_by=actor, resolved_at=timezone.now(), note=note[:500]
    )
    target = f"finding:{closed[0]}" if len(closed) == 1 else "findings"
    auditing.record(
        store=store,
        actor=actor,
        action=f"finding.{state}",
        target=target,
        reason=note,
        details={"findings": closed},
    )
    return len(closed)


@transaction.atomic
def finding_reopen(*, finding: Finding, actor: User, note: str = "") -> None:
    """Take a resolution or a dismissal back. Raises CannotClose for one that is open."""
    closed = Finding.objects.for_store(finding.store_id).filter(pk=finding.pk).exclude(state=State.OPEN)
    if not closed.update(state=State.OPEN, resolved_by=None, resolved_at=None, note=""):
        raise CannotClose("This finding is open.")
    finding.refresh_from_db()
    auditing.record(
        store=finding.store,
        actor=actor,
        action="finding.reopened",
        target=f"finding:{finding.pk}",
        reason=note,
    )


def findings_clear(
    *,
    store: Store,
    kind: FindingKind,
    except_keys: Collection[str],
    key_prefix: str = "",
    only_keys: Collection[str] | None = None,
    seen_since: datetime | None = None,
) -> int:
    """Resolve the open findings of the kind that were not found again. Gives their number.

    `key_prefix`, `only_keys` and `seen_since` keep to the part that the check has looked at.
    """
    gone = Finding.objects.for_store(store).filter(kind=kind, state=State.OPEN)
    if key_prefix:
        gone = gone.filter(key__startswith=key_prefix)
    if only_keys is not None:
        gone = gone.filter(key__in=list(only_keys))
    if seen_since is not None:
        gone = gone.filter(last_seen_at__gte=seen_since)
    return gone.exclude(key__in=list(except_keys)).update(
        state=State.RESOLVED, resolved_by=None, resolved_at=timezone.now(), note=NO_LONGER_TRUE
    )
