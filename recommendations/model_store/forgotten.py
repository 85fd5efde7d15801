"""Who was erased of late: so that a training that read the log before does not bring them back.

A note is written before any version is touched. Whoever makes a version shows it first and reads the notes after: one of the two sees
the other. A note is a keyed hash (`sessions.owner_hash`) with its moment, and is dropped when no training can be that old any more.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection
from pathlib import Path
from time import time
from typing import Final

from django.conf import settings

KEPT_SECONDS: Final = 2 * 86_400.0
"""Longer than any training takes."""
FILE_NAME: Final = "forgotten.jsonl"


def note(store_id: int, hashes: Collection[int]) -> None:
    """Durable when it returns."""
    if not hashes:
        return
    path = _path(store_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = time()
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = [line for line in _lines(path) if line[0] > now - KEPT_SECONDS]
        file.seek(0)
        file.truncate()
        file.writelines(json.dumps(line) + "\n" for line in [*kept, *([now, known] for known in hashes)])
        file.flush()
        os.fsync(file.fileno())


def since(store_id: int, moment: float) -> list[int]:
    """Hashes of those who were forgotten at `moment` (Unix seconds) or later."""
    path = _path(store_id)
    if not path.exists():
        return []
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return [known for at, known in _lines(path) if at >= moment]


def _path(store_id: int) -> Path:
    return Path(settings.ETALAGE_MODEL_DIR) / str(store_id) / FILE_NAME


def _lines(path: Path) -> list[tuple[float, int]]:
    """A line that a full disk cut short is left out."""
    found = []
    for line in path.read_text().splitlines():
        try:
            at, known = json.loads(line)
        except ValueError:
            continue
        found.append((float(at), int(known)))
    return found
