"""No cell under ten people, and no way back to one by subtraction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.small_cells import LEAST_PEOPLE, hidden_cells, is_small, published, published_part


def test_nine_people_are_few_and_ten_are_not() -> None:
    assert LEAST_PEOPLE == 10
    assert [is_small(people) for people in (0, 1, 9, 10, 11)] == [False, True, True, False, False]
    assert [published(people) for people in (0, 1, 9, 10, None)] == [0, None, None, 10, None]


def test_what_few_people_did_often_is_hidden_too() -> None:
    assert published(4000, people=9) is None
    assert published(4000, people=10) == 4000
    assert published(3, people=10) == 3


def test_a_part_tells_about_the_rest() -> None:
    assert [published_part(part, 200) for part in (0, 9, 10, 190, 191, 200)] == [0, None, 10, 190, None, 200]
    with pytest.raises(ValueError, match="11 cannot be a part of 10"):
        published_part(11, 10)


@pytest.mark.parametrize(
    ("people", "hidden"),
    [
        ([50, 40, 30], [False, False, False]),
        ([50, 9, 30], [False, True, True]),  # the total less 50 and 30 would be 9
        ([50, 9, 8], [False, True, True]),  # two are hidden, of 17 people together
        ([50, 4, 3, 20], [False, True, True, True]),  # 7 together would be a small cell
        ([50, 9, 0], [True, True, False]),  # a cell of nobody hides nobody
        ([9], [True]),  # the total is small itself
        ([], []),
    ],
)
def test_cells_that_add_up_take_others_with_them(people: list[int], hidden: list[bool]) -> None:
    assert hidden_cells(people, adds_up=True) == hidden


def test_cells_without_a_total_are_hidden_one_by_one() -> None:
    assert hidden_cells([50, 9, 30], adds_up=False) == [False, True, False]


@given(st.lists(st.integers(0, 40), max_size=6))
def test_nothing_small_can_be_had_by_subtracting_from_the_total(people: list[int]) -> None:
    """The total less all that is shown is what the hidden cells hold together."""
    hidden = hidden_cells(people, adds_up=True)
    shown = [count for count, is_hidden in zip(people, hidden, strict=True) if not is_hidden]
    assert not any(map(is_small, shown))
    if not is_small(sum(people)):  # else the total is hidden as a cell of its own
        assert sum(hidden) != 1
        assert not is_small(sum(people) - sum(shown))
