"""Clocks that are off: of a key's requests of a day, how far apart sending and receiving were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2
from typing import Final

from accounts.display.columns import duration
from accounts.models import ApiKey, Store
from tracking.models import ClockSkew, Finding, FindingKind
from tracking.services.findings import FindingDraft

LOOK_BACK: Final = timedelta(hours=24)
FEWEST_REQUESTS: Final = 20
# A server's clock is set by NTP, those of browsers are their people's: half of them five minutes off is no chance.
SERVER_SECONDS: Final = 60
BROWSER_SECONDS: Final = 300
_HALF_HOUR: Final = 1_800


@dataclass(frozen=True)
class Drift:
    """Seconds that senders are behind us (negative: ahead), at the tenth, half and nine tenths of the requests."""

    requests: int
    low: int
    median: int
    high: int


def drift_of(histogram: Mapping[int, int]) -> Drift:
    """`histogram`: {seconds: requests}, not empty."""
    total = sum(histogram.values())
    found, seen = [], 0
    shares = [0.1, 0.5, 0.9]
    for seconds in sorted(histogram):
        seen += histogram[seconds]
        while shares and seen >= shares[0] * total:
            found.append(seconds)
            shares.pop(0)
    low, median, high = found
    return Drift(total, low, median, high)


@dataclass(frozen=True)
class Clocks:
    """`judged` are the keys of enough requests, as keys of findings: one of them that is not found again is well."""

    findings: list[FindingDraft]
    judged: frozenset[str]


def clock_findings(store: Store, now: datetime) -> Clocks:
    rows = ClockSkew.objects.for_store(store).filter(hour__gte=now - LOOK_BACK, hour__lte=now)
    histograms: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for key_id, seconds, count in rows.values_list("api_key_id", "skew_seconds", "count"):
        histograms[key_id][seconds] += count
    keys = ApiKey.objects.for_store(store).in_bulk(list(histograms))
    findings, judged = [], set()
    for key_id, histogram in histograms.items():
        drift = drift_of(histogram)
        if drift.requests < FEWEST_REQUESTS:
            continue
        judged.add(f"api_key:{key_id}")
        limit = SERVER_SECONDS if keys[key_id].is_secret else BROWSER_SECONDS
        if abs(drift.median) > limit:
            findings.append(_draft(keys[key_id], drift, now))
    return Clocks(findings, frozenset(judged))


def _draft(key: ApiKey, drift: Drift, now: datetime) -> FindingDraft:
    off = abs(drift.median)
    direction = "behind" if drift.median > 0 else "ahead of"
    is_zone = off >= _HALF_HOUR and off % _HALF_HOUR == 0
    hint = " It looks like local time sent as UTC." if is_zone else ""
    return FindingDraft(
        FindingKind.CLOCK_DRIFT,
        f"api_key:{key.pk}",
        f"The clock that “{key.name}” sends with is {duration(off)} {direction} ours.{hint}"[:300],
        severity=Finding.Severity.HIGH if off >= _HALF_HOUR else Finding.Severity.MEDIUM,
        details={
            "median_seconds_behind": drift.median,
            "a_tenth_is_below_seconds": drift.low,
            "a_tenth_is_above_seconds": drift.high,
            "requests": drift.requests,
            "looks_like_a_time_zone": is_zone,
        },
        evidence=[f"api_key:{key.pk}"],
        observed_at=now,
        # Of the same direction and size: the same clock, wrong in the same way.
        fingerprint=f"{direction}:{int(log2(off))}",
    )
