"""The singular vectors that item vectors are made of."""

import os
import threading
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from algorithms.threads import by_parts, thread_count
from algorithms.truncated_svd import left_singular_vectors


def test_worked_by_hand() -> None:
    """A = [[3, 0], [0, 0], [0, 4]]: singular values 4 and 3, left vectors along the third and the first axis."""
    left, spectrum = left_singular_vectors(
        csr_matrix(np.array([[3, 0], [0, 0], [0, 4]], np.float32)), 2, 1, np.random.default_rng(0)
    )
    np.testing.assert_allclose(spectrum, [4.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(np.abs(left), [[0, 1], [0, 0], [1, 0]], atol=1e-6)


def test_it_is_what_a_dense_decomposition_gives() -> None:
    """The subspace of the eight largest: left · leftᵀ is the same projection, whatever signs and rotations of equals are."""
    rng = np.random.default_rng(3)
    dense = rng.standard_normal((400, 8)) @ rng.standard_normal((8, 300)) + 0.01 * rng.standard_normal(
        (400, 300)
    )
    left, spectrum = left_singular_vectors(csr_matrix(dense.astype(np.float32)), 8, 3, rng)
    exact, values, _ = np.linalg.svd(dense, full_matrices=False)
    np.testing.assert_allclose(spectrum, values[:8], rtol=1e-4)
    np.testing.assert_allclose(left @ left.T, exact[:, :8] @ exact[:, :8].T, atol=1e-4)


def test_a_matrix_of_less_rank_ends_in_zeros() -> None:
    ones = csr_matrix(np.ones((5, 5), np.float32))
    left, spectrum = left_singular_vectors(ones, 3, 3, np.random.default_rng(0))
    np.testing.assert_allclose(spectrum, [5.0, 0.0, 0.0], atol=1e-3)
    assert np.isfinite(left).all()
    nothing, none = left_singular_vectors(
        csr_matrix((4, 4), dtype=np.float32), 2, 3, np.random.default_rng(0)
    )
    assert not nothing.any()
    assert not none.any()


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = csr_matrix(
        random_array((3000, 3000), density=0.003, rng=np.random.default_rng(0), dtype=np.float32)
    )
    given = []
    for threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        given.append(left_singular_vectors(matrix, 8, 2, np.random.default_rng(1)))
    np.testing.assert_array_equal(given[0][0], given[1][0])
    np.testing.assert_array_equal(given[0][1], given[1][1])


def test_parts_come_back_in_order_from_as_many_threads_as_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert thread_count() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert thread_count() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert thread_count() == 3
    names = set()

    def first_and_last(rows: np.ndarray) -> tuple[int, int]:
        names.add(threading.current_thread().name)
        return int(rows[0]), int(rows[-1])

    parts = by_parts(first_and_last, np.arange(10_000))
    assert len(parts) == 24
    assert parts[0][0] == 0
    assert parts[-1][1] == 9_999
    assert all(end + 1 == start for (_, end), (start, _) in pairwise(parts))
    assert all(name.startswith("rows") for name in names)
