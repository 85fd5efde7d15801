"""Evaluation folders of any shape go in, figures come out."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from benchmarks.quality.folders import read
from benchmarks.quality.task import UnreadableFolder
from benchmarks.results import write_section

DAY = 86_400_000


def write(folder: Path, name: str, **columns: object) -> None:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


@pytest.fixture
def sessions_folder(tmp_path: Path) -> Path:
    """Sixty sessions that run up or down a ring of ten items; two test cases."""
    rng = np.random.default_rng(0)
    rows = []
    for session in range(60):
        start, step = int(rng.integers(10)), 1 if session % 2 else -1
        rows += [(session, place, 100 + (start + step * place) % 10) for place in range(5)]
    session_id, position, item_id = zip(*rows, strict=True)
    write(tmp_path, "train_sessions", session_id=session_id, position=position, item_id=item_id)
    write(
        tmp_path, "test_prefixes", case_id=[7, 7, 3, 3], position=[1, 0, 0, 1], item_id=[103, 102, 109, 108]
    )
    write(tmp_path, "test_targets", case_id=[3, 7], target_item_id=[107, 104])
    return tmp_path


@pytest.fixture
def interactions_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(30), 6)
    items = [f"sku-{(user % 2) * 10 + int(rng.integers(10))}" for user in users]
    times = np.array([1_600_000_000_000 + user * 1000 + n * DAY for n, user in enumerate(users)])
    write(
        tmp_path, "interactions",
        user_id=[f"u{user}" for user in users], item_id=items, timestamp=pa.array(times, pa.timestamp("ms")),
        event=["view", "add_to_cart", "transaction"] * 60,
    )  # fmt: skip
    write(
        tmp_path, "items",
        item_id=[f"sku-{n}" for n in range(22)], title=[f"a thing of kind {n // 10}" for n in range(22)],
        category=["even", "odd"] * 11, price=[float(n) for n in range(21)] + [None],
    )  # fmt: skip
    return tmp_path


def test_sessions_become_prefixes_in_their_order(sessions_folder: Path) -> None:
    task = read(sessions_folder)
    task.train.validate()
    task.past.validate()
    assert (task.kind, task.mode, task.train.n_items, task.train.n_sessions) == ("sessions", "all", 10, 60)
    first, second = task.test
    # Down the ring: 109, 108, then 107. Up: 102, 103, then 104. Numbers are permuted, but alike for both.
    assert len({*first.query.items.tolist(), *first.targets.tolist(), *second.query.items.tolist()}) == 5
    assert all(len(case.query.items) >= 2 for case in task.validation)
    assert task.past.n_sessions == 55
    assert len(task.validation) == 5 * 3


def test_interactions_are_split_off_their_ends(interactions_folder: Path) -> None:
    task = read(interactions_folder)
    assert (task.kind, task.mode) == ("interactions", "unseen")
    assert (len(task.past), len(task.train), len(task.test), len(task.validation)) == (120, 150, 30, 30)
    assert sorted(set(task.train.weight.tolist())) == [1.0, 4.0, 8.0]
    assert ((task.train.basket >= 0) == (task.train.weight == 8.0)).all()
    assert all(case.query.timestamps.max() < case.query.now for case in task.test)
    assert task.train.item_category is not None
    assert set(task.train.item_category.tolist()) == {0, 1}
    assert task.train.item_texts is not None
    assert read(interactions_folder, repeat=True).mode == "all"


def test_a_seed_gives_the_same_numbers_to_items_and_another_gives_others(interactions_folder: Path) -> None:
    one, same, other = (read(interactions_folder, seed=seed).train.item for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


@pytest.mark.parametrize(
    "files, message",
    [
        ({}, "holds neither"),
        ({"interactions": {"user_id": [1], "item_id": [1]}}, "no column timestamp"),
        (
            {"train_sessions": {"session_id": [1], "position": [0], "item_id": [1]}},
            "test_prefixes.parquet cannot be read",
        ),
    ],
)
def test_a_folder_of_another_shape_is_refused_with_what_it_lacks(
    tmp_path: Path, files: dict, message: str
) -> None:
    for name, columns in files.items():
        write(tmp_path, name, **columns)
    with pytest.raises(UnreadableFolder, match=message):
        read(tmp_path)
    with pytest.raises(CommandError, match=message):
        call_command("bench_quality", data=tmp_path, progress=False)


def test_the_command_measures_sessions(sessions_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command(
        "bench_quality", "--data", str(sessions_folder), "--json", "--no-progress", "--trials", "5",
        "--strategies", "session_knn", "viewed_next", "popular", "reminder",
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["cases"] == 2
    assert report["strategies"].keys() == {"session_knn", "viewed_next", "popular", "reminder"}
    assert report["blend"]["hit_rate@20"] == 1.0  # ten items
    assert report["unseen"]["blend"]["mrr@20"] > report["unseen"]["popular"]["mrr@20"]
    assert max(report["weights"].values()) == 1.0
    assert report["train_seconds"] >= 0
    assert report["peak_memory_mb"] > 50


def test_the_command_measures_interactions(
    interactions_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command(
        "bench_quality", "--data", str(interactions_folder), "--json", "--no-progress", "--trials", "5"
    )
    lines = capsys.readouterr().out.splitlines()
    report = json.loads(lines[-1])
    assert "**Items that the shopper had not seen**" in lines
    assert {"lightfm", "als", "ease", "content", "bought_together", "repurchase"} <= report[
        "strategies"
    ].keys()
    for figures in (report["blend"], *report["strategies"].values(), *report["unseen"].values()):
        assert 0.0 <= figures["ndcg@10"] <= 1.0
        assert figures["repeats@10"] == 0.0
    assert report["blend"] == report["unseen"]["blend"]


def test_a_section_of_the_results_is_replaced_and_its_neighbours_stay(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    write_section("One", "run one", "first", path)
    write_section("Two", "run two", "second", path)
    write_section("One", "run one", "better", path)
    text = path.read_text()
    assert "first" not in text
    assert text.index("## One\n\n    run one\n\nbetter\n") < text.index("## Two\n\n    run two\n\nsecond\n")
    assert text.startswith("# Results\n")
