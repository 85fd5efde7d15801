"""One append-only ledger, used twice: for consent and for the audit log.

Each link of a store's chain commits to its payload: commitment = SHA-256(salt ‖ canonical payload). The digest of a link
covers the digest before it, its sequence, its time, its public columns and its commitment. Payload and salt stand in a
table of their own, from which erasure may delete: without the salt the commitment says nothing about the person, and the
chain still verifies, the link counted as erased.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone

from accounts.models import Store
from consent.models import AuditEntry, AuditHead, AuditPayload, ConsentPayload, ConsentRecord, LedgerHead

GENESIS: Final = "0" * 64
_BATCH: Final = 1000


@dataclass(frozen=True)
class Ledger:
    """Which tables a chain stands in.

    `public` are columns of the link that the digest covers; `committed` are columns of the payload that the commitment
    covers; `committed_if_filled` came later: links of before hold nothing of them, and the commitment covers them where
    they are not empty. `parent` is the payload's field that points to its link.
    """

    name: str
    head: type[models.Model]
    link: type[models.Model]
    payload: type[models.Model]
    parent: str
    public: tuple[str, ...]
    committed: tuple[str, ...]
    committed_if_filled: tuple[str, ...] = ()


CONSENT: Final = Ledger(
    "consent",
    LedgerHead,
    ConsentRecord,
    ConsentPayload,
    parent="record",
    public=(),
    committed=(
        "receipt_id",
        "notice_version",
        "notice_hash",
        "language",
        "mechanism",
        "method",
        "granted",
        "denied",
        "served_notice_id",
        "gpc",
        "page_url",
        "region",
        "visitor_pseudonym",
        "customer_pseudonym",
        "ip_truncated",
        "user_agent",
    ),
    committed_if_filled=("source",),
)
AUDIT: Final = Ledger(
    "audit",
    AuditHead,
    AuditEntry,
    AuditPayload,
    parent="entry",
    public=("action",),
    committed=("actor", "target", "reason", "details"),
)
LEDGERS: Final = (CONSENT, AUDIT)


@dataclass(frozen=True)
class Entry:
    """What is appended: columns of the link, columns of the payload, and the moment (default: when it is appended)."""

    payload: Mapping[str, Any]
    public: Mapping[str, Any] = field(default_factory=dict)
    recorded_at: datetime | None = None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"A ledger cannot hold a {type(value).__name__}: {value!r}.")


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, UTF-8, times in UTC to the microsecond."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    ).encode()


def commitment(salt: str, payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + canonical(payload)).hexdigest()


def link_digest(
    previous: str, sequence: int, recorded_at: datetime, public: Sequence[Any], committed: str
) -> str:
    return hashlib.sha256(canonical([previous, sequence, recorded_at, *public, committed])).hexdigest()


def committed_values(ledger: Ledger, payload: models.Model) -> dict[str, Any]:
    filled = [name for name in ledger.committed_if_filled if getattr(payload, name)]
    return {name: getattr(payload, name) for name in (*ledger.committed, *filled)}


def digest_of(ledger: Ledger, link: Any) -> str:
    """The digest that the link ought to have, by its own columns."""
    public = [getattr(link, name) for name in ledger.public]
    return link_digest(link.previous_digest, link.sequence, link.recorded_at, public, link.commitment)


def _locked_head(ledger: Ledger, store: Store) -> Any:
    heads = ledger.head._default_manager
    head = heads.select_for_update().filter(store=store).first()
    if head is None:
        heads.bulk_create([ledger.head(store=store)], ignore_conflicts=True)
        head = heads.select_for_update().get(store=store)
    return head


@transaction.atomic
def append(ledger: Ledger, store: Store, entries: Sequence[Entry]) -> list[Any]:
    """Append in order and give the links. Waits for the store's other writers of this ledger.

    Call it last in a transaction: the head is locked until that ends.
    """
    if not entries:
        return []
    head = _locked_head(ledger, store)
    now = timezone.now()
    links, payloads = [], []
    for entry in entries:
        salt = secrets.token_hex(32)
        payload = ledger.payload(store=store, salt=salt, **entry.payload)
        link = ledger.link(
            store=store,
            sequence=head.sequence + 1,
            recorded_at=entry.recorded_at or now,
            commitment=commitment(salt, committed_values(ledger, payload)),
            previous_digest=head.digest,
            **entry.public,
        )
        link.digest = digest_of(ledger, link)  # type: ignore[attr-defined]
        setattr(payload, ledger.parent, link)
        head.sequence, head.digest = link.sequence, link.digest  # type: ignore[attr-defined]
        links.append(link)
        payloads.append(payload)
    ledger.link._default_manager.bulk_create(links, batch_size=_BATCH)
    for payload, link in zip(payloads, links, strict=True):
        setattr(payload, ledger.parent, link)  # the link has its key only now
    ledger.payload._default_manager.bulk_create(payloads, batch_size=_BATCH)
    head.save(update_fields=["sequence", "digest"])
    return links


def ranges(numbers: Sequence[int]) -> list[list[int]]:
    """[1, 2, 3, 7] → [[1, 3], [7, 7]]: how an erasure names its links briefly. `numbers` ascending."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return spans


ERASED_ACTION: Final = "ledger.payload_erased"


@transaction.atomic
def erase_payloads(ledger: Ledger, store: Store, payloads: models.QuerySet[Any], *, reason: str) -> int:
    """Delete payloads and say so in the audit log, by sequence: a payload that is gone without that is a finding.

    Gives the number of payloads.
    """
    sequences = sorted(payloads.values_list(f"{ledger.parent}__sequence", flat=True))
    if not sequences:
        return 0
    payloads.filter(**{f"{ledger.parent}__sequence__in": sequences}).delete()
    details = {"ledger": ledger.name, "sequences": ranges(sequences)}
    append(
        AUDIT,
        store,
        [Entry({"actor": "system", "reason": reason, "details": details}, {"action": ERASED_ACTION})],
    )
    return len(sequences)
