"""Taking people out of trained models, those that stand and those that are being made."""

from __future__ import annotations

import structlog
from django.utils import timezone

from recommendations.model_store import folder as model_folder
from recommendations.model_store import forgotten
from recommendations.model_store.manifest import UnreadableModel
from recommendations.model_store.revision import remove, revise
from recommendations.models import ModelVersion
from recommendations.serving import versions
from recommendations.serving.versions import Part

log = structlog.get_logger(__name__)


def people_forget(*, store_id: int, hashes: list[int]) -> tuple[int, int]:
    """Take these people's sessions out of every retained version: how many sessions, and in how many versions.

    The note for trainings that run comes first, then tombstones in all versions, then each version is written anew and the old files go:
    killed in between, a version already answers without them and the next run goes on where this one was.
    """
    forgotten.note(store_id, hashes)
    return _forget(store_id, list(ModelVersion.objects.for_store(store_id).order_by("number")), hashes)


def late_forget(*, version: ModelVersion, since: float) -> int:
    """For a version that was just made from a log read at `since` (Unix seconds): take out who was erased meanwhile.

    Call when its row is committed. Gives how many sessions.
    """
    hashes = forgotten.since(version.store_id, since)
    return _forget(version.store_id, [version], hashes)[0] if hashes else 0


def _forget(store_id: int, retained: list[ModelVersion], hashes: list[int]) -> tuple[int, int]:
    root = model_folder.model_dir()
    buried = sum(model_folder.forget(root / version.folder, hashes) for version in retained)
    rewritten = 0
    for version in retained:
        try:
            rewritten += _write_anew(version)
        except UnreadableModel as error:
            # Nothing can be served from it either; what cannot be read cannot be cleansed, so it goes.
            log.warning("model.removed_at_erasure", store=store_id, version=version.number, reason=str(error))
            remove(root / version.folder)
    if buried or rewritten:
        versions.bump(store_id, Part.MODEL)
    return buried, rewritten


def _write_anew(version: ModelVersion) -> bool:
    root = model_folder.model_dir()
    old = root / version.folder
    if not (old / "erasure").exists():
        return False
    new = revise(old)
    if new is None:
        return False
    version.folder = new.relative_to(root).as_posix()
    version.erased_at = timezone.now()
    version.save(update_fields=["folder", "erased_at"])
    remove(old)
    return True
