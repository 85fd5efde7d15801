"""What Prometheus is told of ingestion."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS: Final = Counter("etalage_events_total", "Events by what became of them.", ["outcome"])
REQUESTS: Final = Counter("etalage_collect_requests_total", "Collecting requests by HTTP status.", ["status"])
REQUEST_SECONDS: Final = Histogram(
    "etalage_collect_seconds",
    "From a collecting request's arrival to its answer.",
    buckets=(0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
REFUSED: Final = Counter("etalage_events_refused_total", "Events of requests that were answered with 503.")
GROUP_EVENTS: Final = Histogram(
    "etalage_commit_group_events",
    "Events in one group commit.",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000),
)
COMMIT_SECONDS: Final = Histogram(
    "etalage_commit_seconds",
    "Duration of a group commit.",
    buckets=(0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
PENDING: Final = Gauge(
    "etalage_pending_events",
    "Events that wait for the database, in all web processes that are alive.",
    multiprocess_mode="livesum",
)
FOLD_FAILURES: Final = Counter(
    "etalage_fold_failures_total", "Runs of folds that failed, which go on from where they were.", ["fold"]
)


@lru_cache(maxsize=64)
def _requests(status: int) -> Counter:
    return REQUESTS.labels(str(status))


def observe_request(status: int, seconds: float) -> None:
    _requests(status).inc()
    REQUEST_SECONDS.observe(seconds)
