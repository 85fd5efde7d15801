"""Evaluation, tuning and splits on cases small enough to rank by hand."""

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import pytest

from algorithms.evaluation import Blend, TestCase, density_classes, evaluate
from algorithms.popularity import Popularity
from algorithms.session_knn import SessionKNN
from algorithms.splits import (
    HISTORY_LENGTH,
    Leak,
    cutoff_for,
    leave_last_out,
    next_choices,
    refuse_leak,
    sessionise,
    split_by_time,
)
from algorithms.tuning import ScoreBlocks, gather, measure, tune
from algorithms.types import JSON, Array, Float32, Query, Strategy, TrainingData
from tests.algorithms.shops import NOW, log, sessions, shop


class Fixed(Strategy):
    """Says the same to everybody."""

    name: ClassVar[str] = "fixed"

    def __init__(self, *scores: float) -> None:
        self.scores = np.array(scores, np.float32)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        return self

    def score(self, query: Query) -> Float32:
        return self.scores.copy()

    @property
    def n_items(self) -> int:
        return len(self.scores)

    def arrays(self) -> dict[str, Array]:
        return {"scores": self.scores}

    def parameters(self) -> dict[str, JSON]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        return cls(*arrays["scores"].tolist())


def case(seen: list[int], targets: list[int]) -> TestCase:
    return TestCase(Query.of(seen, now=NOW), np.array(targets, np.int32))


class TestEvaluate:
    falling = Fixed(0.5, 0.4, 0.3, 0.2, 0.0)

    def test_ranks_all_items_and_then_only_unseen_ones(self) -> None:
        figures = evaluate({"s": self.falling}, [case([0, 1], [2])])["s"]
        assert figures["all"].mean("mrr@10") == pytest.approx(1 / 3)
        assert figures["unseen"].mean("mrr@10") == 1.0

    def test_a_case_of_repeats_alone_counts_among_all_items_only(self) -> None:
        figures = evaluate({"s": self.falling}, [case([1], [1]), case([], [0])])["s"]
        assert figures["all"].summary()["cases"] == 2
        assert figures["unseen"].summary()["cases"] == 1
        assert figures["unseen"].mean("hit_rate@10") == 1.0

    def test_a_target_without_opinion_shares_the_last_places(self) -> None:
        figures = evaluate({"s": Fixed(0.5, 0.0, 0.0, 0.0)}, [case([], [2])])["s"]
        assert figures["all"].mean("mrr@10") == pytest.approx(1 / 3)  # places 2, 3, 4

    def test_blends_are_ranked_beside_their_strategies(self) -> None:
        rising = Fixed(0.0, 0.1, 0.2, 0.3, 1.0)
        results = evaluate(
            {"falling": self.falling, "rising": rising},
            [case([], [4])],
            blends={"both": Blend({"falling": 1, "rising": 2})},
        )
        assert results["falling"]["all"].mean("mrr@10") == 0.2
        assert results["both"]["all"].mean("mrr@10") == 1.0

    def test_exposure_coverage_and_repeats_are_of_the_lists(self) -> None:
        figures = evaluate(
            {"s": self.falling}, [case([0, 3], [2]), case([], [1])], groups=np.array([0, 0, 1, 1, 1])
        )["s"]
        assert figures["all"].exposure.tolist() == [2, 2, 2, 2, 0]
        assert figures["all"].summary()["coverage@10"] == 0.8
        assert figures["all"].repeat_share == 2 / 8
        assert figures["unseen"].exposure.tolist() == [1, 2, 2, 1, 0]
        assert figures["unseen"].repeat_share == 0.0

    def test_blocks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = shop()
        strategies = {"knn": SessionKNN().fit(data, np.random.default_rng(0))}
        cases = leave_last_out(data)[1]
        whole = evaluate(strategies, cases)
        monkeypatch.setattr("algorithms.evaluation.BLOCK_BYTES", 1)
        assert evaluate(strategies, cases)["knn"]["all"].summary() == whole["knn"]["all"].summary()

    def test_densities(self) -> None:
        cases = [case(items, [0]) for items in ([], [1, 1], [1, 2], [1, 2, 3, 4, 5])]
        assert density_classes(cases) == ["0", "1", "2-4", "5+"]
        figures = evaluate({"s": self.falling}, [case([], [0]), case([2], [1])])["s"]["all"]
        assert figures.by_class("mrr@10", ["0", "1"]) == {"0": 1.0, "1": 0.5}

    @pytest.mark.parametrize(
        "cases, blends, message",
        [
            ([], {}, "no cases"),
            ([case([], [0])], {"s": Blend({})}, "rename the blend"),
            ([case([], [5])], {}, "items 0..4"),
            ([case([], [])], {}, "at least one"),
        ],
    )
    def test_what_cannot_be_evaluated_is_said(self, cases: list, blends: dict, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            evaluate({"s": self.falling}, cases, blends=blends)


class TestTuning:
    strategies: ClassVar = {"good": Fixed(0.1, 0.2, 1.0, 0.3), "bad": Fixed(1.0, 0.2, 0.1, 0.3)}
    cases: ClassVar = [case([], [2]), case([0], [2])]

    def test_measures_what_evaluation_measures(self) -> None:
        rng = np.random.default_rng(0)
        data, cases = next_choices(shop(), cutoff_for(shop(), 0.5), rng=rng)
        strategies = {"knn": SessionKNN().fit(data, rng), "popular": Popularity().fit(data, rng)}
        mix = {"knn": 1.0, "popular": 0.3}
        for mode in ("all", "unseen"):
            expected = evaluate(strategies, cases, blends={"mix": Blend(mix)})["mix"][mode]
            blocks = gather(strategies, cases, mode=mode)
            assert measure(blocks, mix, "ndcg@10").mean() == pytest.approx(expected.mean("ndcg@10"))
            assert measure(blocks, mix, "mrr@20").mean() == pytest.approx(expected.mean("mrr@20"))

    def test_finds_who_is_right(self) -> None:
        blocks = gather(self.strategies, self.cases, mode="all")
        result = tune(blocks, np.random.default_rng(0), starts=[{"bad": 1.0}])
        assert result.weights["good"] == 1.0
        assert result.value == 1.0
        assert result.start_value < 1.0

    def test_a_mix_is_never_worse_than_one_of_its_voices(self) -> None:
        rng = np.random.default_rng(3)
        noise = {f"noise{n}": Fixed(*rng.random(5).tolist()) for n in range(12)}
        blocks = gather({"good": Fixed(0.1, 0.2, 1.0, 0.3, 0.0), **noise}, self.cases, mode="all")
        assert tune(blocks, rng, trials=0, rounds=0).value >= measure(blocks, {"good": 1.0}).mean() == 1.0

    def test_the_same_seed_gives_the_same_weights(self) -> None:
        blocks = gather(self.strategies, self.cases, mode="all")
        first, second = (tune(blocks, np.random.default_rng(5), trials=10) for _ in range(2))
        assert first == second

    def test_who_adds_nothing_is_silenced(self) -> None:
        strategies = {"good": Fixed(0.1, 0.2, 1.0, 0.3), "same": Fixed(0.1, 0.2, 1.0, 0.3)}
        weights = tune(gather(strategies, self.cases, mode="all"), np.random.default_rng(0)).weights
        assert sorted(weights.values()) == [0.0, 1.0]

    def test_a_target_that_nobody_lists_is_not_first_for_lack_of_others(self) -> None:
        blocks = gather({"mute": Fixed(0.0, 0.0, 0.0, 0.0)}, [case([], [2])], mode="all")
        assert measure(blocks, {"mute": 1.0}, "mrr@10").tolist() == [1 / 2.5]

    def test_a_part_of_the_cases_measures_as_if_gathered_alone(self) -> None:
        data = shop()
        strategies = {"knn": SessionKNN().fit(data, np.random.default_rng(0))}
        cases = leave_last_out(data)[1]
        whole, alone = (
            gather(strategies, cases, mode="all"),
            gather(strategies, [cases[3], cases[1]], mode="all"),
        )
        np.testing.assert_array_equal(measure(whole.only([3, 1]), {"knn": 1}), measure(alone, {"knn": 1}))

    def test_every_stretch_of_time_counts_alike(self) -> None:
        early = gather(self.strategies, [case([], [2])] * 3, mode="all")
        late = gather(self.strategies, [case([], [0])], mode="all")
        joined = ScoreBlocks.joined([early, late])
        assert joined.slices is not None
        assert joined.slices.tolist() == [0, 0, 0, 1]
        assert joined.shares.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
        assert measure(joined, {"good": 1.0}, "mrr@10").tolist() == [1.0, 1.0, 1.0, 1 / 4]
        assert joined.only([1, 3]).shares.tolist() == [0.5, 0.5]
        # "good" ranks first three times of four, but in one stretch of two: it is worth (1 + 1/4) / 2, "bad" (1/4 + 1) / 2 as well.
        alone = [
            tune(joined, np.random.default_rng(0), objective={"mrr@10": 1.0}, trials=0, rounds=0).trials[n]
            for n in (1, 2)
        ]
        assert [trial.value for trial in alone] == pytest.approx([0.625, 0.625])

    def test_parts_of_other_strategies_cannot_be_joined(self) -> None:
        other = gather({"good": self.strategies["good"]}, self.cases, mode="all")
        with pytest.raises(ValueError, match="same strategies"):
            ScoreBlocks.joined([gather(self.strategies, self.cases, mode="all"), other])

    def test_what_makes_no_difference_goes_back_to_the_start(self) -> None:
        """Any mix in which "good" is loud enough is worth the same: what was begun with stays."""
        blocks = gather(self.strategies, self.cases, mode="all")
        start = {"good": 1.0, "bad": 0.3}
        result = tune(blocks, np.random.default_rng(0), starts=[start], tolerance=-1.0)
        assert (result.pulled, result.anchor) == (1.0, "start")
        assert result.weights == start

    def test_a_start_that_is_worse_is_not_gone_back_to(self) -> None:
        blocks = gather(self.strategies, self.cases, mode="all")
        result = tune(blocks, np.random.default_rng(0), starts=[{"bad": 1.0}])
        assert result.value == 1.0
        assert result.anchor in ("good", "")

    def test_a_mix_is_pulled_no_lower_than_its_best_voice(self) -> None:
        rng = np.random.default_rng(7)
        for seed in range(5):
            voices = {f"v{n}": Fixed(*rng.random(6).tolist()) for n in range(4)}
            cases = [case([], [int(rng.integers(6))]) for _ in range(8)]
            blocks = gather(voices, cases, mode="all")
            start = {name: float(weight) for name, weight in zip(voices, rng.random(4), strict=True)}
            found = tune(blocks, np.random.default_rng(seed), starts=[start], trials=20, tolerance=0.0)
            best = max(measure(blocks, {name: 1.0}).mean() for name in voices)
            assert measure(blocks, found.weights).mean() >= best - 1e-9

    def test_without_cases_it_says_so(self) -> None:
        with pytest.raises(ValueError, match="no cases to tune on"):
            tune(gather(self.strategies, [case([2], [2])], mode="unseen"), np.random.default_rng(0))
        with pytest.raises(ValueError, match="unknown metric"):
            measure(gather(self.strategies, self.cases), {}, "auc@10")


class TestSplits:
    data = log(
        [(0, 1, 10.0, 1.0, 0, -1), (0, 2, 20.0, 1.0, 0, -1), (0, 3, 30.0, 1.0, 0, -1), (0, 4, 90.0, 5.0, 1, 7), (0, 5, 90.0, 5.0, 1, 7),
         (1, 1, 25.0, 1.0, 2, -1), (2, 6, 95.0, 1.0, 3, -1)],
        3, 9, now=100.0,
    )  # fmt: skip

    def test_by_time_all_later_items_are_the_targets(self) -> None:
        train, cases = split_by_time(self.data, 25.0)
        assert train.item.tolist() == [1, 2]
        assert train.now == 25.0
        assert [(c.query.items.tolist(), c.targets.tolist()) for c in cases] == [
            ([1, 2], [3, 4, 5]),
            ([], [1]),
            ([], [6]),
        ]
        assert all(c.query.now == 25.0 and c.query.session_start == len(c.query.items) for c in cases)

    def test_by_time_up_to_an_end(self) -> None:
        _, cases = split_by_time(self.data, 25.0, until=80.0)
        assert [c.targets.tolist() for c in cases] == [[3], [1]]

    def test_next_choices_are_clicks_or_whole_baskets(self) -> None:
        train, cases = next_choices(self.data, 22.0, rng=np.random.default_rng(0))
        assert train.item.tolist() == [1, 2]
        found = [(c.query.items.tolist(), c.query.session_start, c.targets.tolist()) for c in cases]
        assert found == [([1, 2], 0, [3]), ([1, 2, 3], 3, [4, 5]), ([], 0, [1]), ([], 0, [6])]

    def test_a_limit_draws_cases_by_the_seed(self) -> None:
        draws = [next_choices(self.data, 22.0, limit=2, rng=np.random.default_rng(1))[1] for _ in range(2)]
        assert [c.targets.tolist() for c in draws[0]] == [c.targets.tolist() for c in draws[1]]
        assert len(draws[0]) == 2

    def test_leave_last_out(self) -> None:
        train, test = leave_last_out(sessions([1, 2, 3], [4, 5], [6], n_items=9))
        past, validation = leave_last_out(train)
        assert past.item.tolist() == [1, 4, 6]
        assert [(c.query.items.tolist(), c.targets.tolist()) for c in validation] == [([1], [2])]
        assert [(c.query.items.tolist(), c.targets.tolist()) for c in test] == [([1, 2], [3]), ([4], [5])]

    def test_nothing_after_its_moment_is_in_a_query(self) -> None:
        data = shop()
        cutoff = cutoff_for(data, 0.2)
        train, cases = next_choices(data, cutoff, rng=np.random.default_rng(0))
        assert (train.timestamp < cutoff).all()
        assert (data.timestamp >= cutoff).mean() == pytest.approx(0.2, abs=0.02)
        assert cases
        assert all((c.query.timestamps < c.query.now).all() for c in cases)

    def test_a_share_must_be_a_share_of_something(self) -> None:
        with pytest.raises(ValueError, match="between 0 and 1"):
            cutoff_for(self.data, 1.0)
        with pytest.raises(ValueError, match="log is empty"):
            cutoff_for(log([], 0, 3), 0.5)

    def test_a_pause_or_another_person_begins_a_session(self) -> None:
        users, times = np.array([0, 0, 0, 1], np.int32), np.array([0.0, 10.0, 50.0, 51.0])
        assert sessionise(users, times, 30.0).tolist() == [0, 0, 1, 2]
        assert sessionise(users[:0], times[:0], 30.0).tolist() == []


class TestSeenBeyondTheQuery:
    def test_an_item_that_the_query_has_no_room_for_is_not_new(self) -> None:
        falling = Fixed(0.5, 0.4, 0.3)
        long_known = TestCase(
            Query.of([1], now=NOW), np.array([0, 2], np.int32), seen=np.array([0, 1], np.int32)
        )
        figures = evaluate({"s": falling}, [long_known])["s"]
        assert figures["unseen"].mean("mrr@10") == 1.0  # item 2, alone left
        blocks = gather({"s": falling}, [long_known], mode="unseen")
        assert measure(blocks, {"s": 1.0}, "mrr@10").tolist() == [1.0]

    def test_splits_carry_all_of_a_long_history(self) -> None:
        length = HISTORY_LENGTH + 50
        rows = [(0, n, float(n), 1.0, 0, -1) for n in range(length)] + [(0, 3, 1000.0, 1.0, 1, -1)]
        data = log(rows, 1, length, now=2000.0)
        for cases in (
            split_by_time(data, 900.0)[1],
            next_choices(data, 900.0, rng=np.random.default_rng(0))[1],
            leave_last_out(data)[1],
        ):
            assert len(cases[0].query.items) == HISTORY_LENGTH
            assert cases[0].seen_items.tolist() == list(range(length))


class TestLeaks:
    def test_splits_leak_nothing(self) -> None:
        data = shop()
        cutoff = cutoff_for(data, 0.3)
        for train, cases in (
            split_by_time(data, cutoff),
            next_choices(data, cutoff, rng=np.random.default_rng(0)),
            leave_last_out(data),
        ):
            refuse_leak(train, cases)

    def test_a_choice_left_in_training_is_refused(self) -> None:
        data = sessions([1, 2, 3], [4, 5], n_items=9)
        train, cases = leave_last_out(data)
        refuse_leak(train, cases)
        with pytest.raises(Leak, match=r"stand in the training part|after the moment"):
            refuse_leak(data, cases)

    def test_what_a_shopper_did_later_is_refused(self) -> None:
        data = log([(0, 1, 10.0, 1.0, 0, -1), (0, 2, 30.0, 1.0, 1, -1)], 1, 3, now=40.0)
        asked = TestCase(Query.of([1], now=20.0), np.array([0], np.int32), user=0)
        with pytest.raises(Leak, match=r"1 interactions .* lie after the moment"):
            refuse_leak(data, [asked])

    def test_the_next_visit_of_nobody_in_particular_is_asked_after_all_training(self) -> None:
        data = log([(0, 1, 10.0, 1.0, 0, -1), (0, 2, 30.0, 1.0, 1, -1)], 1, 3, now=40.0)
        with pytest.raises(Leak, match="after the moment"):
            refuse_leak(data, [TestCase(Query.of([1], now=20.0), np.array([0], np.int32))])
        refuse_leak(data, [TestCase(Query.of([1], now=31.0), np.array([0], np.int32))])


class TestBlendsByDensity:
    def test_each_class_has_its_own_weights(self) -> None:
        falling, rising = Fixed(0.5, 0.4, 0.3, 0.2, 0.1), Fixed(0.1, 0.2, 0.3, 0.4, 0.5)
        cases = [case([], [0]), case([3], [0])]
        mix = Blend({"falling": 1.0}, by_density={"1": {"rising": 1.0}}, modes=("all",))
        figures = evaluate({"falling": falling, "rising": rising}, cases, blends={"mix": mix})["mix"]
        assert figures.keys() == {"all"}
        assert figures["all"].per_case["mrr@10"].tolist() == [1.0, 1 / 5]

    def test_threads_change_nothing(self) -> None:
        data = shop()
        cases = leave_last_out(data)[1]
        one, two = (
            evaluate(
                {"knn": SessionKNN().fit(data, np.random.default_rng(0)), "popular": Popularity().fit(data, np.random.default_rng(0))},
                cases, blends={"mix": Blend({"knn": 1.0, "popular": 0.1})}, threads=threads,
            )
            for threads in (1, 2)
        )  # fmt: skip
        for name in one:
            for mode in ("all", "unseen"):
                assert one[name][mode].summary() == two[name][mode].summary()
