"""Fewer or more events than usual, and silence: from hourly counts to findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from accounts.models import Store
from algorithms.anomalies import Deviation, Settings, Silence, deviations, expectations, silences
from tracking.models import Finding, FindingKind, HourlyCount
from tracking.services.findings import FindingDraft

EVERYTHING: Final = "All events"
LOOK_BACK_WEEKS: Final = 9
# Recomputed each time, so that late events can take a finding back.
EVALUATED_HOURS: Final = 72
# An hour is judged once what its clients held back has come.
SETTLING: Final = timedelta(minutes=15)
# Two findings of an event that are this close are one.
SAME_INCIDENT: Final = timedelta(hours=3)
_HOUR: Final = timedelta(hours=1)
_VOLUMES: Final = (FindingKind.VOLUME_DROP, FindingKind.VOLUME_SPIKE)


@dataclass(frozen=True)
class Volumes:
    """Hours from `start` on, complete ones only. `counts`: (n_names, n_hours), the last row is the sum of the others."""

    names: Sequence[str]
    start: datetime
    counts: NDArray[np.int64]
    season: NDArray[np.int64]

    @property
    def total(self) -> int:
        return len(self.names) - 1

    @property
    def evaluate_from(self) -> int:
        return max(0, self.counts.shape[1] - EVALUATED_HOURS)

    def moment(self, hour: int) -> datetime:
        return self.start + hour * _HOUR


def volumes_of(store: Store, now: datetime) -> Volumes | None:
    """None for a store without a counted event in the last weeks."""
    stop = (now.astimezone(UTC) - SETTLING).replace(minute=0, second=0, microsecond=0)
    start = stop - timedelta(weeks=LOOK_BACK_WEEKS)
    rows = list(
        HourlyCount.objects.for_store(store)
        .filter(hour__gte=start, hour__lt=stop)
        .values_list("event_name", "hour", "count")
    )
    if not rows:
        return None
    names = sorted({name for name, _, _ in rows})
    places = {name: place for place, name in enumerate(names)}
    hours = (stop - start) // _HOUR
    counts = np.zeros((len(names) + 1, hours), dtype=np.int64)
    for name, hour, count in rows:
        counts[places[name], (hour - start) // _HOUR] = count
    counts[-1] = counts[:-1].sum(axis=0)
    return Volumes([*names, EVERYTHING], start, counts, _season(start, hours, ZoneInfo(store.time_zone)))


@dataclass(frozen=True)
class HourOf:
    """An hour of one event's history. `usual` is None where too little came before to say it."""

    at: datetime
    count: int
    usual: float | None


def history(store: Store, name: str, since: datetime, until: datetime) -> list[HourOf]:
    """The hours of [since, until) that are counted, and what was usual for each."""
    volumes = volumes_of(store, until + SETTLING)
    if volumes is None or name not in volumes.names:
        return []
    row = volumes.names.index(name)
    means, weeks = expectations(volumes.counts[[row]], volumes.season, Settings())
    first = max(0, (since - volumes.start) // _HOUR)
    return [
        HourOf(
            volumes.moment(hour),
            int(volumes.counts[row, hour]),
            float(means[0, hour]) if weeks[0, hour] else None,
        )
        for hour in range(first, volumes.counts.shape[1])
    ]


def _season(start: datetime, hours: int, zone: ZoneInfo) -> NDArray[np.int64]:
    """The hour of the week where the shop is: its people get up by their own clock, in summer too."""
    local = ((start + hour * _HOUR).astimezone(zone) for hour in range(hours))
    return np.array([moment.weekday() * 24 + moment.hour for moment in local], dtype=np.int64)


def volume_findings(store: Store, volumes: Volumes) -> list[FindingDraft]:
    """What is odd in the last EVALUATED_HOURS. Where everything is odd at once, only that is told."""
    silent = silences(volumes.counts)
    odd = deviations(volumes.counts, volumes.season, volumes.evaluate_from, total=volumes.total)
    known = _known_incidents(store, volumes)
    zone = ZoneInfo(store.time_zone)
    drafts = [_silence_draft(volumes, silence, zone) for silence in _told_silences(silent, volumes.total)]
    drafts += [
        _deviation_draft(volumes, deviation, known, zone)
        for deviation in _told_deviations(odd, silent, volumes.total)
    ]
    return drafts


def _told_silences(silent: Sequence[Silence], total: int) -> list[Silence]:
    """Where nothing at all comes any more, that says it. What ended at another time says more."""
    everything = next((silence for silence in silent if silence.series == total), None)
    if everything is None:
        return list(silent)
    return [everything, *(one for one in silent if one.start < everything.start - 1)]


def _told_deviations(odd: Sequence[Deviation], silent: Sequence[Silence], total: int) -> list[Deviation]:
    def is_explained(one: Deviation) -> bool:
        if any(
            one.direction < 0 and quiet.series in (one.series, total) and one.stop > quiet.start
            for quiet in silent
        ):
            return True
        return one.series != total and any(
            other.series == total
            and other.direction == one.direction
            and one.start < other.stop
            and other.start < one.stop
            for other in odd
        )

    # With one kind of event only, the sum of all says the same once more.
    return [one for one in odd if not is_explained(one) and not (total == 1 and one.series == 0)]


@dataclass(frozen=True)
class _Incident:
    key: str
    since: datetime
    until: datetime


def _known_incidents(store: Store, volumes: Volumes) -> dict[tuple[str, str], list[_Incident]]:
    """{(kind, event): incidents} that end within the evaluated hours: one that goes on keeps its key and its start."""
    rows = Finding.objects.for_store(store).filter(
        kind__in=_VOLUMES, last_seen_at__gte=volumes.moment(volumes.evaluate_from) - SAME_INCIDENT
    )
    found: dict[tuple[str, str], list[_Incident]] = {}
    for row in rows:
        incident = _Incident(row.key, row.first_seen_at, row.last_seen_at)
        found.setdefault((row.kind, row.details.get("event", "")), []).append(incident)
    return found


def _deviation_draft(
    volumes: Volumes,
    deviation: Deviation,
    known: dict[tuple[str, str], list[_Incident]],
    zone: ZoneInfo,
) -> FindingDraft:
    name = volumes.names[deviation.series]
    kind = FindingKind.VOLUME_DROP if deviation.direction < 0 else FindingKind.VOLUME_SPIKE
    since, until = volumes.moment(deviation.start), volumes.moment(deviation.stop)
    before = next(
        (
            incident
            for incident in known.get((kind, name), ())
            if incident.since - SAME_INCIDENT <= until and since - SAME_INCIDENT <= incident.until
        ),
        None,
    )
    key = before.key if before else f"{name}@{since:%Y-%m-%dT%H}"
    is_grave = deviation.direction < 0 and deviation.count < deviation.expected / 10
    return FindingDraft(
        kind,
        key,
        f"{name}: {deviation.count:,} where about {deviation.expected:,.0f} are usual, {_period(since, until, zone)}.",
        severity=Finding.Severity.HIGH if is_grave else Finding.Severity.MEDIUM,
        details={
            "event": name,
            "since": since.isoformat(),
            "until": until.isoformat(),
            "hours": deviation.stop - deviation.start,
            "count": deviation.count,
            "usual_count": round(deviation.expected, 1),
            "probability": float(f"{deviation.probability:.2g}"),
        },
        observed_at=until,
        began_at=since,
        # A dismissed incident stays dismissed while it goes on.
        fingerprint=key,
    )


def _silence_draft(volumes: Volumes, silence: Silence, zone: ZoneInfo) -> FindingDraft:
    name = volumes.names[silence.series]
    since = volumes.moment(silence.start)
    is_everything = silence.series == volumes.total
    return FindingDraft(
        FindingKind.WENT_SILENT,
        f"{name}@{since:%Y-%m-%dT%H}",
        f"{name}: none for {silence.hours} hours, since {since.astimezone(zone):%a %d %b %H:%M}. The longest pause before was "
        f"{silence.longest_before} hours.",
        severity=Finding.Severity.HIGH if is_everything else Finding.Severity.MEDIUM,
        details={
            "event": name,
            "since": since.isoformat(),
            "hours": silence.hours,
            "longest_pause_before_hours": silence.longest_before,
        },
        observed_at=volumes.moment(silence.start + silence.hours),
        began_at=since,
        fingerprint=since.isoformat(),
    )


def _period(since: datetime, until: datetime, zone: ZoneInfo) -> str:
    begins, ends = since.astimezone(zone), until.astimezone(zone)
    same_day = begins.date() == (ends - _HOUR).date()
    return (
        f"{begins:%a %d %b %H:%M} to {ends:%H:%M}"
        if same_day
        else f"{begins:%a %d %b %H:%M} to {ends:%a %d %b %H:%M}"
    )
