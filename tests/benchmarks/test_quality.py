"""Evaluation folders of any shape go in, figures come out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from algorithms.experiments import Interval
from algorithms.types import Query, TrainingData
from algorithms.variants import VARIANTS
from benchmarks.quality.folders import log_of, read
from benchmarks.quality.peers import PEERS, SHOPPER, TRIALS, ImplicitCosine, parameter_sets
from benchmarks.quality.report import _percent
from benchmarks.quality.task import Task, UnreadableFolder
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


def little_shop() -> TrainingData:
    """Three shoppers: 0 and 1 touched items 0 and 1, 2 touched 2 and 3."""
    user, item = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 1, 0, 1, 2, 3], np.int32)
    return log_of(
        user, item, np.arange(6, dtype=float), np.ones(6, np.float32), np.zeros(6, np.bool_), n_items=4
    )


class TestPeers:
    def test_neighbours_answer_for_a_row_and_for_a_stranger(self) -> None:
        peer = ImplicitCosine(threads=1).fit(little_shop(), np.random.default_rng(0))
        known, stranger = Query.of([], now=10.0), Query.of([0], now=10.0)
        known.memo[SHOPPER] = 2
        scores = peer.score_many([known, stranger])
        # Shopper 2: item 2 is like itself and like 3, each with cosine 1. The stranger's item 0 is like itself and like 1.
        np.testing.assert_allclose(scores, [[0, 0, 2, 2], [1, 1, 0, 0]], atol=1e-6)

    @pytest.mark.parametrize("name", sorted(PEERS))
    def test_each_scores_everybody_and_knows_who_belongs_together(self, name: str) -> None:
        settings = {
            "implicit ALS": {"factors": 2},
            "implicit BPR": {"factors": 4},
            "LightFM": {"no_components": 4, "epochs": 100},
        }
        peer = PEERS[name](threads=1, **settings.get(name, {})).fit(little_shop(), np.random.default_rng(0))
        nobody, known, stranger = (Query.of(items, now=10.0) for items in ([], [], [3]))
        known.memo[SHOPPER] = 2
        scores = peer.score_many([nobody, known, stranger])
        assert scores.shape == (3, 4)
        assert np.isfinite(scores).all()
        assert (scores >= 0.0).all()
        if name not in ("implicit BPR", "LightFM"):  # too little for gradients to settle
            assert scores[1, 2:].min() > scores[1, :2].max()
            assert scores[2, 2] > scores[2, :2].max()

    def test_trials_begin_with_the_defaults_and_differ(self) -> None:
        for peer in PEERS.values():
            sets = parameter_sets(peer, seed=0)
            assert sets[0] == {}
            assert len({json.dumps(each, sort_keys=True) for each in sets}) == len(sets) <= TRIALS
            assert sets == parameter_sets(peer, seed=0)

    def test_peers_get_as_many_trials_as_ours(self) -> None:
        assert max(len(variants) for variants in VARIANTS.values()) == TRIALS

    def test_the_command_puts_them_beside_ours(
        self, interactions_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("benchmarks.quality.comparison.PEERS", {"implicit cosine": ImplicitCosine})
        call_command(
            "bench_quality", "--data", str(interactions_folder), "--json", "--no-progress", "--trials", "3", "--peers",
            "--strategies", "session_knn", "popular",
        )  # fmt: skip
        out = capsys.readouterr().out
        report = json.loads(out.splitlines()[-1])
        assert report["peers"].keys() == {"implicit cosine, defaults", "implicit cosine, tuned"}
        for peer in report["peers"].values():
            assert 0.0 <= peer["unseen"]["ndcg@10"] <= 1.0
        assert "| implicit cosine, tuned |" in out
        assert "paired bootstrap" in out.replace("\n", " ")


def test_a_leak_is_refused_by_the_command(interactions_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(folder: Path, **options: object) -> Task:
        task = read(folder)
        return replace(task, train=replace_rows(task))

    def replace_rows(task: Task) -> TrainingData:
        """The training part with the first test case's choice in it."""
        train, case = task.train, task.test[0]
        rows = np.r_[np.arange(len(train)), len(train) - 1]
        columns = {
            name: getattr(train, name)[rows]
            for name in ("user", "item", "timestamp", "weight", "session", "basket")
        }
        columns["user"][-1], columns["item"][-1] = case.user, case.targets[0]
        columns["timestamp"][-1] = case.query.now
        return replace(train, **columns)

    monkeypatch.setattr("recommendations.management.commands.bench_quality.read", leaking)
    with pytest.raises(CommandError, match="stand in the training part"):
        call_command("bench_quality", "--data", str(interactions_folder), "--no-progress")


def test_what_a_strategy_costs_and_where_it_is_good_is_told(
    sessions_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command(
        "bench_quality", "--data", str(sessions_folder), "--json", "--no-progress", "--trials", "3",
        "--strategies", "session_knn", "popular",
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in ("session_knn", "popular"):
        assert report["strategies"][name]["train_mb"] >= 0.0
        low, high = report["intervals_of"][name]["ndcg@10"]
        assert low <= report["strategies"][name]["ndcg@10"] <= high
        # Two items are known of both test cases: the class is the whole.
        assert report["by_density_of"][name] == {
            "2-4": pytest.approx(report["strategies"][name]["ndcg@10"], abs=1e-5)
        }
    best = max(("session_knn", "popular"), key=lambda name: report["strategies"][name]["ndcg@10"])
    assert report["best_strategy"] == best
    expected = report["blend"]["ndcg@10"] / report["strategies"][best]["ndcg@10"]
    assert report["times_best_strategy"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "bounds, text",
    [
        ((0.5, -0.1, 0.25), "+50.0%, -10.0% to +25.0%"),
        ((0.5, 0.1, np.inf), "+50.0%, +10.0% or more"),
        ((np.inf, np.inf, np.inf), "the other found nothing"),
    ],
)
def test_a_difference_to_almost_nothing_is_told_as_such(
    bounds: tuple[float, float, float], text: str
) -> None:
    assert _percent(Interval(*bounds)) == text


class TestGrocer:
    """A folder like complete_journey's: weeks of baskets, products with attributes."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        day = 86_400_000
        rows = [  # week, day, household, product, quantity
            (39, 0, 1, 10, 1), (39, 0, 1, 99, 1), (40, 7, 1, 11, 201), (40, 7, 1, 12, 2), (40, 8, 2, 10, 1),
            (41, 14, 1, 10, 1), (41, 15, 1, 13, 1), (41, 15, 2, 12, 1), (42, 21, 2, 11, 1), (40, 7, 2, 13, 1), (39, 1, 2, 77, 3),
        ]  # fmt: skip
        week, moment, household, product, quantity = zip(*rows, strict=True)
        write(
            tmp_path, "transactions", week=week, household_id=household, product_id=product, quantity=quantity,
            transaction_time_local=pa.array([1_483_228_800_000 + d * day for d in moment], pa.timestamp("ms")),
            basket_id=[h * 1000 + d for h, d in zip(household, moment, strict=True)],
        )  # fmt: skip
        write(
            tmp_path, "products", product_id=[10, 11, 12, 13, 77, 99],
            department=["GROCERY", "MISCELLANEOUS", "GROCERY", "GROCERY", "COUPON", "FUEL"],
            product_category=["bread", None, "milk", "bread", "voucher", "fuel"],
        )  # fmt: skip
        return tmp_path

    def test_fuel_vouchers_and_odd_quantities_are_no_products(self, folder: Path) -> None:
        task = read(folder)
        assert task.mode == "unseen"
        # 10, 12 and 13 are left: 99 is fuel, 77 a voucher, 11 was only ever bought in 201 "units" before week 41.
        assert task.train.n_items == 3
        assert (len(task.past), len(task.train)) == (1, 4)

    def test_the_week_after_is_asked_for_and_no_more(self, folder: Path) -> None:
        task = read(folder)
        found = sorted((len(case.query.items), len(case.targets)) for case in task.test)
        assert found == [(2, 1), (2, 2)]  # household 2: 12; household 1: 10 (again) and 13

    def test_a_long_log_has_several_origins_each_with_a_past_of_its_own(self, tmp_path: Path) -> None:
        """Ten weeks, a household that buys two of twelve things each Monday; the test is week 41, origins lie in the weeks before."""
        day = 86_400_000
        rows = [(31 + week, 7 * week, 1, 10 + (week + n) % 12) for week in range(11) for n in range(2)]
        week, moment, household, product = zip(*rows, strict=True)
        write(
            tmp_path, "transactions", week=week, household_id=household, product_id=product, quantity=[1] * len(rows),
            transaction_time_local=pa.array([1_483_228_800_000 + d * day for d in moment], pa.timestamp("ms")),
            basket_id=[1000 + d for d in moment], sales_value_usd=[2.5] * len(rows),
        )  # fmt: skip
        write(
            tmp_path, "products", product_id=list(range(10, 22)), department=["GROCERY"] * 12,
            product_category=["bread"] * 12, product_type=["rolls", "loaves"] * 6, manufacturer_id=[1, 2, 3] * 4,
        )  # fmt: skip
        task = read(tmp_path)
        # 63 days between the first and the last purchase of training: 18.9 of them are two whole weeks.
        assert len(task.origins) == 2
        assert [len(origin.past) for origin in task.origins] == [16, 18]
        assert [int(origin.cases[0].query.now - task.test[0].query.now) for origin in task.origins] == [
            -14 * 86400,
            -7 * 86400,
        ]
        assert task.origins[-1].past is task.past
        for origin in task.origins:
            assert (origin.past.timestamp < origin.cases[0].query.now).all()
        train = task.train
        assert train.item_price is not None
        assert set(train.item_price[np.unique(train.item)].tolist()) == {250.0}
        assert train.item_category is not None
        assert len(np.unique(train.item_category)) == 2
        assert train.item_brand is not None
        assert len(np.unique(train.item_brand)) == 3

    def test_a_missing_category_is_none(self, folder: Path) -> None:
        category = read(folder).train.item_category
        assert category is not None
        assert sorted(np.unique(category, return_counts=True)[1].tolist()) == [1, 2]  # milk; bread twice
