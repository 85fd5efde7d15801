"""Off-policy estimates of logged policies: a small campaign made here, and the Open Bandit Dataset where it is."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from benchmarks.policies.open_bandit import UnreadableLog, read
from benchmarks.policies.run import frequencies, our_policy, run

RATES = np.array([0.02, 0.05, 0.25])
THOMPSON = np.array([0.1, 0.2, 0.7])


def write(path: Path, policy: np.ndarray[Any, Any], rng: np.random.Generator, n: int = 4000) -> None:
    items = rng.choice(3, n, p=policy)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    pq.write_table(
        pa.table(
            {
                "timestamp_utc": [start + timedelta(days=7 * row / n) for row in range(n)],
                "item_id": items + 10,
                "position": rng.integers(1, 4, n),
                "click": rng.binomial(1, RATES[items]),
                "action_prob": policy[items],
            }
        ),
        path,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    write(tmp_path / "random_shoes.parquet", np.full(3, 1 / 3), rng)
    write(tmp_path / "bts_shoes.parquet", THOMPSON, rng)
    return tmp_path


def ask(folder: Path, *more: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("evaluate_policy", data=folder, json=True, progress=False, resamples=50, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
    return answer


def test_each_policy_is_found_in_the_others_log(folder: Path) -> None:
    """True values: random (0.02 + 0.05 + 0.25) / 3 = 0.1067; Thompson 0.002 + 0.01 + 0.175 = 0.187."""
    found = {each["policy"]: each for each in ask(folder)["comparisons"]}
    for policy, value in (("random", 0.1067), ("Thompson sampling", 0.187)):
        one = found[policy]
        for name, estimate in one["estimates"].items():
            assert estimate["value"] == pytest.approx(value, rel=0.15), name
            assert estimate["relative_error"] == pytest.approx(
                abs(estimate["value"] - one["truth"]["value"]) / one["truth"]["value"], rel=0.01, abs=1e-4
            )
    ours = found["ours, learned on days 1–4"]
    assert ours["truth"] is None
    assert ours["estimates"]["doubly_robust"]["value"] == pytest.approx(
        0.25, rel=0.2
    )  # it shows the best item
    assert ours["logged"]["value"] == pytest.approx(0.1067, rel=0.2)


def test_figures_can_be_had_again(folder: Path) -> None:
    assert ask(folder) == ask(folder)


def test_policies_are_probabilities(folder: Path) -> None:
    campaign = read(folder)[0]
    table = frequencies(campaign.thompson, 3)
    assert table.sum(axis=1) == pytest.approx([1, 1, 1])
    assert table.mean(axis=0) == pytest.approx(THOMPSON, abs=0.03)
    ours = our_policy(campaign.random, 3, seed=0)
    assert ours.sum(axis=1) == pytest.approx([1, 1, 1])
    assert ours[0, 2] > 0.9
    assert ours.min() >= 0.1 / 3 - 1e-9


def test_a_folder_without_campaigns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no campaign"):
        call_command("evaluate_policy", data=tmp_path, progress=False)
    rng = np.random.default_rng(0)
    for name in ("random_men", "bts_men"):
        write(tmp_path / f"{name}.parquet", THOMPSON, rng, n=30)
    table = pq.read_table(tmp_path / "bts_men.parquet").drop_columns(["action_prob"])
    pq.write_table(table, tmp_path / "bts_men.parquet")
    with pytest.raises(UnreadableLog, match="no column action_prob"):
        read(tmp_path)


def test_the_open_bandit_dataset(shared_data: Path) -> None:
    """Three campaigns, six estimates of policies that ran: two of three intervals hold the truth at least, of each estimator."""
    campaigns = read(shared_data / "open_bandit")
    assert [campaign.name for campaign in campaigns] == ["all", "men", "women"]
    assert [campaign.random.n_actions for campaign in campaigns] == [80, 34, 46]
    found = [each for each in run(campaigns, seed=0, resamples=60) if each.truth is not None]
    assert len(found) == 6
    for name in ("inverse_propensity", "self_normalised", "doubly_robust"):
        intervals = [getattr(each.estimates, name) for each in found]
        held = [
            interval.low <= each.truth.estimate <= interval.high
            for each, interval in zip(found, intervals, strict=True)
            if each.truth
        ]
        assert sum(held) >= 4
        assert all(0 < interval.estimate < 0.02 for interval in intervals)
