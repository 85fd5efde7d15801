"""What a finding about volumes shows beside its numbers: the hours around it, and the way to their events."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.display.charts import LineChart, Series
from tracking.models import Finding, FindingKind
from tracking.quality.volumes import EVERYTHING, history
from tracking.vocabulary import KNOWN_EVENTS

VOLUME_KINDS: Final = (FindingKind.VOLUME_DROP, FindingKind.VOLUME_SPIKE, FindingKind.WENT_SILENT)
BEFORE: Final = timedelta(hours=36)
AFTER: Final = timedelta(hours=12)
MOST_HOURS: Final = 24 * 7


def _stretch(finding: Finding) -> tuple[datetime, datetime] | None:
    if finding.kind not in VOLUME_KINDS or "since" not in finding.details:
        return None
    since = datetime.fromisoformat(finding.details["since"])
    return since, max(since + timedelta(hours=1), finding.last_seen_at)


def volume_chart(finding: Finding) -> LineChart | None:
    """Counted and usual events an hour, from a day and a half before; None for findings about something else."""
    stretch = _stretch(finding)
    if stretch is None:
        return None
    since, until = stretch
    until = min(until + AFTER, timezone.now(), since + timedelta(hours=MOST_HOURS))
    hours = history(finding.store, finding.details.get("event", ""), since - BEFORE, until)
    if not hours:
        return None
    return LineChart(
        f"{finding.details['event']}, by hour",
        [date_format(timezone.localtime(hour.at), "D j M, H:i") for hour in hours],
        [
            Series("Counted", [hour.count for hour in hours], 0),
            Series("Usual", [hour.usual for hour in hours], 1),
        ],
        note="Usual: the median of the same hour of the week in the weeks before, as busy as the last days were.",
    )


def events_link(finding: Finding) -> str:
    """The log of those hours; "" for findings about something else."""
    stretch = _stretch(finding)
    if stretch is None:
        return ""
    since, until = map(timezone.localtime, stretch)
    query = {
        "occurred_at_from_0": f"{since:%Y-%m-%d}",
        "occurred_at_from_1": f"{since:%H:%M:%S}",
        "occurred_at_to_0": f"{until:%Y-%m-%d}",
        "occurred_at_to_1": f"{until:%H:%M:%S}",
    }
    name = finding.details.get("event")
    if name != EVERYTHING and name in KNOWN_EVENTS:
        query["name"] = name
    return f"{reverse('admin:tracking_event_changelist')}?{urlencode(query)}"
