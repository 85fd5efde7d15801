"""A placement's weights: drafted, published, taken back. One version is published; every version stays readable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import User
from recommendations.models import Bandit, BlendVersion, BlendWeights, Density, Placement
from recommendations.rerank_settings import NOTHING, RerankSettings
from recommendations.services.bandit_end import bandit_end
from recommendations.serving import versions
from recommendations.serving.versions import Part
from segments.models import Segment

NORMALISATIONS: Final = ("max", "zscore", "rrf")
MAX_WEIGHT: Final = 10.0
EVERYBODY: Final = (None, Density.ANY.value)

# Whom a row is for: (segment's primary key or None, density or "").
Audience = tuple[int | None, str]


@dataclass(frozen=True)
class BlendDraft:
    """What a draft holds. `rows` has an entry for EVERYBODY; weights are ≥ 0, a strategy without one is silent."""

    rows: Mapping[Audience, Mapping[str, float]]
    normalisation: str = "max"
    max_per_brand: int | None = None
    max_per_category: int | None = None
    diversity: float = 0.0
    rerank: RerankSettings = NOTHING
    note: str = field(default="", compare=False)

    def problems(self) -> dict[str, list[str]]:
        """Field → what is wrong there; empty for a draft that can be saved."""
        found: dict[str, list[str]] = self.rerank.problems()
        if self.normalisation not in NORMALISATIONS:
            found["normalisation"] = [f"{self.normalisation!r} is none of {', '.join(NORMALISATIONS)}."]
        if not (math.isfinite(self.diversity) and 0 <= self.diversity <= 1):
            found["diversity"] = ["Between 0 (as scored) and 1 (as different as possible)."]
        for name in ("max_per_brand", "max_per_category"):
            cap = getattr(self, name)
            if cap is not None and cap < 1:
                found[name] = ["At least 1; leave it empty for no cap."]
        if not any(weight > 0 for weight in self.rows.get(EVERYBODY, {}).values()):
            found["weights"] = ["At least one strategy needs a weight for everybody."]
        for weights in self.rows.values():
            for name, weight in weights.items():
                if not (math.isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
                    found.setdefault("weights", []).append(
                        f"{name} is {weight}: between 0 and {MAX_WEIGHT:g}."
                    )
        return found


def draft_of(version: BlendVersion) -> BlendDraft:
    """The content of a version, to be changed."""
    return BlendDraft(
        rows={(row.segment_id, row.density): dict(row.weights) for row in version.weights.all()},
        normalisation=version.normalisation,
        max_per_brand=version.max_per_brand,
        max_per_category=version.max_per_category,
        diversity=version.diversity,
        rerank=RerankSettings.read(version.rerank),
        note=version.note,
    )


@transaction.atomic
def blend_draft_save(*, placement: Placement, draft: BlendDraft, user: User | None) -> BlendVersion:
    """Keep the draft: in the placement's open draft, else as a new version. Shoppers see nothing of it.

    Raises ValidationError, with nothing changed, for weights that cannot be, or a segment of another store.
    """
    if problems := draft.problems():
        raise ValidationError(problems)
    _check_segments(placement, draft)
    locked = Placement.objects.for_store(placement.store_id).select_for_update().get(pk=placement.pk)
    version = locked.versions.filter(state=BlendVersion.State.DRAFT).order_by("-number").first()
    if version is None:
        newest = locked.versions.order_by("-number").values_list("number", flat=True).first() or 0
        version = BlendVersion(store_id=placement.store_id, placement=locked, number=newest + 1)
    _write_weights(version, draft, user)
    return version


@transaction.atomic
def trial_save(*, placement: Placement, draft: BlendDraft, name: str, user: User | None) -> BlendVersion:
    """Keep weights that a bandit tries, as a version of their own that nobody edits. Raises ValidationError as for a draft."""
    if problems := draft.problems():
        raise ValidationError(problems)
    _check_segments(placement, draft)
    locked = Placement.objects.for_store(placement.store_id).select_for_update().get(pk=placement.pk)
    newest = locked.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = BlendVersion(
        store_id=placement.store_id,
        placement=locked,
        number=newest + 1,
        state=BlendVersion.State.TRIAL,
    )
    _write_weights(version, replace(draft, note=f"Tried by a bandit: {name}"[:300]), user)
    return version


def _write_weights(version: BlendVersion, draft: BlendDraft, user: User | None) -> None:
    for name in ("normalisation", "max_per_brand", "max_per_category", "diversity", "note"):
        setattr(version, name, getattr(draft, name))
    version.rerank = draft.rerank.stored()
    version.created_by = user
    version.save()
    version.weights.all().delete()
    BlendWeights.all_stores.bulk_create(
        BlendWeights(
            store_id=version.store_id,
            version=version,
            segment_id=segment_id,
            density=density,
            weights={name: float(weight) for name, weight in sorted(weights.items()) if weight > 0},
        )
        for (segment_id, density), weights in draft.rows.items()
    )


def _check_segments(placement: Placement, draft: BlendDraft) -> None:
    named = {segment_id for segment_id, _ in draft.rows if segment_id is not None}
    known = set(
        Segment.objects.for_store(placement.store_id).filter(pk__in=named).values_list("pk", flat=True)
    )
    if unknown := named - known:
        raise ValidationError({"segment": [f"There is no segment {sorted(unknown)[0]} in this store."]})
    if unknown_densities := {density for _, density in draft.rows} - set(Density.values):
        raise ValidationError(
            {"density": [f"{sorted(unknown_densities)[0]!r} is none of {', '.join(Density.values)}."]}
        )


@transaction.atomic
def blend_publish(*, version: BlendVersion, user: User | None, reason: str = "") -> BlendVersion:
    """Shelves follow this version from the next request on; the one that was live is retired and can come back.

    Raises ValidationError for a version that is live already, or that has no weight for everybody.
    """
    Placement.objects.for_store(version.store_id).select_for_update().get(pk=version.placement_id)
    version.refresh_from_db()
    if version.state == BlendVersion.State.PUBLISHED:
        raise ValidationError(f"{version} is live already.")
    if problems := draft_of(version).problems():
        raise ValidationError(problems)
    live = BlendVersion.objects.for_store(version.store_id).filter(
        placement=version.placement_id, state=BlendVersion.State.PUBLISHED
    )
    replaced = live.values_list("number", flat=True).first()
    for bandit in Bandit.objects.for_store(version.store_id).filter(
        placement=version.placement_id, ended_at=None
    ):
        # Its arms were compared with weights that are gone, and shoppers would hardly see the new ones.
        bandit_end(bandit=bandit, user=user, outcome=f"Version {version.number} was published.")
    live.update(state=BlendVersion.State.RETIRED)
    version.state = BlendVersion.State.PUBLISHED
    version.published_at = timezone.now()
    version.save(update_fields=["state", "published_at"])
    auditing.record(
        store=version.store,
        actor=user,
        action="blend.published",
        target=f"placement:{version.placement_id}",
        reason=reason,
        details={"version": version.number, "replaced": replaced},
    )
    versions.bump(version.store_id, Part.BLEND)
    return version


def blend_before(placement: Placement) -> BlendVersion | None:
    """The version that was live before the one that is: what `blend_undo` brings back."""
    retired = placement.versions.filter(state=BlendVersion.State.RETIRED, published_at__isnull=False)
    return retired.order_by("-published_at", "-number").first()


@transaction.atomic
def blend_undo(*, placement: Placement, user: User | None) -> BlendVersion:
    """Bring back what was live before the last publication; a second undo takes the first one back.

    Raises ValidationError where nothing was live before.
    """
    before = blend_before(placement)
    if before is None:
        raise ValidationError("Nothing was live on this placement before: there is nothing to go back to.")
    return blend_publish(version=before, user=user, reason="undo")


@transaction.atomic
def blend_draft_discard(*, placement: Placement) -> int:
    """Throw the open draft away. Gives how many versions went: 0 or 1."""
    count = 0
    for draft in placement.versions.filter(state=BlendVersion.State.DRAFT):
        draft.delete()
        count += 1
    return count
