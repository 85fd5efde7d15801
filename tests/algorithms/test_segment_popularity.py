"""What is wanted by people of a group, worked by hand: two groups of three, one product each that only they want."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms.segment_popularity import PopularInSegment
from algorithms.types import Query, TrainingData
from tests.algorithms.shops import NOW, log

DAY = 86_400.0


def people() -> TrainingData:
    """Users 0–2 are of group 0, 3–5 of group 1; 6 is of none. Item 0 is everybody's, 1 group 0's, 2 group 1's, 3 one person's."""
    rows = [(user, 0, NOW, 1.0, user, -1) for user in range(7)]
    rows += [(user, 1, NOW, 2.0, user, -1) for user in (0, 1, 2)]
    rows += [(user, 2, NOW - 10 * DAY, 4.0, user + 10, -1) for user in (3, 4, 5)]
    rows += [(6, 3, NOW, 1.0, 20, -1)]
    groups = csr_matrix((np.ones(6, np.float32), ([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 1])), shape=(7, 2))
    return log(rows, 7, 5, user_features=groups, item_category=np.array([0, 0, 1, 1, 1], np.int32))


def fitted(data: TrainingData, **parameters: float) -> PopularInSegment:
    return PopularInSegment(**{"half_life_days": 10.0, "least_people": 3, **parameters}).fit(
        data, np.random.default_rng(0)
    )


def asked(*groups: int, **known: object) -> Query:
    columns = np.array(groups, np.int32)
    row = csr_matrix((np.ones(len(columns), np.float32), (np.zeros(len(columns), np.int32), columns)), (1, 4))
    return Query.of([], now=NOW, user_features=row, **known)


def test_each_group_has_its_own() -> None:
    strategy = fitted(people())
    # Group 0: three times 1 of item 0, three times 2 of item 1. Group 1: three times 1, and three times 4 halved.
    np.testing.assert_allclose(strategy.score(asked(0)), [0.5, 1, 0, 0, 0])
    np.testing.assert_allclose(strategy.score(asked(1)), [0.5, 0, 1, 0, 0])
    np.testing.assert_allclose(strategy.score(asked(0, 1)), [0.5, 0.5, 0.5, 0, 0])


def test_who_is_of_no_group_gets_what_everybody_wants() -> None:
    strategy = fitted(people())
    everybody = [1, 6 / 7, 6 / 7, 1 / 7, 0]  # 7, 6, 6 and 1 of 7
    for query in (Query.empty(NOW), asked(), asked(3)):
        np.testing.assert_allclose(strategy.score(query), everybody, rtol=1e-6)


def test_a_group_of_few_tells_nothing() -> None:
    strategy = fitted(people(), least_people=4)
    np.testing.assert_array_equal(strategy.score(asked(0)), strategy.score(Query.empty(NOW)))


def test_people_who_did_nothing_make_no_group_larger() -> None:
    data = people()
    idle = data.select(data.user != 2)
    np.testing.assert_array_equal(fitted(idle).score(asked(0)), fitted(idle).score(Query.empty(NOW)))


def test_on_a_category_page_only_that_category_scores() -> None:
    scores = fitted(people()).score(asked(1, category=1))
    np.testing.assert_allclose(scores, [0, 0, 1, 0, 0])


@pytest.mark.parametrize(("met_by", "is_named"), [(9, False), (10, True)])
def test_a_group_names_what_ten_of_its_people_met(met_by: int, is_named: bool) -> None:
    """Twelve people are of the group and met item 0; some of them met item 1 too, one of them a hundred times."""
    rows = [(user, 0, NOW, 1.0, user, -1) for user in range(12)]
    rows += [(user, 1, NOW, 1.0, user, -1) for user in range(met_by)]
    rows += [(0, 1, NOW, 1.0, 0, -1)] * 100
    groups = csr_matrix(np.ones((12, 1), np.float32))
    strategy = PopularInSegment().fit(log(rows, 12, 2, user_features=groups), np.random.default_rng(0))
    assert bool(strategy.score(asked(0))[1]) == is_named
    assert strategy.score(asked(0))[0] > 0
    assert strategy.score(Query.empty(NOW))[1] == 1  # everybody's list names nobody's group


def test_who_is_forgotten_is_missed_among_the_ten() -> None:
    rows = [(user, item, NOW, 1.0, user, -1) for user in range(11) for item in (0, 1)]
    rows = [row for row in rows if row[:2] != (10, 1)]  # item 0 was met by eleven, item 1 by ten
    data = log(rows, 11, 2, user_features=csr_matrix(np.ones((11, 1), np.float32)))
    strategy = PopularInSegment().fit(data, np.random.default_rng(0))
    assert (strategy.score(asked(0)) > 0).all()
    forgotten = np.zeros(data.n_sessions, np.bool_)
    forgotten[3] = True
    without = strategy.forget_sessions(forgotten, data)
    np.testing.assert_array_equal(without.score(asked(0)) > 0, [True, False])
    arrays = without.arrays()
    again = PopularInSegment.from_arrays(arrays, without.parameters())
    forgotten[4] = True
    np.testing.assert_array_equal(again.score(asked(0)), without.score(asked(0)))
    both = strategy.forget_sessions(forgotten, data)
    np.testing.assert_array_equal(both.score(asked(0)), both.score(Query.empty(NOW)))  # nine are left


def test_a_version_that_counted_no_people_keeps_nothing_that_a_forgotten_one_met() -> None:
    data = people()
    old = {name: values for name, values in fitted(data).arrays().items() if name != "people"}
    strategy = PopularInSegment.from_arrays(old, fitted(data).parameters())
    np.testing.assert_array_equal(strategy.score(asked(0)), fitted(data).score(asked(0)))
    forgotten = np.zeros(data.n_sessions, np.bool_)
    forgotten[0] = True
    without = strategy.forget_sessions(forgotten, data)
    np.testing.assert_array_equal(without.score(asked(0)), without.score(Query.empty(NOW)))


def test_what_only_the_forgotten_wanted_is_wanted_by_nobody() -> None:
    data = people()
    forgotten = np.zeros(data.n_sessions, np.bool_)
    forgotten[20] = True
    without = fitted(data).forget_sessions(forgotten, data)
    assert without.score(Query.empty(NOW))[3] == 0
    np.testing.assert_array_equal(without.score(asked(0)), fitted(data).score(asked(0)))


@pytest.mark.parametrize("features", [None, csr_matrix((7, 0), dtype=np.float32)])
def test_a_shop_that_knows_nobody_has_everybodys(features: csr_matrix | None) -> None:
    from dataclasses import replace

    strategy = fitted(replace(people(), user_features=features))
    assert strategy.score(asked(0))[0] == 1
