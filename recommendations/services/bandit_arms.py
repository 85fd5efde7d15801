"""Arms that a bandit could try: today's weights, other versions, a training's proposal, and today's moved to a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from django.core.exceptions import ValidationError

from recommendations.models import BlendVersion, Placement
from recommendations.services.bandits import ArmPlan, Bounds
from recommendations.services.blends import EVERYBODY, MAX_WEIGHT, BlendDraft, draft_of

TODAY = "Today's weights"


def published_arm(placement: Placement) -> ArmPlan:
    """Raises ValidationError where nothing is published."""
    live = placement.versions.prefetch_related("weights").filter(state=BlendVersion.State.PUBLISHED).first()
    if live is None:
        raise ValidationError("Nothing is published on this placement: publish weights first.")
    return ArmPlan(TODAY, f"version {live.number}", replace(draft_of(live), note=""), live)


def version_arm(version: BlendVersion) -> ArmPlan:
    kind = "Draft" if version.state == BlendVersion.State.DRAFT else "Version"
    name = f"{kind} {version.number}"
    return ArmPlan(name, version.note or name, replace(draft_of(version), note=""), version)


def arms_of_bounds(today: BlendDraft, bounds: Bounds, label_of: Callable[[str], str]) -> list[ArmPlan]:
    """For each strategy one arm with its highest weight and one with its lowest, all else as today; none where it stands there already.

    The bounds are about everybody's weights. Where other shoppers have weights of their own, those move in proportion, but
    a strategy that is silent for them stays so. `label_of` gives a strategy's name as merchandisers read it.
    """
    made = []
    for strategy, (low, high) in bounds.items():
        weight = today.rows[EVERYBODY].get(strategy, 0.0)
        label = label_of(strategy)
        name = label[0].lower() + label[1:]
        for verb, moved, is_new in (("More", high, high > weight), ("Less", low, low < weight)):
            if is_new:
                draft = _with_weight(today, strategy, weight, moved)
                if any(draft.rows[EVERYBODY].values()):
                    made.append(ArmPlan(f"{verb} {name}", f"{label} {weight:g} → {moved:g}", draft))
    return made


def _with_weight(today: BlendDraft, strategy: str, weight: float, moved: float) -> BlendDraft:
    rows = {}
    for audience, weights in today.rows.items():
        if audience == EVERYBODY:
            changed = moved
        elif weight > 0 and weights.get(strategy, 0.0) > 0:
            changed = min(MAX_WEIGHT, weights[strategy] * moved / weight)
        else:
            changed = weights.get(strategy, 0.0)
        others = {name: value for name, value in weights.items() if name != strategy}
        rows[audience] = {**others, strategy: changed} if changed > 0 else others
    return replace(today, rows=rows, note="")
