"""The manifest of a backup: what it holds, from which migrations, and a hash of each file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.db.migrations.loader import MigrationLoader
from tqdm import tqdm

from config.backups.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database"
FOLDERS = {"models": "ETALAGE_MODEL_DIR", "media": "ETALAGE_MEDIA_DIR"}


def digests(folder: Path, title: str) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    digests = {}
    for path in tqdm(files, desc=title, unit="file", leave=False, disable=None):
        with path.open("rb") as file:
            digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def verify(source: Path) -> dict[str, Any]:
    """The manifest of a backup whose every file is as it was written. Raises BackupError for anything
    else.
    """
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BackupError(f"{source} is not a backup of Etalage: no readable {MANIFEST}.") from error
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{source} has format {manifest.get('format')!r}; this release reads {FORMAT}.")
    found = digests(source, "Verifying")
    wrong = sorted(
        name for name in {*manifest["files"], *found} if manifest["files"].get(name) != found.get(name)
    )
    if wrong:
        raise BackupError(
            f"{source} is damaged; {len(wrong)} files differ from its manifest: {', '.join(wrong[:5])}"
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    ours = {name.partition(".")[0] for name in known}
    newer = [name for name in manifest["migrations"] if name not in known and name.partition(".")[0] in ours]
    if newer:
        raise BackupError(
            f"{source} was made by a newer release, with migrations that this one lacks: {', '.join(newer)}"
        )
    return manifest
