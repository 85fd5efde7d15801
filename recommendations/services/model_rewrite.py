"""Writing retained versions anew without the visits that are buried in them, so that nothing of the forgotten is left in their files.

Burying is a matter of milliseconds and hides a visit from the next reading on (`model_forget.py`); this computes each strategy
without it and takes seconds a version. It may be killed at any moment: it begins again where it was, and the old files of a version
that was already exchanged are found and removed.

What cannot be read cannot be cleansed. Files that are damaged go, and so does a version of another release's format; but not the live
one of such a format, from which processes of that release may be serving: it stays until a training, which is asked for, has taken its
place. Where only the disk failed, the files stay too. In both cases the work is not done, and says so.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Store
from recommendations.model_store import folder as model_folder
from recommendations.model_store.manifest import OutOfReach, UnknownFormat, UnreadableModel
from recommendations.model_store.revision import carry_over, remove, revise
from recommendations.models import ModelVersion, TrainingRun
from recommendations.services.training_request import training_request
from recommendations.serving import versions
from recommendations.serving.versions import Part

log = structlog.get_logger(__name__)


class NotWrittenAnew(RuntimeError):
    """Versions in which visits are buried whose files are as they were: to be tried again."""


LOCK_NAME: Final = "rewriting.lock"
ASK_AGAIN_AFTER: Final = timedelta(hours=1)
# `12`, `12r3`, and `.12r3.partial-4711` of a process that was killed.
_FOLDER: Final = re.compile(r"\.?(?P<number>\d+)(?:r(?P<revision>\d+))?(?:\.partial-\d+)?")


def versions_write_anew(*, store_id: int) -> int:
    """Every retained version in which visits are buried, the live one first. Gives their number; 0 where nothing is left to do.

    Call it outside of a transaction: each version is exchanged and shown by itself. Raises NotWrittenAnew, once all others are done.
    """
    rewritten = 0
    left: list[str] = []
    with _only_one(store_id):
        retained = ModelVersion.objects.for_store(store_id).order_by("-number")
        for version in sorted(retained, key=lambda each: not _is_live(each)):
            try:
                rewritten += _write_anew(version)
            except NotWrittenAnew as error:
                left.append(str(error))
        _remove_leftovers(store_id)
    if left:
        raise NotWrittenAnew(" ".join(left))
    return rewritten


def version_write_anew(version: ModelVersion) -> bool:
    """The same for one version; `version.folder` then says where it is. False where nothing is buried in it. Raises NotWrittenAnew."""
    with _only_one(version.store_id):
        version.refresh_from_db(fields=["folder"])
        return _write_anew(version)


def _write_anew(version: ModelVersion) -> bool:
    root = model_folder.model_dir()
    old = root / version.folder
    if not (old / "erasure").exists():
        return False
    try:
        new = revise(old)
    except UnreadableModel as error:
        _give_up(version, old, error)
        return False
    if new is None:
        return False
    with transaction.atomic():
        # Whoever buries does it with this row locked (`locked_versions`): they have come before, and are carried over, or
        # come after, and find the new folder.
        ModelVersion.objects.for_store(version.store_id).select_for_update().get(pk=version.pk)
        carry_over(old, new)
        version.folder = new.relative_to(root).as_posix()
        version.erased_at = timezone.now()
        version.save(update_fields=["folder", "erased_at"])
    versions.bump(version.store_id, Part.MODEL)
    remove(old)
    return True


def _is_live(version: ModelVersion) -> bool:
    return version.state == ModelVersion.State.LIVE


def _give_up(version: ModelVersion, folder: Path, error: UnreadableModel) -> None:
    """Nobody can serve from damaged files either: they go. Raises NotWrittenAnew where the files stay."""
    is_live = _is_live(version)
    if is_live and not isinstance(error, OutOfReach):
        _ask_for_training(version.store)
    if isinstance(error, OutOfReach) or (is_live and isinstance(error, UnknownFormat)):
        log.error("model.not_written_anew", store=version.store_id, version=version.number, reason=str(error))
        raise NotWrittenAnew(f"Version {version.number}: {error}") from error
    log.warning("model.removed_at_erasure", store=version.store_id, version=version.number, reason=str(error))
    remove(folder)


def _ask_for_training(store: Store) -> None:
    """Not again while one runs, or just after one: what it found wrong is found wrong by the next, too."""
    lately = timezone.now() - ASK_AGAIN_AFTER
    if not TrainingRun.objects.for_store(store).filter(started_at__gt=lately).exists():
        training_request(store=store, user=None)


def locked_versions(store_id: int) -> list[ModelVersion]:
    """The retained versions, whose folders nobody exchanges before the caller's transaction ends."""
    return list(ModelVersion.objects.for_store(store_id).select_for_update().order_by("pk"))


def _remove_leftovers(store_id: int) -> None:
    """Folders of known versions that were exchanged for newer ones, or never finished, by a process that was killed then."""
    home = model_folder.model_dir() / str(store_id)
    rows = ModelVersion.objects.for_store(store_id).values_list("number", "folder")
    current = {number: Path(folder).name for number, folder in rows}
    for path in home.iterdir() if home.is_dir() else ():
        found = _FOLDER.fullmatch(path.name)
        if found is None or not path.is_dir() or int(found["number"]) not in current:
            continue
        if path.name != current[int(found["number"])]:
            remove(path)


@contextmanager
def _only_one(store_id: int) -> Iterator[None]:
    """One process of this host at a time writes a store's versions anew: the next then finds nothing left to do."""
    home = model_folder.model_dir() / str(store_id)
    if not home.is_dir():
        yield
        return
    with (home / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
