"""Heads of the ledgers, written to files that can be kept where the database's keepers cannot reach them.

One file a store in `ETALAGE_ANCHOR_DIR`, one JSON object a line: ledger, sequence, digest, time. Digests say nothing
about anybody.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from accounts.models import Store
from consent.ledger import LEDGERS


@dataclass(frozen=True)
class Anchor:
    ledger: str
    sequence: int
    digest: str
    anchored_at: str


def anchor_path(store: Store) -> Path:
    return Path(settings.ETALAGE_ANCHOR_DIR) / f"store-{store.pk}.jsonl"


def read_anchors(store: Store) -> list[Anchor]:
    """Oldest first. Raises ValueError for a line that is no anchor: the file is evidence, and not to be guessed at."""
    path = anchor_path(store)
    if not path.exists():
        return []
    anchors = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            anchors.append(Anchor(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"Line {number} of {path} is not an anchor: {line[:80]!r}.") from error
    return anchors


def append_lines(path: Path, lines: list[str]) -> None:
    """Append whole lines and wait until they are on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def anchor_heads(store: Store) -> list[Anchor]:
    """Write the present head of each ledger that has moved since it was last anchored. Gives what was written."""
    newest = {anchor.ledger: anchor for anchor in read_anchors(store)}
    moment = timezone.now().isoformat(timespec="seconds")
    written = []
    for ledger in LEDGERS:
        head = ledger.head._default_manager.filter(store=store).values("sequence", "digest").first()
        known = newest.get(ledger.name)
        if head and head["sequence"] and (known is None or known.digest != head["digest"]):
            written.append(Anchor(ledger.name, head["sequence"], head["digest"], moment))
    if written:
        append_lines(anchor_path(store), [json.dumps(asdict(anchor)) for anchor in written])
    return written
