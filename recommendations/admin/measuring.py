"""Measuring a draft of weights from the page that tunes it, and the weights that the last training proposes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render

from accounts.admin.scoped import ScopedAdmin
from accounts.display.money import money
from accounts.permissions import Ability
from recommendations.admin.strategies import StrategyText, text_of
from recommendations.admin.tuning_form import read_draft
from recommendations.models import BlendVersion, Density, ModelVersion, Placement
from recommendations.selectors.draft_figures import CannotMeasure, DraftFigures, draft_figures
from recommendations.services.blends import EVERYBODY, BlendDraft
from recommendations.serving.configuration import BlendSettings, blend_settings, method_named
from segments.models import Segment

MEASURED_BLEND = "home"
"""The placement whose weights a training measures and tunes."""


@dataclass(frozen=True)
class Row:
    """One figure of the table: as it is today, and with the draft."""

    label: str
    help: str
    today: str
    draft: str


@dataclass(frozen=True)
class Change:
    text: StrategyText
    today: float
    proposed: float


@dataclass(frozen=True)
class Proposal:
    """Weights that the live version's training would choose for everybody; differences as shares (0.03 is 3 %)."""

    changes: tuple[Change, ...]
    weights: dict[str, float]
    estimate: float
    low: float
    high: float
    cases: int
    version: int

    @property
    def change(self) -> str:
        return f"{self.estimate:+.1%}"

    @property
    def interval(self) -> str:
        return (
            f"Compared with the weights of then on {self.cases} choices that they were not chosen on; "
            f"with 95 % confidence between {self.low:+.1%} and {self.high:+.1%}."
        )


def settings_of_draft(draft: BlendDraft, segments: dict[int, str]) -> BlendSettings:
    """The draft as serving would read it, were it published."""
    rows: dict[tuple[int | None, str], dict[str, float]] = {
        (segment, Density(density)): {name: weight for name, weight in weights.items() if weight > 0}
        for (segment, density), weights in draft.rows.items()
    }
    return BlendSettings(
        number=0,
        normalisation=method_named(draft.normalisation),
        max_per_brand=draft.max_per_brand,
        max_per_category=draft.max_per_category,
        diversity=draft.diversity,
        rows=rows,
        segment_names=segments,
        rerank=draft.rerank,
    )


class MeasuringPage(ScopedAdmin):
    def measure_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST a draft, get its figures beside today's as a fragment of HTML. Saves nothing."""
        placement = self.object_for(request, object_id, Ability.READ_SHELVES)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            draft = read_draft(request.POST)
            if problems := draft.problems():
                raise ValidationError(problems)
        except ValidationError as error:
            return render(
                request, "admin/recommendations/measured.html", {"trouble": " ".join(error.messages)}
            )
        return render(request, "admin/recommendations/measured.html", measured_context(placement, draft))


def measured_context(placement: Placement, draft: BlendDraft) -> dict[str, Any]:
    """For `measured.html`: figures, or why there are none."""
    segments = dict(
        Segment.objects.for_store(placement.store_id).filter(is_active=True).values_list("pk", "name")
    )
    try:
        figures = draft_figures(
            placement, settings_of_draft(draft, segments), _published(placement, segments)
        )
    except CannotMeasure as reason:
        return {"trouble": str(reason)}
    return {
        "figures": figures,
        "change": _change(figures),
        "rows": _rows(figures, placement.store.currency),
        "not_measured": [text_of(name).label for name in figures.not_measured],
        "not_asked": figures.not_asked,
    }


def _published(placement: Placement, segments: dict[int, str]) -> BlendSettings | None:
    live = placement.versions.prefetch_related("weights").filter(state=BlendVersion.State.PUBLISHED).first()
    return None if live is None else blend_settings(live, segments)


def _change(figures: DraftFigures) -> str:
    accuracy = figures.accuracy
    if not np.isfinite([accuracy.low, accuracy.high, accuracy.estimate]).all():
        return "Too little was found on either shelf to tell a difference in accuracy."
    return f"Accuracy {accuracy.estimate:+.1%}, with 95 % confidence between {accuracy.low:+.1%} and {accuracy.high:+.1%}."


def _rows(figures: DraftFigures, currency: str) -> list[Row]:
    today, draft = figures.today, figures.draft
    return [
        Row(
            "Accuracy (NDCG@10)",
            "How high up the shelf stands what shoppers chose next; 1 is always first.",
            f"{today.ndcg:.4f}",
            f"{draft.ndcg:.4f}",
        ),
        Row(
            "Found on the shelf",
            "Shelves of ten that held what the shopper chose next.",
            f"{today.hit_rate:.1%}",
            f"{draft.hit_rate:.1%}",
        ),
        Row(
            "Coverage",
            "Products in stock that stood on any of the measured shelves.",
            f"{today.coverage:.1%}",
            f"{draft.coverage:.1%}",
        ),
        Row(
            "Variety",
            "Pairs of products on a shelf that come from different categories.",
            f"{today.variety:.0%}",
            f"{draft.variety:.0%}",
        ),
        Row(
            "Mean price",
            "Of the products on the shelves.",
            money(round(today.price_minor_units), currency),
            money(round(draft.price_minor_units), currency),
        ),
    ]


def proposal_for(placement: Placement) -> Proposal | None:
    """What the live version's training proposes for this placement: for the one that it measured, where it would do better."""
    if placement.slug != MEASURED_BLEND:
        return None
    live = ModelVersion.objects.for_store(placement.store_id).filter(state=ModelVersion.State.LIVE).first()
    found = live.metrics.get("proposal") if live is not None else None
    if live is None or found is None or found["estimate"] <= 0:
        return None
    today, weights = found["today"], found["weights"]
    changes = (
        Change(text_of(name), float(today.get(name, 0.0)), float(weights.get(name, 0.0)))
        for name in {**weights, **today}
    )
    moved = sorted((c for c in changes if c.today != c.proposed), key=lambda change: -change.proposed)
    numbers = {name: float(found[name]) for name in ("estimate", "low", "high")}
    return Proposal(tuple(moved), weights, cases=found["cases"], version=live.number, **numbers)


def with_proposal(draft: BlendDraft, proposal: Proposal) -> BlendDraft:
    """Everybody's weights as proposed; what the training cannot measure, such as new arrivals and stated interests, stays as it is."""
    known = {change.text.name for change in proposal.changes} | set(proposal.weights)
    kept = {name: weight for name, weight in draft.rows[EVERYBODY].items() if name not in known}
    return replace(draft, rows={**draft.rows, EVERYBODY: {**kept, **proposal.weights}})
