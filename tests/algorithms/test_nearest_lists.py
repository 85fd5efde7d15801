import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms import nearest_lists
from algorithms.nearest_lists import FROM, LATER, LENGTH, NearestLists, by_products, by_terms


def vectors(n: int, d: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_lists_hold_the_largest_products_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = vectors(150, 6)
    rows[7] = 0.0
    monkeypatch.setattr(nearest_lists, "BLOCK_NUMBERS", 150 * 16)  # ten blocks
    lists = by_products(rows, np.arange(150))
    scores = rows @ rows.T
    for item in range(150):
        named = lists[item][lists[item] >= 0]
        above = np.flatnonzero(scores[item] > 0)
        wanted = above[np.argsort(-scores[item, above], kind="stable")][:LENGTH]
        assert set(named.tolist()) == set(wanted.tolist())
        assert (np.diff(scores[item, named]) <= 1e-5).all()
    assert (lists[7] == -1).all()


def test_in_a_large_catalogue_cells_find_nearly_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty tastes with thirty products each."""
    middles = vectors(40, 16)
    rows = np.repeat(middles, 30, axis=0) + 0.3 * vectors(1200, 16, seed=4)
    monkeypatch.setattr(nearest_lists, "ALL_BELOW", 100)
    lists = by_products(rows, np.arange(1200))
    scores = rows @ rows.T
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = np.mean([np.isin(wanted[item], lists[item]).mean() for item in range(1200)])
    assert found > 0.95
    np.testing.assert_array_equal(by_products(rows, np.arange(1200)), lists)


def test_sparse_lists_hold_what_shares_rare_terms() -> None:
    """Twenty groups of ten with a term of their own, and one term that all have: group first, in order of likeness."""
    rng = np.random.default_rng(1)
    table = np.zeros((200, 21), np.float32)
    table[np.arange(200), np.arange(200) // 10] = 1.0
    table[:, 20] = rng.random(200) * 0.5
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    rows = csr_matrix(table)
    columns = rows.T.tocsr()
    halves = (rows.indptr, rows.indices, rows.data), (columns.indptr, columns.indices, columns.data)
    exact = table @ table.T
    lists = by_terms(np.arange(200, dtype=np.int32), *halves, 0.05, 10_000)
    for item in range(200):
        assert set(lists[item, :10].tolist()) == set(range(item // 10 * 10, item // 10 * 10 + 10))
        named = lists[item][lists[item] >= 0]
        assert (exact[item, named] >= 0.05).all()
        best = np.sort(exact[item])[::-1][: len(named)]
        np.testing.assert_allclose(exact[item, named], best, atol=1e-6)


def test_what_comes_later_is_found_from_both_sides() -> None:
    lists = NearestLists(np.full((3, LENGTH), -1, np.int32))
    fresh = np.full((2, LENGTH), -1, np.int32)
    fresh[0, :3] = [3, 1, 0]  # 3 is the first that came, 4 the second
    fresh[1, :3] = [4, 3, 1]
    grown = lists.with_items(fresh)
    assert set(grown.joined(np.array([1], np.int32)).tolist()) == {1, 3, 4}
    assert set(grown.joined(np.array([2], np.int32)).tolist()) == {2}
    assert set(grown.joined(np.array([3], np.int32)).tolist()) == {0, 1, 3, 4}
    assert lists.joined(np.array([1], np.int32)).tolist() == [1]  # what stood there stays as it was


def test_a_list_takes_in_so_many_and_no_more() -> None:
    lists = NearestLists(np.full((1, LENGTH), -1, np.int32))
    fresh = np.full((LATER + 5, LENGTH), -1, np.int32)
    fresh[:, 0] = 0
    assert len(lists.with_items(fresh).joined(np.array([0], np.int32))) == 1 + LATER


def test_only_the_newest_items_of_a_query_bring_their_lists() -> None:
    trained = np.full((FROM + 2, LENGTH), -1, np.int32)
    trained[:, 0] = 0
    found = NearestLists(trained).joined(np.arange(FROM + 2, dtype=np.int32)[::-1].copy())
    assert len(found) == FROM + 2 + FROM


def test_renewed_items_are_named_only_where_they_name() -> None:
    trained = np.full((3, LENGTH), -1, np.int32)
    trained[0, :2], trained[1, :2], trained[2, :2] = [0, 2], [1, 2], [2, 1]
    fresh = np.full((1, LENGTH), -1, np.int32)
    fresh[0, :2] = [2, 0]  # nobody who saw 1 and 2 together is left
    renewed = NearestLists(trained).renewed(np.array([2]), fresh)
    assert set(renewed.joined(np.array([0], np.int32)).tolist()) == {0, 2}
    assert set(renewed.joined(np.array([1], np.int32)).tolist()) == {1}
    assert set(renewed.joined(np.array([2], np.int32)).tolist()) == {0, 2}
    assert trained[1, 1] == 2
