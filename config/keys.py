"""The installation's own secrets, made at the first start and kept in `.etalage/secrets.json` (mode 600)."""

import base64
import json
import os
import secrets
from pathlib import Path


def _token() -> str:
    return secrets.token_urlsafe(32)


def _key_of_32_bytes() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


MAKERS = {
    "INSTALLATION": _token,
    "SECRET_KEY": lambda: secrets.token_urlsafe(64),
    "ETALAGE_MASTER_KEY": _key_of_32_bytes,
    "ETALAGE_SUPPRESSION_KEY": _key_of_32_bytes,
    "POSTGRES_PASSWORD": _token,
    "DATABASE_OWNER_PASSWORD": _token,
    "DATABASE_PASSWORD": _token,
    "VALKEY_PASSWORD": _token,
}


def secrets_path(data_dir: Path) -> Path:
    return data_dir / "secrets.json"


def read(data_dir: Path) -> dict[str, str]:
    """What stands in the file; empty when there is none."""
    path = secrets_path(data_dir)
    return json.loads(path.read_text()) if path.exists() else {}


def ensure(data_dir: Path) -> dict[str, str]:
    """Every secret in MAKERS: those that stand in the file are kept, missing ones are made and written
    before this returns.
    """
    known = read(data_dir)
    missing = {name: make() for name, make in MAKERS.items() if name not in known}
    if missing:
        write_private(secrets_path(data_dir), json.dumps({**known, **missing}, indent=2) + "\n")
    return {**known, **missing}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; a reader sees the old text or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
