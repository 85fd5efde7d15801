"""What a history says of taste: dwell, purchases and named interests. Worked by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms.content import ContentTFIDF
from algorithms.taste import attended_history, attention, liked
from algorithms.types import Query
from tests.algorithms.shops import NOW


def test_attention_doubles_with_four_times_the_time_within_bounds() -> None:
    # √(20/20) = 1, √(5/20) = 0.5, √(80/20) = 2, √(45/20) = 1.5; 1 second is cut at 0.5, an hour at 2; 0 is unknown.
    seconds = np.array([20, 5, 80, 45, 1, 3600, 0], np.float32)
    np.testing.assert_allclose(attention(seconds), [1, 0.5, 2, 1.5, 0.5, 2, 1])


def test_long_looks_and_purchases_weigh_more() -> None:
    query = Query.of(
        [0, 1, 2, 3], now=NOW, weights=np.array([1, 1, 1, 8], np.float32),
        seconds=np.array([5, 80, 20, 0], np.float32), purchased=np.array([False, False, False, True]),
    )  # fmt: skip
    history = attended_history(query, 4, 30)
    # Newest first: log2(1 + 8) bought, log2(1 + 1), log2(1 + 2) looked at for long, log2(1 + 0.5) in passing.
    assert history.items.tolist() == [3, 2, 1, 0]
    np.testing.assert_allclose(history.strength, np.log2([9, 2, 3, 1.5]), rtol=1e-6)


def test_an_interest_counts_as_one_view_of_the_average_of_its_products() -> None:
    query = Query.of([4], now=NOW, interests=(np.array([0, 1], np.int32), np.array([2, 9], np.int32)))
    items, importance = liked(query, 5, 30, 0.8)
    # The view: 1. Of the first interest each half; of the second the product that is known.
    assert items.tolist() == [4, 0, 1, 2]
    assert importance.tolist() == pytest.approx([1.0, 0.5, 0.5, 1.0])


@pytest.fixture
def red_blue_green() -> ContentTFIDF:
    """Items 0, 1 red; 2, 3 blue; 4 green."""
    colours = csr_matrix(np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]])
    return ContentTFIDF().fit_items(5, None, colours)


def test_content_leans_towards_what_was_looked_at_for_long(red_blue_green: ContentTFIDF) -> None:
    seconds = np.array([80, 4], np.float32)
    scores = red_blue_green.score(Query.of([0, 2], now=NOW, timestamps=np.array([NOW, NOW]), seconds=seconds))
    # At one moment, so of one age: log2(3) red and log2(1.5) blue, brought to length 1.
    length = np.hypot(np.log2(3), np.log2(1.5))
    expected = [np.log2(3) / length] * 2 + [np.log2(1.5) / length] * 2 + [0]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_content_knows_who_named_an_interest_and_did_nothing_yet(red_blue_green: ContentTFIDF) -> None:
    query = Query.of([], now=NOW, interests=(np.array([2], np.int32),))
    assert red_blue_green.score(query).tolist() == pytest.approx([0, 0, 1, 1, 0])
    assert {2, 3} <= set(red_blue_green.likely_items(query).tolist())
    assert red_blue_green.trigger(query, 3) is None
