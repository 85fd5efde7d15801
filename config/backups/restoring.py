"""`manage.py restore`."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql

from accounts import valkey
from config import keys
from config.backups import suppressions
from config.backups.errors import BackupError
from config.backups.manifest import DUMP, FOLDERS
from config.backups.owner import Owner


def restore(source: Path, *, keys_path: Path | None = None, disconnect_others: bool = False) -> str:
    """Put a verified backup in the place of the database, the models and the media.

    The tables are read into a database beside the present one, and the two change names at the end, so that a
    failure leaves everything as it was. Returns the name that the former database now has. What is erased
    stays erased: the caller migrates and then calls `replay_suppressions` with what this call found. Raises
    BackupError.
    """
    owner = Owner.from_settings()
    connections.close_all()
    draft, former = f"{owner.database}_restoring", f"{owner.database}_before_{datetime.now(UTC):%Y%m%d%H%M%S}"
    with owner.maintenance() as maintenance:
        _refuse_while_in_use(maintenance, owner.database, disconnect_others)
        maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(draft)))
        maintenance.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(draft)))
        _read_dump(owner, source / DUMP, draft)
        suppressions.carry(owner, draft, suppressions.read(owner, owner.database))
        _refuse_while_in_use(maintenance, owner.database, disconnect_others)
        with maintenance.transaction():
            for old, new in ((owner.database, former), (draft, owner.database)):
                maintenance.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
                )
    for name, setting in FOLDERS.items():
        _replace_folder(source / name, Path(getattr(settings, setting)))
    if keys_path is not None:
        _restore_keys(keys_path)
    return former


def _restore_keys(path: Path) -> None:
    """Into the file, and into this process, which has people to erase with them. What the environment says
    stands above.
    """
    restored: dict[str, str] = json.loads(path.read_text())
    keys.write_private(
        keys.secrets_path(settings.DATA_DIR),
        json.dumps({**keys.ensure(settings.DATA_DIR), **restored}, indent=2) + "\n",
    )
    for name, value in restored.items():
        if not os.environ.get(name):
            setattr(settings, name, value)


def _refuse_while_in_use(maintenance: psycopg.Connection, database: str, disconnect_others: bool) -> None:
    if disconnect_others:
        maintenance.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
        )
    rows = maintenance.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
        [database],
    ).fetchone()
    if rows and rows[0] and not disconnect_others:
        raise BackupError(
            f"{rows[0]} connections use the database. Stop web, worker and beat first, or pass --disconnect-others."
        )


def _read_dump(owner: Owner, dump: Path, database: str) -> None:
    """Grants are restored where the roles they name exist; default privileges are `migrate`'s to give."""
    contents = [
        line for line in owner.run("pg_restore", "--list", dump).splitlines() if "DEFAULT ACL" not in line
    ]
    with owner.connect(database) as target:
        has_runtime_role = target.execute("SELECT 1 FROM pg_roles WHERE rolname = 'etalage_app'").fetchone()
    listing = dump.parent.with_name(f"{dump.parent.name}.contents")
    listing.write_text("\n".join(contents))
    privileges = [] if has_runtime_role else ["--no-privileges"]
    try:
        owner.run(
            "pg_restore", "--no-owner", *privileges, "--exit-on-error", "--jobs=2",
            "-L", listing, "-d", database, dump,
        )  # fmt: skip
    finally:
        listing.unlink()


def _replace_folder(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    draft, former = target.with_name(f"{target.name}.restoring"), target.with_name(f"{target.name}.before")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(former, ignore_errors=True)
    shutil.copytree(source, draft)
    if target.exists():
        target.rename(former)
    draft.rename(target)
    shutil.rmtree(former, ignore_errors=True)


def forget_cached_profiles() -> int:
    """Delete what Valkey knows: it is folded again from the restored log. Returns the number of keys."""
    client = valkey.client()
    names = list(client.scan_iter(match="etalage:*", count=1000))
    for start in range(0, len(names), 1000):
        client.delete(*names[start : start + 1000])
    return len(names)
