"""The measurement of ingestion from beginning to end, tiny, on servers of the tests'."""

import json
from io import StringIO

import psycopg
import pytest
import redis
from django.conf import settings
from django.core.management import CommandError, call_command

from benchmarks.ingestion.plan import Plan
from benchmarks.ingestion.report import as_markdown
from benchmarks.ingestion.run import Measurement, Report, Rounds
from benchmarks.ingestion.soak import Soak


def report(**values: object) -> Report:
    rounds = Rounds(
        bare_copy=[40_000.0, 50_000.0, 45_000.0],
        batches=[20_000.0, 15_000.0, 18_000.0],
        empty={16: [4000.0, 2000.0, 1000.0]},
        collector={16: [8000.0, 4000.0, 2000.0]},
        single={16: [1000.0, 1000.0, 450.0]},
        gated=[9_500.0, 10_000.0, 9_000.0],
        ungated=[10_000.0, 10_000.0, 9_900.0],
    )
    cell = Measurement(100, 16, 20_000.0, 200.0, 12.3, 45.6, 1, 2, 1.1, 0.5, 0.1, 0.2, 400.0)
    return Report(
        **{
            "plan": Plan(),
            "machine": "A machine",
            "load_average": 0.1,
            "rounds": rounds,
            "measurements": [cell],
            "acknowledged": 10,
            "stored": 10,
            "sent": 10,
            **values,
        }
    )


def test_shares_are_the_medians_of_the_rounds() -> None:
    figures = report()
    # 20/40, 15/50 and 18/45 are 0.5, 0.3 and 0.4; 1/4, 1/2 and 0.45 of an empty view; half of that of the collector's.
    assert figures.batch_share == 0.4
    assert figures.single_shares == {16: 0.45}
    assert figures.collector_shares == {16: 0.225}
    # 10/9.5, 1 and 1.1: the gate adds 5.3 %.
    assert figures.gate_cost == pytest.approx(0.0526, abs=1e-4)


def test_the_report_says_what_was_reached_and_what_was_missed() -> None:
    samples = [(float(second), 100.0 if second < 300 else 104.0) for second in range(5, 600, 5)]
    text = as_markdown(report(soak=Soak(600.0, 5000.0, 20.0, 0, 0, samples)))
    assert "≥ 0.35 of the bare COPY's rate | **0.40** | yes |" in text
    assert "single events at 16 connections: ≥ 0.4 of an empty view's requests/s | **0.45** | yes |" in text
    assert "the consent gate adds < 5% | **+5.3%** | missed |" in text
    assert "memory flat over 10 minutes | **+4.0%** | yes |" in text
    assert "other work" not in text
    assert "| 100 | 16 | 20,000 | 200 | 12.3 ms | 45.6 ms | 3 | 1.10 | 0.50 | 0.10 | 0.20 | 400 MB |" in text


def test_a_machine_that_is_not_quiet_is_told_of() -> None:
    assert "other work" in as_markdown(report(load_average=2.0))


@pytest.mark.parametrize("numbers", ["", "x", "0", "1,,2"])
def test_a_list_of_numbers_is_one(numbers: str) -> None:
    with pytest.raises(CommandError, match="no list of numbers"):
        call_command("bench_ingest", f"--batch-sizes={numbers}")


@pytest.mark.alone
@pytest.mark.django_db(transaction=True)
def test_a_tiny_run_from_beginning_to_end(tmp_path, monkeypatch) -> None:
    from benchmarks import results

    written = tmp_path / "RESULTS.md"
    real = results.write_section
    monkeypatch.setattr(
        "tracking.management.commands.bench_ingest.write_section",
        lambda heading, command, body: real(heading, command, body, path=written),
    )
    out = StringIO()
    call_command(
        "bench_ingest", "--preload=1000", "--copy-rows=500", "--seconds=0.6", "--rounds=1", "--batch-sizes=1,100",
        "--connections=1,16", "--processes=1", "--soak=2", "--json", "--write", stdout=out,
    )  # fmt: skip
    told = json.loads(out.getvalue().splitlines()[-1])
    assert [(cell["batch_size"], cell["connections"]) for cell in told["measurements"]] == [
        (1, 1), (1, 16), (100, 1), (100, 16),
    ]  # fmt: skip
    for cell in told["measurements"]:
        assert cell["requests_per_second"] > 0
        assert cell["failed"] == 0
        assert 0 < cell["p50_ms"] <= cell["p99_ms"]
        assert cell["cpu_web"] > 0 < cell["cpu_load"]
        assert cell["memory_mb"] > 50
    assert told["acknowledged"] <= told["stored"] <= told["sent"]
    assert told["batch_share"] > 0 < told["single_shares"]["16"]
    assert len(told["soak"]["samples"]) >= 4
    assert "## Ingestion" in written.read_text()
    assert _left_behind() == []


def _left_behind() -> list[str]:
    """Databases and keys of the benchmark that are still there."""
    with psycopg.connect(settings.ETALAGE_DATABASE_OWNER_URL) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'etalage_bench%'")
        left = [name for (name,) in names]
    with redis.Redis.from_url(settings.REDIS_URL.rpartition("/")[0] + "/15") as client:
        return left + [key.decode() for key in client.keys("*")]
