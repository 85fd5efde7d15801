"""A correction learned from choices: exact, deterministic, explainable, and used only where it does better than the blend."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from algorithms import candidate_features as candidate_features_module
from algorithms import trees as trees_module
from algorithms.blend import blend
from algorithms.candidate_features import UNRANKED, ItemFacts, candidate_features, feature_names
from algorithms.evaluation import TestCase
from algorithms.item_demand import ItemDemand
from algorithms.learned_reranker import (
    LEAST_LISTS,
    MOST_TREES,
    LearnedReranker,
    MissingExtra,
    RankedList,
    TooFewLists,
    head,
    is_installed,
)
from algorithms.popularity import Popularity
from algorithms.reranker_trial import ndcg_of, ranked_lists, try_reranker
from algorithms.trees import Trees
from algorithms.types import Query
from tests.algorithms.shops import sessions

N_ITEMS = 60
NAMES = ("session_knn", "content")
NOTHING_KNOWN = ItemFacts(
    popularity=np.zeros(N_ITEMS, np.float32),
    created=np.zeros(N_ITEMS),
    category=np.full(N_ITEMS, -1, np.int32),
    brand=np.full(N_ITEMS, -1, np.int32),
    price=np.zeros(N_ITEMS),
)
WEIGHTS = {"session_knn": 1.0, "content": 0.2}


def made_lists(n: int, *, by_content: bool, seed: int = 0) -> list[RankedList]:
    """Shoppers choose what `content` likes best, which the blend hardly hears, or one of the blend's first at random."""
    rng = np.random.default_rng(seed)
    lists = []
    for _ in range(n):
        scores = {name: rng.random(N_ITEMS).astype(np.float32) for name in NAMES}
        total = blend(scores, WEIGHTS).total
        query = Query.of([int(rng.integers(N_ITEMS))], now=1e9)
        candidates = head(query, scores, total, NOTHING_KNOWN, NAMES)
        liked = int(scores["content"].argmax()) if by_content else int(np.argsort(-total)[rng.integers(3)])
        lists.append(RankedList(candidates, candidates.items == liked, 0))
    return lists


@pytest.fixture(scope="module")
def reranker() -> LearnedReranker:
    lists = made_lists(300, by_content=True)
    return LearnedReranker.fit(lists[:200], lists[200:], NAMES)


def grown(**parameters: Any) -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(1)
    features = rng.random((3000, 6))
    features[:, 2] = np.round(4 * features[:, 2])
    label = (features[:, 0] + 0.2 * features[:, 1] * features[:, 2] + rng.random(3000) > 1.3).astype(int)
    settings = {"objective": "lambdarank", "verbosity": -1, "use_missing": False, "num_threads": 1,
                "deterministic": True, "force_row_wise": True, **parameters}  # fmt: skip
    data = lightgbm.Dataset(features, label, group=[30] * 100, params=settings)
    return lightgbm.train(settings, data, 12), np.round(rng.random((200, 6)), 2)


def test_trees_predict_exactly_what_lightgbm_predicts() -> None:
    booster, rows = grown()
    trees = Trees.from_lightgbm(booster.dump_model())
    assert len(trees) == 12
    assert trees.predict(rows).tolist() == np.asarray(booster.predict(rows)).tolist()


def test_contributions_are_those_of_lightgbm_and_sum_up_to_the_prediction() -> None:
    booster, rows = grown()
    trees = Trees.from_lightgbm(booster.dump_model())
    given = trees.contributions(rows[:20])
    np.testing.assert_allclose(
        given, np.asarray(booster.predict(rows[:20], pred_contrib=True)), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(given.sum(axis=1), trees.predict(rows[:20]), rtol=1e-9, atol=1e-12)
    assert given[0, -1] == pytest.approx(trees.expected)


def test_a_tree_without_a_split_adds_its_one_value() -> None:
    trees = Trees.from_lightgbm(
        {"tree_info": [{"tree_structure": {"leaf_value": 0.25, "leaf_count": 7}}] * 2}
    )
    assert trees.predict(np.zeros((3, 4))).tolist() == [0.5, 0.5, 0.5]
    assert trees.contributions(np.zeros((1, 2))).tolist() == [[0.0, 0.0, 0.5]]


def test_no_tree_adds_nothing() -> None:
    assert Trees.from_lightgbm({"tree_info": []}).predict(np.zeros((2, 3))).tolist() == [0.0, 0.0]


def test_splits_that_cannot_be_followed_exactly_are_refused() -> None:
    booster, _ = grown(use_missing=True, zero_as_missing=True)
    with pytest.raises(ValueError, match="missing values"):
        Trees.from_lightgbm(booster.dump_model())


def test_features_by_hand() -> None:
    facts = ItemFacts(
        popularity=np.array([1.0, 0.5, 0.0, 0.25], np.float32),
        created=np.array([0.0, 864_000.0, 0.0, 0.0]),
        category=np.array([0, 0, 1, -1], np.int32),
        brand=np.array([5, 6, 5, -1], np.int32),
        price=np.array([100.0, 400.0, 0.0, 200.0]),
        demand=ItemDemand(*(np.array([column + 5.0, column + 1.0, 9.0], np.float32) for column in range(4))),
    )
    query = Query(
        items=np.array([0, 2, 0, 1], np.int32), weights=np.array([1, 1, 1, 3], np.float32), timestamps=np.arange(4.0),
        session_start=2, purchased=np.array([True, False, False, False]), now=1_728_000.0,
    )  # fmt: skip
    scores = np.array([[1.0, 0.5, 0.5], [0.0, 0.0, 0.2]], np.float32)
    items = np.array([1, 0, 3], np.int32)
    rows = candidate_features(query, items, scores, np.array([2.0, 1.0, 0.5], np.float32), facts)
    names = feature_names(("a", "b"))
    by_name = {name: rows[:, column].tolist() for column, name in enumerate(names)}

    assert rows.shape == (3, len(names))
    assert by_name["a"] == [1.0, 0.5, 0.5]
    assert by_name["a:rank"] == [1.0, 2.0, 2.0]
    assert by_name["b:rank"] == [UNRANKED, UNRANKED, 1.0]
    assert by_name["blend"] == [1.0, 0.5, 0.25]
    assert by_name["blend_rank"] == [1.0, 2.0, 3.0]
    # Each class is half as much as the one above: 1023 · 0.5 + 1 = 512.5 lies in class 9, 1023 · 0.25 + 1 = 256.75 in class 8.
    assert by_name["popularity"] == [9.0, 10.0, 8.0]
    assert by_name["age_days"] == [10.0, -1.0, -1.0]
    assert by_name["times_seen"] == [1.0, 2.0, 0.0]
    assert by_name["steps_back"] == [0.0, 1.0, UNRANKED]
    assert by_name["seen_in_session"] == [1.0, 1.0, 0.0]
    assert by_name["bought"] == [0.0, 1.0, 0.0]
    # Of a weight of 6, items 0, 0 and 1 of category 0 have 5; brand 5 (items 0, 2, 0) has 3, brand 6 (item 1) 3.
    assert by_name["category_share"] == pytest.approx([5 / 6, 5 / 6, 0.0])
    assert by_name["brand_share"] == pytest.approx([0.5, 0.5, 0.0])
    assert by_name["newest_category"] == [1.0, 1.0, 0.0]
    # Usual price: (2 · ln 100 + 3 · ln 400) / 5, item 2 having none.
    usual = np.exp((2 * np.log(100) + 3 * np.log(400)) / 5)
    assert by_name["price_ratio"] == pytest.approx(
        [np.log(400 / usual), np.log(100 / usual), np.log(200 / usual)]
    )
    assert by_name["known_interactions"] == [4.0] * 3
    assert by_name["session_length"] == [2.0] * 3
    assert by_name["session_repeats"] == [0.0] * 3
    # In category 0 at seconds 0, 2 and 3: the mean time between is 1.5 s, the last was 1,727,997 s ago.
    assert by_name["category_count"] == [3.0, 3.0, 0.0]
    assert by_name["category_days"] == pytest.approx([1_727_997 / 86_400] * 2 + [UNRANKED])
    assert by_name["category_due"] == pytest.approx([1_727_997 / 1.5] * 2 + [-1.0])
    # Usual price there: (2 · ln 100 + 3 · ln 400) / 5, too.
    assert by_name["price_in_category"] == pytest.approx([np.log(400 / usual), np.log(100 / usual), 0.0])
    for column, name in enumerate(("growth", "newcomers", "first", "fresh")):
        assert by_name[name] == [column + 1.0, column + 5.0, 0.0], (
            name
        )  # item 3 came after the demand was told


def test_strategies_that_tell_everybody_the_same_are_no_features() -> None:
    """Their exact scores would be a name of each item; a class of popularity is not."""
    assert feature_names(("popular", "a", "trending"))[:3] == ("a", "a:rank", "blend")
    scores = {name: np.array([1.0, 0.5, 0.2], np.float32) for name in ("popular", "a")}
    query = Query.of([1], now=1e9)
    found = head(query, scores, scores["a"], NOTHING_KNOWN, ("popular", "a"))
    assert found.features.shape == (3, len(feature_names(("popular", "a"))))


def test_demand_is_told_coarsely_by_hand() -> None:
    day = 86_400.0
    rows = [  # user, item, days ago
        (0, 0, 40), (0, 0, 3), (1, 0, 10), (2, 0, 2), (3, 0, 1), (3, 0, 0.5), (0, 1, 1), (1, 1, 1), (2, 0, -1),
    ]  # fmt: skip
    user, item, ago = (np.array(column) for column in zip(*rows, strict=True))
    now = 100 * day
    order = np.lexsort((-ago, user))
    data = replace(
        sessions([0], n_items=2),
        user=user[order].astype(np.int32),
        item=item[order].astype(np.int32),
        timestamp=now - ago[order] * day,
    )
    demand = ItemDemand.at(data, now)
    # Item 0, before now: 4 times in 7 days, 5 in 28; first choices 3 (10, 2 and 1 days ago) in 14 and 28 days, 4 in 56.
    assert demand.growth[0] == round(4 * np.log(5 / (5 / 4 + 1))) / 4 == 0.75
    assert demand.newcomers[0] == round(4 * np.log((3 / 2 + 1) / (4 / 8 + 1))) / 4 == 0.5
    assert demand.first[0] == pytest.approx(0.5)  # 3 / 6
    assert demand.fresh[0] == 2.0  # ⌊log2 4⌋
    # Two people have chosen item 1: too few to say anything.
    assert [demand.growth[1], demand.newcomers[1], demand.first[1], demand.fresh[1]] == [0.0] * 4
    again = ItemDemand.from_arrays(demand.arrays())
    assert again.of(np.array([0, 5], np.int32)).tolist() == [
        demand.of(np.array([0], np.int32))[0].tolist(),
        [0.0] * 4,
    ]


def test_repeats_of_the_session_and_places_back() -> None:
    query = Query.of([1, 2, 1, 3, 1], now=10.0)
    rows = candidate_features(
        query, np.array([1, 2, 3], np.int32), np.zeros((0, 3), np.float32), np.ones(3, np.float32), NOTHING_KNOWN
    )  # fmt: skip
    names = feature_names(())
    assert rows[:, names.index("session_repeats")].tolist() == [2.0] * 3
    # Newest first the distinct items are 1, 3, 2.
    assert rows[:, names.index("steps_back")].tolist() == [0.0, 2.0, 1.0]


def test_products_that_came_after_the_training_have_features_too() -> None:
    query = Query.of([N_ITEMS + 5, 1], now=10.0)
    rows = candidate_features(
        query, np.array([1], np.int32), np.zeros((0, 1), np.float32), np.ones(1, np.float32), NOTHING_KNOWN
    )
    assert rows[0, feature_names(()).index("known_interactions")] == 1.0


def test_it_learns_what_the_blend_does_not_hear(reranker: LearnedReranker) -> None:
    later = made_lists(100, by_content=True, seed=9)
    assert ndcg_of(later, reranker).mean() > 1.3 * ndcg_of(later).mean()
    assert 1 <= len(reranker.trees) <= MOST_TREES


def test_the_same_lists_and_seed_give_the_same_trees_with_any_number_of_threads(
    reranker: LearnedReranker,
) -> None:
    lists = made_lists(300, by_content=True)
    again = LearnedReranker.fit(lists[:200], lists[200:], NAMES, threads=2)
    for name, values in reranker.arrays().items():
        assert np.array_equal(values, again.arrays()[name]), name


def test_it_is_what_was_saved_mapped_into_memory(reranker: LearnedReranker, tmp_path: Path) -> None:
    for name, values in reranker.arrays().items():
        np.save(tmp_path / f"{name}.npy", values, allow_pickle=False)
    mapped = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in tmp_path.glob("*.npy")}
    again = LearnedReranker.from_arrays(mapped, reranker.parameters())
    for ranked in made_lists(5, by_content=True, seed=3):
        assert again.factors(ranked.candidates).tolist() == reranker.factors(ranked.candidates).tolist()
    assert again.parameters() == reranker.parameters()


def test_its_kernels_are_compiled_before_it_serves(reranker: LearnedReranker, tmp_path: Path) -> None:
    for name, values in reranker.arrays().items():
        np.save(tmp_path / f"{name}.npy", values, allow_pickle=False)
    mapped = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in tmp_path.glob("*.npy")}
    served = LearnedReranker.from_arrays(mapped, reranker.parameters())
    served.warm()
    kernels = (candidate_features_module._fill, trees_module._predict, trees_module._attribute)
    compiled = [len(kernel.signatures) for kernel in kernels]
    query, scores = shopper()
    served.corrected(query, scores, blend(scores, WEIGHTS).total, NOTHING_KNOWN).explain([1, 2])
    assert [len(kernel.signatures) for kernel in kernels] == compiled


def test_trees_over_other_features_are_not_used(reranker: LearnedReranker) -> None:
    parameters = reranker.parameters() | {"features": ["something", "else"]}
    with pytest.raises(ValueError, match="train again"):
        LearnedReranker.from_arrays(reranker.arrays(), parameters)


def shopper(seed: int = 5) -> tuple[Query, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return Query.of([3, 4], now=1e9), {name: rng.random(N_ITEMS).astype(np.float32) for name in NAMES}


def test_the_factors_explain_the_score(reranker: LearnedReranker) -> None:
    query, scores = shopper()
    total = blend(scores, WEIGHTS).total
    result = reranker.corrected(query, scores, total, NOTHING_KNOWN)
    best = np.argsort(-result.total)[:12].tolist()
    assert any(abs(result.factor(item) - 1.0) > 0.01 for item in best)
    for item, factors in zip(best, result.explain(best), strict=True):
        assert np.prod(list(factors.values())) == pytest.approx(result.factor(item))
        assert result.total[item] == pytest.approx(total[item] * result.factor(item))
        assert set(factors) <= set(feature_names(NAMES))


def test_what_is_no_candidate_keeps_its_score(reranker: LearnedReranker) -> None:
    query, scores = shopper()
    total = blend(scores, WEIGHTS).total
    total[[7, 8]] = 0.0
    shallow = LearnedReranker(NAMES, reranker.trees, depth=10)
    result = shallow.corrected(query, scores, total, NOTHING_KNOWN)
    outside = np.setdiff1d(np.arange(N_ITEMS), result.candidates.items)
    assert len(result.candidates.items) == 10
    assert result.candidates.items.tolist() == np.argsort(-total, kind="stable")[:10].tolist()
    assert result.total[outside].tolist() == total[outside].tolist()
    assert result.factor(7) == 1.0
    assert result.explain([7]) == [{}]


def test_a_shopper_without_candidates_stays_without(reranker: LearnedReranker) -> None:
    query, scores = shopper()
    result = reranker.corrected(query, scores, np.zeros(N_ITEMS, np.float32), NOTHING_KNOWN)
    assert not result.total.any()
    assert len(result.factors) == 0


def test_weights_still_move_the_shelf(reranker: LearnedReranker) -> None:
    """The merchandiser's sliders act on the blend, which every corrected score is a multiple of."""
    query, scores = shopper()
    orders = []
    for weights in (WEIGHTS, {"session_knn": 0.2, "content": 1.0}):
        total = blend(scores, weights).total
        orders.append(
            np.argsort(-reranker.corrected(query, scores, total, NOTHING_KNOWN).total)[:10].tolist()
        )
    assert orders[0] != orders[1]


def test_a_strategy_that_the_shelf_does_not_ask_has_no_opinion(reranker: LearnedReranker) -> None:
    query, scores = shopper()
    total = blend(scores, {"session_knn": 1.0}).total
    alone = head(query, {"session_knn": scores["session_knn"]}, total, NOTHING_KNOWN, NAMES)
    column = feature_names(NAMES).index("content")
    assert (alone.features[:, column] == 0.0).all()
    assert (alone.features[:, column + 1] == UNRANKED).all()


def test_it_wins_where_there_is_something_to_learn() -> None:
    trial = try_reranker(made_lists(500, by_content=True), NAMES, np.random.default_rng(0))
    assert trial.has_won
    assert trial.cases == 175
    assert trial.report()["low"] > 0
    assert trial.reranked > trial.blend


def test_it_does_not_win_where_the_blend_knows_all_there_is() -> None:
    trial = try_reranker(made_lists(500, by_content=False), NAMES, np.random.default_rng(0))
    assert not trial.has_won
    assert trial.report()["has_won"] is False


def test_too_few_lists_teach_nothing() -> None:
    lists = made_lists(LEAST_LISTS, by_content=True)
    with pytest.raises(TooFewLists, match=f"{LEAST_LISTS} of each"):
        try_reranker(lists, NAMES, np.random.default_rng(0))


def test_without_lightgbm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed()
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert not is_installed()
    lists = made_lists(300, by_content=True)
    with pytest.raises(MissingExtra, match=r"pip install -r requirements-reranker\.txt"):
        LearnedReranker.fit(lists[:200], lists[200:], NAMES)


def test_what_was_trained_is_served_without_lightgbm(
    reranker: LearnedReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    query, scores = shopper()
    again = LearnedReranker.from_arrays(reranker.arrays(), reranker.parameters())
    result = again.corrected(query, scores, blend(scores, WEIGHTS).total, NOTHING_KNOWN)
    assert (result.factors != 1.0).any()


def test_lists_of_a_shop_leave_out_what_was_seen() -> None:
    data = sessions([0, 1, 2, 3], [0, 1, 2], [0, 1], [0], n_items=4)
    strategies = {"popular": Popularity().fit(data, np.random.default_rng(0))}
    facts = ItemFacts.of(data, strategies["popular"].score(Query.empty(data.now)))
    cases = [
        TestCase(Query.of([0, 1], now=data.now), np.array([1, 2], np.int32)),
        TestCase(Query.of([3], now=data.now), np.array([3], np.int32)),
    ]
    lists = ranked_lists(strategies, cases, lambda case, mode: {"popular": 1.0}, facts)
    assert [ranked.candidates.items.tolist() for ranked in lists["all"]] == [[0, 1, 2, 3]] * 2
    assert [ranked.is_chosen.tolist() for ranked in lists["all"]] == [
        [False, True, True, False],
        [False, False, False, True],
    ]
    # The second shopper chose nothing that was new to them.
    assert [ranked.candidates.items.tolist() for ranked in lists["unseen"]] == [[2, 3]]
    assert [ranked.is_chosen.tolist() for ranked in lists["unseen"]] == [[True, False]]
    # Chosen are ranks 2 and 3 of two that could be 1 and 2; rank 4 of one; rank 1 of one.
    expected = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert ndcg_of(lists["all"]).tolist() == pytest.approx([expected, 1 / np.log2(5)])
    assert ndcg_of(lists["unseen"]).tolist() == [1.0]
