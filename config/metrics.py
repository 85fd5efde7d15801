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

from recommendations.selectors.drift import latest_readings
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


class ModelCollector(Collector):
    """What the last watch over each live version found; silent where the database does not answer."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        drift = GaugeMetricFamily(
            "etalage_model_drift",
            "A figure of the live version's drift (a share, a PSI, days), as of the last watch.",
            labels=["store", "figure"],
        )
        is_drifting = GaugeMetricFamily(
            "etalage_model_drifting",
            "1 where that figure is past its threshold, else 0.",
            labels=["store", "figure"],
        )
        ended = GaugeMetricFamily(
            "etalage_model_data_until_timestamp_seconds",
            "When what the live version learned from ended.",
            labels=["store"],
        )
        try:
            for reading in latest_readings():
                store = reading.store.slug
                if reading.version.data_until is not None:
                    ended.add_metric([store], reading.version.data_until.timestamp())
                for figure in reading.figures:
                    is_drifting.add_metric([store, figure["name"]], float(figure["level"] in ("warn", "bad")))
                    if figure["value"] is not None:
                        drift.add_metric([store, figure["name"]], figure["value"])
        except Error:
            pass
        yield from (drift, is_drifting, ended)


_registry: Final = CollectorRegistry()
_registry.register(LogCollector())
_registry.register(ModelCollector())


def live_metrics() -> bytes:
    """In Prometheus' text format."""
    return generate_latest(_registry)
