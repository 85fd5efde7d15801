"""All checks of what arrived, in one run: bring the counts up to date, judge, report."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.utils import timezone

from accounts.models import Store
from tracking.models import FindingKind
from tracking.quality import drift, prices, volumes
from tracking.quality.rollup import rollup_new_events
from tracking.services.findings import FindingCounts, FindingDraft, findings_clear, findings_report

VOLUME_KINDS: Final = (FindingKind.VOLUME_DROP, FindingKind.VOLUME_SPIKE, FindingKind.WENT_SILENT)


@dataclass
class DetectionReport:
    """`hours` and `series` were judged for their volume. `cleared` findings are no longer true."""

    store: str
    at: datetime
    hours: int = 0
    series: int = 0
    findings: list[FindingDraft] = field(default_factory=list)
    counts: FindingCounts = field(default_factory=FindingCounts)
    cleared: int = 0


def detect_anomalies(store: Store, *, at: datetime | None = None, is_trial: bool = False) -> DetectionReport:
    """Judge the store's volumes, prices and clocks as of `at` (now). A trial reports and clears nothing."""
    now = at or timezone.now()
    rollup_new_events(store)
    report = DetectionReport(store.slug, now)
    counted = volumes.volumes_of(store, now)
    if counted is not None:
        report.hours, report.series = counted.counts.shape[1] - counted.evaluate_from, len(counted.names)
        report.findings += volumes.volume_findings(store, counted)
    report.findings += prices.price_findings(store, now)
    clocks = drift.clock_findings(store, now)
    report.findings += clocks.findings
    if is_trial:
        return report
    report.counts = findings_report(store=store, findings=report.findings)
    keys = {kind: [one.key for one in report.findings if one.kind == kind] for kind in FindingKind}
    if counted is not None:
        since = counted.moment(counted.evaluate_from)
        for kind in VOLUME_KINDS:
            report.cleared += findings_clear(store=store, kind=kind, except_keys=keys[kind], seen_since=since)
    report.cleared += findings_clear(
        store=store,
        kind=FindingKind.IMPOSSIBLE_PRICE,
        except_keys=keys[FindingKind.IMPOSSIBLE_PRICE],
        seen_since=now - prices.LOOK_BACK,
    )
    report.cleared += findings_clear(
        store=store,
        kind=FindingKind.CLOCK_DRIFT,
        except_keys=keys[FindingKind.CLOCK_DRIFT],
        only_keys=clocks.judged,
    )
    return report
