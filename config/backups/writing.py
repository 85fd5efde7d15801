"""`manage.py backup`."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from config import keys
from config.backups import suppressions
from config.backups.errors import BackupError
from config.backups.manifest import DUMP, FOLDERS, FORMAT, MANIFEST, digests
from config.backups.owner import Owner

KEPT_SECRETS = ("SECRET_KEY", "ETALAGE_MASTER_KEY", "ETALAGE_SUPPRESSION_KEY")


def back_up(destination: Path, keys_path: Path | None = None) -> dict[str, Any]:
    """Write a backup into the new folder `destination` and return its manifest. Raises BackupError.

    The shop may stay open: the dump is one consistent snapshot, and a model folder is never changed, only
    added.
    """
    if destination.exists():
        raise BackupError(f"{destination} exists already: give each backup a folder of its own.")
    if keys_path is not None and destination.resolve() in (keys_path.resolve(), *keys_path.resolve().parents):
        raise BackupError("The secrets belong somewhere else than the backup that they open.")
    draft = destination.with_name(f"{destination.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    owner = Owner.from_settings()
    owner.run("pg_dump", "--format=directory", "--jobs=2", "--compress=3", "-f", draft / DUMP, owner.database)
    for name, setting in FOLDERS.items():
        source = Path(getattr(settings, setting))
        if source.is_dir():
            shutil.copytree(source, draft / name, ignore_dangling_symlinks=True)
    (draft / suppressions.SUPPRESSIONS).write_text(json.dumps(suppressions.read(owner, owner.database)))
    manifest = {
        "format": FORMAT,
        "created_at": datetime.now(UTC).isoformat(),
        "migrations": sorted(f"{app}.{name}" for app, name in MigrationLoader(connection).applied_migrations),
        "files": digests(draft, "Hashing"),
    }
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1))
    draft.rename(destination)
    if keys_path is not None:
        kept = {name: str(getattr(settings, name)) for name in KEPT_SECRETS}
        keys.write_private(keys_path, json.dumps(kept, indent=2) + "\n")
    return manifest
