"""The learned reranker's row beside the tuned blend."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from algorithms.evaluation import TestCase, evaluate
from algorithms.popularity import Popularity
from algorithms.sequential_cooccurrence import SequentialCooccurrence
from algorithms.types import Query, Strategy, TrainingData
from benchmarks.quality.folders import log_of
from benchmarks.quality.reranked import reranked_blends
from benchmarks.quality.task import Task

N_ITEMS = 30


def walks(visits: int, seed: int) -> TrainingData:
    """Visits of four views: nine of ten steps go to the next item, the others anywhere."""
    rng = np.random.default_rng(seed)
    item = np.empty((visits, 4), np.int32)
    item[:, 0] = rng.integers(N_ITEMS, size=visits)
    for step in range(1, 4):
        onward = (item[:, step - 1] + 1) % N_ITEMS
        item[:, step] = np.where(rng.random(visits) < 0.9, onward, rng.integers(N_ITEMS, size=visits))
    user = np.repeat(np.arange(visits, dtype=np.int32), 4)
    moment = user * 3600.0 + np.tile(np.arange(4) * 60.0, visits)
    n = len(user)
    return log_of(user, item.ravel(), moment, np.ones(n, np.float32), np.zeros(n, np.bool_), N_ITEMS)


def next_views(data: TrainingData) -> list[TestCase]:
    return [
        TestCase(Query.of(data.item[row - 2 : row], now=float(data.timestamp[row])), data.item[[row]])
        for row in range(3, len(data), 4)
    ]


@pytest.fixture(scope="module")
def task() -> Task:
    past = walks(600, 0)
    train = replace(past, now=past.now + 1.0)
    return Task("walks", "sessions", past, next_views(walks(500, 1)), train, next_views(walks(200, 2)), "all")


@pytest.fixture(scope="module")
def strategies(task: Task) -> dict[str, Strategy]:
    rng = np.random.default_rng(0)
    return {
        "popular": Popularity().fit(task.past, rng),
        "viewed_next": SequentialCooccurrence().fit(task.past, rng),
    }


def test_a_blend_that_can_be_corrected_is(task: Task, strategies: dict[str, Strategy]) -> None:
    deaf = {"popular": 1.0, "viewed_next": 0.02}
    blends = reranked_blends(task, [strategies], {"all": deaf, "unseen": deaf}, {"all": {}, "unseen": {}}, 0)
    assert set(blends) == {"blend all + reranker", "blend unseen + reranker"}
    plain = replace(blends["blend all + reranker"], correction=None)
    figures = evaluate(strategies, task.test, blends=blends | {"blend all": plain})
    better, worse = (figures[name]["all"].mean("ndcg@10") for name in ("blend all + reranker", "blend all"))
    assert better > 1.5 * worse
    assert set(figures["blend unseen + reranker"]) == {"unseen"}


def test_one_that_did_not_win_says_so(task: Task, strategies: dict[str, Strategy]) -> None:
    well = {"viewed_next": 1.0}
    blends = reranked_blends(task, [strategies], {"all": well, "unseen": well}, {"all": {}, "unseen": {}}, 0)
    assert set(blends) == {"blend all + reranker, not used", "blend unseen + reranker, not used"}


def test_without_lightgbm_there_is_no_row(
    task: Task, strategies: dict[str, Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    mix = {"popular": 1.0}
    assert reranked_blends(task, [strategies], {"all": mix, "unseen": mix}, {}, 0) == {}
