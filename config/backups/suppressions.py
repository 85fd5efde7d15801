"""The suppression list beside a backup: who was erased stays erased, whichever backup is restored."""

import json
from pathlib import Path
from typing import Any

from config.backups.owner import Owner

SUPPRESSIONS = "suppressions.json"
COLUMNS = "store_id, kind, digest, key_version, suppressed_until, readmitted_at, created_at"


def read(owner: Owner, database: str) -> list[dict[str, Any]]:
    with owner.connect(database) as source:
        if source.execute("SELECT to_regclass('consent_suppression')").fetchone() == (None,):
            return []
        query = f"SELECT to_jsonb(s) FROM (SELECT {COLUMNS} FROM consent_suppression) s"
        return [row[0] for row in source.execute(query)]


def carry(owner: Owner, database: str, suppressions: list[dict[str, Any]]) -> None:
    """People erased since the backup was made: their suppression outlives it."""
    with owner.connect(database) as target:
        target.execute(
            f"""
            INSERT INTO consent_suppression ({COLUMNS})
            SELECT {COLUMNS}
            FROM jsonb_populate_recordset(NULL::consent_suppression, %s::jsonb)
            WHERE store_id IN (SELECT id FROM accounts_store)
            ON CONFLICT (store_id, digest) DO UPDATE SET
                suppressed_until = greatest(consent_suppression.suppressed_until, excluded.suppressed_until),
                readmitted_at = excluded.readmitted_at
            """,
            [json.dumps(suppressions)],
        )


def read_of(backup: Path, database_owner: Owner | None = None) -> int:
    """Add the suppressions that stand in another (later) backup. Returns how many it lists."""
    owner = database_owner or Owner.from_settings()
    suppressions = json.loads((backup / SUPPRESSIONS).read_text())
    carry(owner, owner.database, suppressions)
    return len(suppressions)
