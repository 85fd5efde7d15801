"""What `/metrics` says beyond the counts of processes: whether the database answers, and how far behind the readers
of the log are. Asked when Prometheus asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db import Error
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tracking.selectors.lag import reader_lags


class LogCollector(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        lags = GaugeMetricFamily(
            "etalage_reader_lag_seconds",
            "Age of the oldest event that a reader of the log (sessions, orders, profiles, …) has not read.",
            labels=["store", "reader"],
        )
        is_up = GaugeMetricFamily(
            "etalage_database_up", "1 where the log can be read within a second, else 0."
        )
        try:
            for lag in reader_lags():
                lags.add_metric([lag.store, lag.reader], lag.seconds)
        except Error:
            is_up.add_metric([], 0)
        else:
            is_up.add_metric([], 1)
        yield is_up
        yield lags


_registry: Final = CollectorRegistry()
_registry.register(LogCollector())


def live_metrics() -> bytes:
    """In Prometheus' text format."""
    return generate_latest(_registry)
