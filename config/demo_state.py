"""What of the demo is there already, so that a second start takes seconds."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import Store
from config import simulated_history
from recommendations.models import ModelVersion


def migrations_wait() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def static_files_changed() -> bool:
    """Whether static files differ from those that were collected last."""
    return not _stamp().exists() or _stamp().read_text() != _static_fingerprint()


def note_static_files() -> None:
    """Remember that the present static files are collected."""
    _stamp().write_text(_static_fingerprint())


def _stamp() -> Path:
    return Path(settings.STATIC_ROOT) / ".collected"


def _static_fingerprint() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def is_furnished() -> bool:
    return (settings.DATA_DIR / "demo.json").exists() and _demo_store() is not None


def has_shoppers() -> bool:
    store = _demo_store()
    return store is not None and bool(simulated_history.seeds_done(store))


def has_live_model() -> bool:
    store = settings.ETALAGE_STOREFRONT_STORE
    return ModelVersion.all_stores.filter(store__slug=store, state=ModelVersion.State.LIVE).exists()


def _demo_store() -> Store | None:
    return Store.objects.filter(slug=settings.ETALAGE_STOREFRONT_STORE).first()
