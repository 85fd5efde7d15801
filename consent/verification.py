"""Prove a ledger: what was changed, inserted, deleted or cut since it was written, up to the last anchored head.

Who holds the database can rewrite a whole chain; who also holds the anchor file cannot do so unseen. Keep that file on
another machine (`docs/privacy.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from accounts.models import Store
from consent.anchors import Anchor, read_anchors
from consent.ledger import ERASED_ACTION, GENESIS, LEDGERS, Ledger, commitment, committed_values, digest_of
from consent.models import AuditPayload

_CHUNK: Final = 2000


@dataclass(frozen=True)
class Finding:
    """`kind`: changed, payload_changed, payload_missing, deleted, inserted, cut, rewritten or head."""

    kind: str
    sequence: int
    detail: str


@dataclass
class Report:
    """What `verify` saw of one ledger. `erased` links have lost their payload by an erasure on record."""

    ledger: str
    entries: int = 0
    erased: int = 0
    anchors: int = 0
    anchored_sequence: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "is_intact": self.is_intact}


def _erasures_on_record(store: Store, ledger: Ledger) -> list[list[int]]:
    details = (
        AuditPayload.objects.for_store(store)
        .filter(entry__action=ERASED_ACTION)
        .values_list("details", flat=True)
    )
    return [
        span for each in details if each.get("ledger") == ledger.name for span in each.get("sequences", [])
    ]


def _links(ledger: Ledger, store: Store) -> Iterator[Any]:
    links = (
        ledger.link._default_manager.filter(store=store).order_by("sequence", "pk").select_related("payload")
    )
    return links.iterator(chunk_size=_CHUNK)


def _check_payload(ledger: Ledger, link: Any, spans: Iterable[list[int]], report: Report) -> None:
    payload = getattr(link, "payload", None)
    if payload is None:
        if any(first <= link.sequence <= last for first, last in spans):
            report.erased += 1
        else:
            report.findings.append(
                Finding("payload_missing", link.sequence, "its payload is gone and no erasure says so")
            )
    elif commitment(payload.salt, committed_values(ledger, payload)) != link.commitment:
        report.findings.append(
            Finding("payload_changed", link.sequence, "its payload is not what it commits to")
        )


def _check_head(ledger: Ledger, store: Store, last: Any, report: Report) -> None:
    head: Any = ledger.head._default_manager.filter(store=store).first()
    sequence, digest = (last.sequence, last.digest) if last else (0, GENESIS)
    if head is None:
        if last:
            report.findings.append(Finding("head", sequence, "the head row is gone"))
    elif head.sequence > sequence:
        report.findings.append(
            Finding("cut", sequence + 1, f"entries {sequence + 1} to {head.sequence} are gone from the end")
        )
    elif head.sequence < sequence:
        report.findings.append(
            Finding("inserted", head.sequence + 1, "written past the head, not through the ledger")
        )
    elif head.digest != digest:
        report.findings.append(
            Finding("head", sequence, "the head does not carry the digest of the last entry")
        )


def _check_anchors(anchors: list[Anchor], digests: dict[int, str], last: int, report: Report) -> None:
    for anchor in anchors:
        if anchor.sequence > last:
            report.findings.append(
                Finding(
                    "cut",
                    last + 1,
                    f"the head anchored at {anchor.anchored_at} was entry {anchor.sequence}; the ledger ends at {last}",
                )
            )
        elif digests.get(anchor.sequence) != anchor.digest:
            report.findings.append(
                Finding(
                    "rewritten", anchor.sequence, f"not the entry that was anchored at {anchor.anchored_at}"
                )
            )


def verify(ledger: Ledger, store: Store, anchors: list[Anchor] | None = None) -> Report:
    """Read the whole chain. `anchors` default to those in the anchor file; memory does not grow with the ledger."""
    anchored = [
        anchor
        for anchor in (read_anchors(store) if anchors is None else anchors)
        if anchor.ledger == ledger.name and anchor.sequence
    ]
    wanted = {anchor.sequence for anchor in anchored}
    report = Report(ledger.name, anchors=len(anchored), anchored_sequence=max(wanted, default=0))
    spans = _erasures_on_record(store, ledger)
    digests: dict[int, str] = {}
    sequence, previous, last = 0, GENESIS, None
    for link in _links(ledger, store):
        report.entries += 1
        is_gap = link.sequence != sequence + 1
        if is_gap:
            report.findings.append(
                Finding("deleted", sequence + 1, f"entries {sequence + 1} to {link.sequence - 1} are missing")
            )
        if digest_of(ledger, link) != link.digest:
            report.findings.append(
                Finding("changed", link.sequence, "its columns are not what its digest was made from")
            )
        elif link.previous_digest != previous and not is_gap:
            report.findings.append(
                Finding(
                    "inserted",
                    link.sequence,
                    f"it does not follow entry {sequence}: one of the two was put there later",
                )
            )
        _check_payload(ledger, link, spans, report)
        if link.sequence in wanted:
            digests[link.sequence] = link.digest
        sequence, previous, last = link.sequence, link.digest, link
    _check_head(ledger, store, last, report)
    _check_anchors(anchored, digests, sequence, report)
    return report


def verify_all(store: Store) -> list[Report]:
    return [verify(ledger, store) for ledger in LEDGERS]
