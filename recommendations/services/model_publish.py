"""Which version is live: publish one, take it back."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import User
from recommendations.model_store import folder as model_folder
from recommendations.model_store.manifest import Manifest, UnreadableModel
from recommendations.models import ModelVersion
from recommendations.serving import versions
from recommendations.serving.versions import Part
from tracking.models import FindingKind
from tracking.services.findings import findings_clear


class CannotPublish(ValueError):
    """The version cannot go live; the message says why and what to do."""


@transaction.atomic
def model_publish(*, version: ModelVersion, actor: User | None, reason: str) -> ModelVersion:
    """Make a version live because a person says so, the publish gate notwithstanding. Recorded with the reason; `actor` is None for
    who has said so on the command line.

    Raises CannotPublish for a version that is live already, whose folder cannot be read, or without a reason.
    """
    if not reason.strip():
        raise CannotPublish("Say why this version is published: the reason goes into the audit log.")
    _check_readable(version)
    before = _live(version.store_id)
    if before is not None and before.pk == version.pk:
        raise CannotPublish(f"{version} is live already.")
    make_live(version)
    auditing.record(
        store=version.store,
        actor=actor,
        action="model.published",
        target=f"model:{version.number}",
        reason=reason,
        details={"before": before.number if before else None, "gate": version.gate_reason},
    )
    return version


@transaction.atomic
def model_roll_back(*, store_id: int, actor: User, reason: str = "") -> ModelVersion:
    """Make the version live that was live before. Raises CannotPublish where there is none whose folder is still there."""
    live = _live(store_id)
    earlier = (
        ModelVersion.objects.for_store(store_id)
        .filter(state=ModelVersion.State.RETIRED, published_at__isnull=False)
        .order_by("-published_at")
    )
    for version in earlier:
        try:
            _check_readable(version)
        except CannotPublish:
            continue
        make_live(version)
        auditing.record(
            store=version.store,
            actor=actor,
            action="model.rolled_back",
            target=f"model:{version.number}",
            reason=reason,
            details={"before": live.number if live else None},
        )
        return version
    raise CannotPublish("No earlier version is left to go back to: train a new one.")


def make_live(version: ModelVersion) -> None:
    """Inside a transaction; without a record in the audit log, which only what people decide gets. What drifted about the version
    before is said of this one no longer: the next watch looks anew."""
    versions_of_store = ModelVersion.objects.for_store(version.store_id).select_for_update()
    for other in versions_of_store.filter(state=ModelVersion.State.LIVE).exclude(pk=version.pk):
        other.state = ModelVersion.State.RETIRED
        other.save(update_fields=["state"])
    version.state = ModelVersion.State.LIVE
    version.published_at = timezone.now()
    version.save(update_fields=["state", "published_at"])
    versions.bump(version.store_id, Part.MODEL)
    findings_clear(store=version.store, kind=FindingKind.MODEL_DRIFT, except_keys=[])


def _live(store_id: int) -> ModelVersion | None:
    return ModelVersion.objects.for_store(store_id).filter(state=ModelVersion.State.LIVE).first()


def _check_readable(version: ModelVersion) -> None:
    try:
        Manifest.read(model_folder.model_dir() / version.folder)
    except UnreadableModel as error:
        raise CannotPublish(f"{version} cannot go live: {error}") from error
