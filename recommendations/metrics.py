"""Prometheus metrics of serving and training, at `/metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SHELVES = Counter("etalage_shelves_total", "Shelves served.", ["placement", "variant", "fallback"])
SHELF_SECONDS = Histogram(
    "etalage_shelf_seconds",
    "Time to make a shelf.",
    ["placement"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.3, 1.0),
)
TRAINING_FAILURES = Counter(
    "etalage_training_failures_total", "Training runs that failed or were killed.", ["store"]
)
TRAINING_SECONDS = Histogram(
    "etalage_training_seconds",
    "Time of a finished training run.",
    ["store"],
    buckets=(1, 5, 15, 60, 180, 600, 1800, 7200),
)
LAST_TRAINING = Gauge(
    "etalage_last_training_timestamp_seconds", "When the last training run finished well.", ["store"]
)
