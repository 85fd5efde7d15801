"""Measuring whether a store's live version still fits, keeping the answer, and telling people where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.utils import timezone

from accounts.models import Store
from catalog.models import Product
from recommendations.model_store import folder as model_folder
from recommendations.model_store.manifest import UnreadableModel
from recommendations.models import DriftReading, ModelVersion, TrainingSchedule
from recommendations.selectors.event_weights import event_weights
from recommendations.training.drift import DriftFigure, Level, drift_figures
from tracking.models import Finding, FindingKind
from tracking.selectors.interactions import read_interactions
from tracking.services.findings import FindingDraft, findings_clear, findings_report

log = structlog.get_logger(__name__)

KEPT: Final = timedelta(days=400)
_SEVERITY: Final = {Level.WARN: Finding.Severity.MEDIUM, Level.BAD: Finding.Severity.HIGH}
_WORST_FIRST: Final = (Level.BAD, Level.WARN, Level.OK, Level.UNKNOWN)


def drift_watch(store: Store, now: datetime | None = None) -> DriftReading | None:
    """Measure, keep a reading, and bring the review list up to date. None, and nothing on the list, while no version is live."""
    now = now or timezone.now()
    version = ModelVersion.objects.for_store(store).filter(state=ModelVersion.State.LIVE).first()
    if version is None:
        findings_clear(store=store, kind=FindingKind.MODEL_DRIFT, except_keys=[])
        return None
    interactions, figures = _measure(store, version, now)
    reading = DriftReading.objects.create(
        store=store,
        version=version,
        measured_at=now,
        level=level_of(figures),
        interactions=interactions,
        figures=[figure.report() for figure in figures],
    )
    _report(store, version, figures)
    DriftReading.objects.for_store(store).filter(measured_at__lt=now - KEPT).delete()
    return reading


def level_of(figures: Sequence[DriftFigure]) -> Level:
    """Of the worst figure; UNKNOWN where nothing but the age can be told."""
    told = {figure.level for figure in figures if figure.name != "age" or figure.level is not Level.OK}
    return next((level for level in _WORST_FIRST if level in told), Level.UNKNOWN)


def _measure(store: Store, version: ModelVersion, now: datetime) -> tuple[int, list[DriftFigure]]:
    try:
        stored = model_folder.load(model_folder.model_dir() / version.folder, verify=False)
    except UnreadableModel as error:
        log.warning("model.unreadable", store=store.pk, version=version.number, reason=str(error))
        text = "The version's files cannot be read: go back to an earlier one, or train. The log says what is wrong with them."
        return 0, [DriftFigure("files", None, 0.0, Level.BAD, text)]
    schedule = TrainingSchedule.objects.for_store(store).filter(is_enabled=True).first()
    recent, figures = drift_figures(
        stored,
        read_interactions(store, until=now),
        event_weights(store.pk),
        frozenset(Product.objects.for_store(store).values_list("external_id", flat=True)),
        now.timestamp(),
        every_hours=schedule.every_hours if schedule else None,
    )
    return recent.count, figures


def _report(store: Store, version: ModelVersion, figures: Sequence[DriftFigure]) -> None:
    drifting = [figure for figure in figures if figure.level in _SEVERITY]
    findings_report(store=store, findings=[_finding(version, figure) for figure in drifting])
    findings_clear(
        store=store, kind=FindingKind.MODEL_DRIFT, except_keys=[_key(figure.name) for figure in drifting]
    )


def _finding(version: ModelVersion, figure: DriftFigure) -> FindingDraft:
    return FindingDraft(
        kind=FindingKind.MODEL_DRIFT,
        key=_key(figure.name),
        summary=figure.text,
        severity=_SEVERITY[figure.level],
        details={"model": version.number, "figure": figure.name, "value": figure.value, "warns_from": figure.limit},
        # Dismissed, it stays so for this version unless it gets worse.
        fingerprint=f"{version.number}:{figure.level}",
    )  # fmt: skip


def _key(name: str) -> str:
    return f"model:{name}"
