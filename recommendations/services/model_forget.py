"""Taking people out of trained models, those that stand and those that are being made: who is erased, and who says no from now on.

Both leave at once: their visits are buried in every retained version, and every process reads its version again. For who is erased
each version is also written anew before the erasure counts as done. Who withdraws, objects or pauses keeps their events, so nothing
hurries there: the files are written anew with the next catching up, at most once an hour. Buried is buried: a version that has
forgotten somebody never learns those visits again. From who permits it again the next training learns, and so do the visits that
are joined to a version meanwhile, as far as what they permit by then goes.
"""

from __future__ import annotations

from datetime import datetime
from time import time
from typing import Final

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import IdentityLink, Store, Visitor
from consent.models import ConsentState
from consent.policy import visitor_subject
from consent.purposes import Purpose
from consent.selectors.denied import DeniedNow, denied_now
from recommendations.model_store import folder as model_folder
from recommendations.model_store import forgotten
from recommendations.model_store.sessions import owner_hash
from recommendations.models import ModelVersion
from recommendations.services.model_rewrite import (
    NotWrittenAnew,
    locked_versions,
    version_write_anew,
    versions_write_anew,
)
from recommendations.serving import versions
from recommendations.serving.versions import Part

log = structlog.get_logger(__name__)

WRITTEN_ANEW_SECONDS: Final = 3600.0
"""A version from which withdrawn visits are buried is written anew this often at most."""


def people_forget(*, store_id: int, hashes: list[int]) -> tuple[int, int]:
    """Take these people's sessions out of every retained version: how many sessions, and in how many versions.

    The note for trainings that run comes first, then tombstones in all versions, then each version is written anew and the old files go:
    killed in between, a version already answers without them and the next run goes on where this one was.
    """
    return people_bury(store_id=store_id, hashes=hashes), versions_write_anew(store_id=store_id)


def people_bury(*, store_id: int, hashes: list[int]) -> int:
    """The first half of it: a matter of milliseconds, and nothing is answered from these visits any more. Gives how many."""
    forgotten.note(store_id, hashes)
    return _bury(store_id, hashes)


def late_forget(*, version: ModelVersion, since: float) -> int:
    """For a version that was just made from a log read at `since` (Unix seconds): take out who was erased meanwhile.

    Call when its row is committed. Gives how many sessions.
    """
    hashes = forgotten.since(version.store_id, since)
    if not hashes:
        return 0
    buried = model_folder.forget(model_folder.model_dir() / version.folder, hashes)
    version_write_anew(version)
    return buried


def withdrawn_forget(*, store_id: int, hashes: list[int]) -> int:
    """Bury the visits of people who do not permit personalisation any more, in all versions and in trainings that run. Gives how many."""
    return people_bury(store_id=store_id, hashes=hashes)


def withdrawn_sweep(store: Store) -> int:
    """The same for everybody who does not permit it now: takes up what a lost message or worker left, and writes the live version anew
    where visits are buried in it. Gives how many visits were found. Cheap where none were."""
    live = ModelVersion.objects.for_store(store).filter(state=ModelVersion.State.LIVE).first()
    if live is None:
        return 0
    denied = denied_now(store, Purpose.PERSONALISATION)
    # Who shares a browser with a customer is told apart by a training; what was withdrawn since, it could not tell apart.
    late = _late_refusals(store, denied, live.data_until or live.trained_at)
    buried = _bury(store.pk, owner_hashes(store.pk, denied, linked_visitors=late))
    if buried:
        live.refresh_from_db()
    _write_live_anew(live)
    return buried


def owner_hashes(store_id: int, denied: DeniedNow, *, linked_visitors: frozenset[int]) -> list[int]:
    """Under which names visits of these people stand in models. A browser's visits may stand under a customer who is linked to it: theirs
    count for `linked_visitors`, all of them, since a version cannot tell the browser's part."""
    links = IdentityLink.objects.for_store(store_id).filter(visitor_id__in=linked_visitors, undone_at=None)
    customers = denied.customer_ids | set(links.values_list("customer_id", flat=True))
    return [
        *(owner_hash(store_id, "v", visitor) for visitor in sorted(denied.visitor_ids)),
        *(owner_hash(store_id, "c", customer) for customer in sorted(customers)),
    ]


def _late_refusals(store: Store, denied: DeniedNow, since: datetime) -> frozenset[int]:
    """Of the browsers that do not permit it those that decided so since: a version made before knows them as their customers."""
    decided = ConsentState.objects.for_store(store).filter(valid_from__gt=since, subject__startswith="v:")
    subjects = set(decided.values_list("subject", flat=True))
    if not subjects or not denied.visitor_ids:
        return frozenset()
    browsers = Visitor.objects.for_store(store).filter(pk__in=denied.visitor_ids)
    names = browsers.values_list("pk", "anonymous_id").iterator()
    return frozenset(pk for pk, anonymous_id in names if visitor_subject(anonymous_id) in subjects)


def _bury(store_id: int, hashes: list[int]) -> int:
    """Without writing anything anew: a version answers without them from its next reading on, which is now."""
    if not hashes:
        return 0
    root = model_folder.model_dir()
    buried = 0
    with transaction.atomic():
        for version in locked_versions(store_id):
            count = model_folder.forget(root / version.folder, hashes)
            if count:
                # Every process that holds the version sees by this that it is another.
                ModelVersion.objects.for_store(store_id).filter(pk=version.pk).update(
                    erased_at=timezone.now()
                )
                buried += count
    if buried:
        versions.bump(store_id, Part.MODEL)
    return buried


def _write_live_anew(live: ModelVersion) -> None:
    folder = model_folder.model_dir() / live.folder
    try:
        if time() - (folder / "model.json").stat().st_mtime < WRITTEN_ANEW_SECONDS:
            return
        version_write_anew(live)
    except (OSError, NotWrittenAnew) as error:
        # Said already, or an erasure is at it at this moment, or the folder is gone: it will be seen again.
        log.info("model.not_written_anew", store=live.store_id, version=live.number, reason=str(error))
