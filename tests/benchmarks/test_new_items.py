"""Holding items out: nothing of them leaks into training, and a ranking that knows them by content beats chance."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from algorithms.evaluation import TestCase
from algorithms.types import Query
from benchmarks.quality import new_items
from benchmarks.quality.folders import read
from tests.algorithms.shops import NOW, sessions

N_ITEMS, N_USERS = 60, 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three kinds of twenty things; each person looks at eight of one kind, a day apart."""
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user}", f"sku-{item}", 1_600_000_000_000 + day * 86_400_000 + user * 1000)
        for user in range(N_USERS)
        for day, item in enumerate(rng.choice(20, 8, replace=False) + 20 * (user % 3))
    ]
    users, items, times = zip(*rows, strict=True)
    table = {"user_id": users, "item_id": items, "timestamp": pa.array(times, pa.timestamp("ms"))}
    pq.write_table(pa.table(table), tmp_path / "interactions.parquet")
    names = [f"a {('red', 'green', 'blue')[n // 20]} thing for the house" for n in range(N_ITEMS)]
    catalogue = {"item_id": [f"sku-{n}" for n in range(N_ITEMS)], "title": names}
    pq.write_table(pa.table(catalogue), tmp_path / "items.parquet")
    return tmp_path


def test_held_out_items_are_in_no_training_and_in_no_history(folder: Path) -> None:
    validation, test = new_items.slices(read(folder), seed=0)
    assert test.new.sum() == 9  # 15 % of 60
    assert validation.new.sum() == 8  # 15 % of the 51 others, 7.65, rounded
    assert not (validation.new & test.new).any()
    for part, unknown in ((test, test.new), (validation, validation.new | test.new)):
        part.data.validate()
        assert not unknown[part.data.item].any()
        assert not any(unknown[case.query.items].any() for case in part.cases)
        assert all(part.new[case.targets].all() for case in part.cases)
    assert test.data.item_created is not None
    assert ((test.data.item_created > 0) == test.new).all()


def test_what_the_shopper_had_met_before_is_no_target() -> None:
    data = replace(sessions([0, 1, 2, 3], [1, 2], n_items=4), item_texts=["a", "b", "c", "d"])
    new = np.array([False, True, False, True])
    cases = [
        TestCase(
            Query.of([0, 1], now=NOW), np.array([1, 2, 3], np.int32)
        ),  # 1 again, 2 is not new: 3 is left
        TestCase(Query.of([0, 1], now=NOW), np.array([1], np.int32)),
        TestCase(Query.of([3], now=NOW), np.array([1], np.int32)),  # nothing of the history is left
    ]
    part = new_items._without(data, cases, new, new)
    assert len(part.cases) == 1
    assert part.cases[0].targets.tolist() == [3]
    assert part.cases[0].query.items.tolist() == [0]
    assert sorted(set(part.data.item.tolist())) == [0, 2]


def test_new_items_are_ranked_among_themselves_with_ties_at_their_mean_rank() -> None:
    class Fixed(new_items.ContentTFIDF):
        def score_many(self, queries: object) -> np.ndarray:
            return np.array([[9.0, 0.5, 9.0, 0.5, 0.7]], np.float32)

    new = np.array([False, True, False, True, True])
    case = TestCase(Query.of([0], now=NOW), np.array([1], np.int32))
    found = new_items.measure(Fixed(), new_items.Slice(sessions([0], n_items=5), [case], new))
    # Among items 1, 3 and 4: item 4 first, 1 and 3 share ranks 2 and 3.
    assert found["mrr"].tolist() == [pytest.approx(1 / 2.5)]
    assert found["recall"].tolist() == [1.0]


def test_a_ratio_has_the_bounds_of_its_pairs() -> None:
    theirs = np.array([0.1, 0.2, 0.3, 0.4])
    found = new_items.ratio(2 * theirs, theirs, np.random.default_rng(0))
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_command_measures_and_says_what_was_reached(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("bench_quality", "--data", str(folder), "--new-items", "--json", "--no-progress")
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["new_items"] == 9
    assert {"new_items", "content", "lightfm", "LightFM"} <= report["strategies"].keys()
    assert report["strategies"]["content"]["mrr@10"] > 2 / 9
    assert report["ratio"]["against"] in ("lightfm", "LightFM")
    low, high = report["ratio"]["interval"]
    assert low <= report["ratio"]["recall"] <= high


def test_a_folder_that_says_nothing_of_its_items_is_refused(folder: Path) -> None:
    (folder / "items.parquet").unlink()
    with pytest.raises(CommandError, match=r"Add items\.parquet"):
        call_command("bench_quality", "--data", str(folder), "--new-items", "--no-progress")
