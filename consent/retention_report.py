"""What the nightly retention did, and what it cannot reach: copies of deleted rows that the database, the cache and the operator keep.

One JSON object a night in `retention.jsonl` beside the anchors: counts of rows by table, nothing about anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from accounts import valkey
from consent.anchors import append_lines

log = structlog.get_logger(__name__)

FILE_NAME: Final = "retention.jsonl"


@dataclass(frozen=True)
class Copy:
    """Where what was deleted stands a while longer, and for how long."""

    where: str
    what: str
    term: str


COPIES: Final = (
    Copy(
        "Write-ahead log of PostgreSQL",
        "Changes of the last checkpoints, deleted rows among them; not searchable, read by a recovery only.",
        "Until it is overwritten: hours in a busy shop, at most until max_wal_size is used up. An archive of it is a backup.",
    ),
    Copy(
        "Pages of PostgreSQL",
        "Deleted rows until their space is used again; no query sees them.",
        "Until autovacuum has been there, as a rule within a day.",
    ),
    Copy(
        "Append-only file of Valkey",
        "Commands since the file was last written anew, those on keys that are gone among them.",
        "A day: it is written anew every night after the retention.",
    ),
    Copy(
        "Backups",
        "The database, models and media as they were then. Names and addresses in them are unreadable without the vault's keys, which are "
        "kept apart; a restore replays every erasure since and the next night every term.",
        "Until they are rotated out, which is the operator's to decide: 35 days are usual.",
    ),
    Copy(
        "Logs",
        "What the application did, with keys of rows; tracebacks for people show no values. A proxy's own log, with addresses of visitors, "
        "is the operator's.",
        "As the operator rotates them: 30 days are usual.",
    ),
)


@dataclass(frozen=True)
class RetentionReport:
    """`deleted`: rows by table, those without any left out. `is_file_rewritten`: whether Valkey began to write its file anew."""

    at: datetime
    deleted: Mapping[str, int]
    is_file_rewritten: bool


def report_write(at: datetime, deleted: Mapping[str, int]) -> RetentionReport:
    """Call after the deletions; has Valkey write its append-only file anew, so that it forgets what it was told before."""
    counts = {label: count for label, count in deleted.items() if count}
    report = RetentionReport(at, counts, _rewrite_append_only_file())
    append_lines(_path(), [json.dumps({**asdict(report), "at": at.isoformat(timespec="seconds")})])
    return report


def newest_report() -> RetentionReport | None:
    """None before the first night, or where the file cannot be read."""
    try:
        lines = _path().read_text().splitlines()
        fields = json.loads(lines[-1])
        return RetentionReport(
            datetime.fromisoformat(fields["at"]), fields["deleted"], bool(fields["is_file_rewritten"])
        )
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _path() -> Path:
    return Path(settings.ETALAGE_ANCHOR_DIR) / FILE_NAME


def _rewrite_append_only_file() -> bool:
    """False where the server does not allow it (hosted ones do it by themselves), or one is under way already."""
    try:
        return bool(valkey.client().bgrewriteaof())
    except (RedisError, OSError) as error:
        log.info("retention.file_not_rewritten", reason=str(error))
        return False
