"""The neighbours of new items are kept: what is met or forgotten later changes them as if all had been worked out anew."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.likest import Likest
from algorithms.new_items import NewItems
from algorithms.types import Query, TrainingData
from benchmarks.training.generator import generated_log

N_ITEMS = 300


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return generated_log(n_items=N_ITEMS, n_events=900)


def fitted(data: TrainingData) -> NewItems:
    return NewItems(neighbours=5, new_days=400.0).fit(data, np.random.default_rng(0))


def sessions(data: TrainingData, first: int, last: int) -> TrainingData:
    return data.select((data.session >= first) & (data.session < last))


def assert_alike(one: Likest, other: Likest) -> None:
    np.testing.assert_array_equal(one.candidates, other.candidates)
    np.testing.assert_array_equal(one.known, other.known)
    np.testing.assert_array_equal(one.table.offsets, other.table.offsets)
    np.testing.assert_allclose(one.table.similarity, _falling(other), rtol=1e-5)


def _falling(likest: Likest) -> np.ndarray:
    """Similarities of each row, largest first: neighbours that are as near as each other may stand in any order."""
    table = likest.table
    rows = np.repeat(np.arange(table.n_items), np.diff(table.offsets))
    return table.similarity[np.lexsort((-table.similarity, rows))]


def test_items_that_are_met_later_take_their_places(data: TrainingData) -> None:
    begun = fitted(sessions(data, 0, data.n_sessions // 2))
    appended = begun.append_sessions(sessions(data, data.n_sessions // 2, data.n_sessions))
    met = appended._likest.known.sum() - begun._likest.known.sum()
    assert met > 20
    # The same candidates are asked, whatever the clock made of them.
    whole = fitted(data)
    assert_alike(appended._likest, whole._likest)


def test_neighbours_that_are_forgotten_leave_their_places_to_the_next(data: TrainingData) -> None:
    forgotten = np.arange(data.n_sessions) % 3 == 0
    without = fitted(data).forget_sessions(forgotten, data)
    assert without._likest.known.sum() < fitted(data)._likest.known.sum()
    never = fitted(data.without_sessions(forgotten))
    np.testing.assert_array_equal(without._likest.known, never._likest.known)
    common = np.isin(without._likest.candidates, never._likest.candidates)
    assert common.any()
    assert_alike(without._likest, never._likest)


def test_a_version_that_is_read_compares_nothing_again(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = fitted(data)
    read = NewItems.from_arrays(saved.arrays(), saved.parameters())
    monkeypatch.setattr(NewItems, "_compared", None)
    np.testing.assert_array_equal(read.score(Query.empty(0.0)), saved.score(Query.empty(0.0)))


def test_a_version_of_before_they_were_kept_works_them_out(data: TrainingData) -> None:
    saved = fitted(data)
    old = {name: array for name, array in saved.arrays().items() if not name.startswith("likest_")}
    read = NewItems.from_arrays(old, saved.parameters())
    assert_alike(read._likest, saved._likest)
