"""Scales and sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from algorithms.blend import CALIBRATED, METHODS, blend, normalise

finite = st.floats(0, 1e6, width=32, allow_subnormal=False)
rows = arrays(np.float32, st.integers(1, 20), elements=finite)
weights = st.floats(0, 10, allow_subnormal=False)


def test_max_divides_by_the_largest_of_each_row() -> None:
    scores = np.array([[0.0, 1.0, 4.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(normalise(scores, "max"), [[0, 0.25, 1], [1, 0, 0], [0, 0, 0]])


def test_zscore_divides_by_the_standard_deviation() -> None:
    scores = np.array([0.0, 2.0, 4.0], np.float32)  # mean 2, variance (4 + 0 + 4) / 3
    np.testing.assert_allclose(normalise(scores, "zscore"), scores / np.sqrt(8 / 3), rtol=1e-6)


def test_rrf_depends_on_ranks_alone_and_equals_share_theirs() -> None:
    scores = np.array([0.0, 9.0, 0.1, 0.1], np.float32)  # ranks –, 1, 2.5, 2.5
    np.testing.assert_allclose(normalise(scores, "rrf"), [0.0, 1.0, 61 / 62.5, 61 / 62.5], rtol=1e-6)


def test_the_total_is_the_sum_of_weighted_scores() -> None:
    result = blend(
        {"a": np.array([2.0, 1.0], np.float32), "b": np.array([0.0, 5.0], np.float32)},
        {"a": 1.0, "b": 0.4, "c": 7.0},
    )
    np.testing.assert_allclose(result.total, [1.0, 0.9], rtol=1e-6)
    np.testing.assert_allclose(result.contributions["b"], [0.0, 0.4], rtol=1e-6)


def test_a_probability_is_not_stretched() -> None:
    (name,) = CALIBRATED
    result = blend(
        {name: np.array([0.2, 0.0], np.float32), "b": np.array([0.0, 8.0], np.float32)}, {name: 1.0, "b": 1.0}
    )
    np.testing.assert_allclose(result.total, [0.2, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    "scores, mix, message",
    [
        ({}, {}, "nothing to blend"),
        ({"a": np.zeros(2, np.float32)}, {"a": -1.0}, "0 or above, but for a"),
        ({"a": np.zeros(2, np.float32)}, {"a": float("nan")}, "0 or above, but for a"),
        ({"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}, {}, "one shape"),
    ],
)
def test_what_makes_no_sense_is_refused(scores: dict, mix: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        blend(scores, mix)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="max, zscore, rrf"):
        normalise(np.ones(3, np.float32), "softmax")  # type: ignore[arg-type]


@given(rows, st.sampled_from(METHODS))
def test_every_scale_is_finite_keeps_no_opinion_and_never_turns_an_order_round(
    scores: np.ndarray, method: str
) -> None:
    scaled = normalise(scores, method)  # type: ignore[arg-type]
    assert np.isfinite(scaled).all()
    assert (scaled >= 0).all()
    assert (scaled[scores == 0] == 0).all()
    order = np.argsort(scores, kind="stable")
    assert (np.diff(scaled[order]) >= 0).all()


@given(rows, st.sampled_from(METHODS), st.floats(0.125, 64))
def test_a_strategy_that_shouts_is_heard_no_louder(scores: np.ndarray, method: str, factor: float) -> None:
    louder = normalise((scores * np.float32(factor)).astype(np.float32), method)  # type: ignore[arg-type]
    np.testing.assert_allclose(louder, normalise(scores, method), rtol=1e-4, atol=1e-6)  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(arrays(np.float32, 6, elements=finite), weights), min_size=1, max_size=4),
    st.sampled_from(METHODS),
)
def test_contributions_add_up_and_silent_strategies_are_absent(parts: list, method: str) -> None:
    scores = {f"s{n}": row for n, (row, _) in enumerate(parts)}
    mix = {f"s{n}": weight for n, (_, weight) in enumerate(parts)}
    result = blend(scores, mix, method)  # type: ignore[arg-type]
    assert set(result.contributions) == {name for name, weight in mix.items() if weight}
    np.testing.assert_allclose(
        result.total, sum(result.contributions.values(), np.zeros(6)), rtol=1e-4, atol=1e-5
    )
    assert (result.total >= 0).all()
