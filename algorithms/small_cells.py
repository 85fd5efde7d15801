"""Figures about few people do not leave the system: the one rule that every export, answer and report goes through.

The threshold rule of statistical disclosure control: a cell that fewer than k people stand behind is suppressed, and where cells add up
to a total that is published too, others with it, so that nobody gets the hidden one back by subtraction (Hundepool et al., *Statistical
Disclosure Control*, 2012, chapters 4 and 5). A cell of nobody is published: there is no person whom it could tell about. What it does
not withstand: somebody who compares two exports of different days, or who knows most of the people of a cell already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LEAST_PEOPLE: Final = 10
"""k. The contract on privacy: no cell under ten people leaves."""


def is_small(people: float, least: int = LEAST_PEOPLE) -> bool:
    """Whether a cell with so many people behind it tells about single ones."""
    return 0 < people < least


def published(figure: int | None, people: float | None = None, least: int = LEAST_PEOPLE) -> int | None:
    """A figure as it may leave: None where fewer than `least` people stand behind it.

    `people` is how many do; default: the figure itself, which is right for counts of people, and for counts of what people did where
    nobody knows how many they were: fewer than `least` deeds are of fewer than `least` people for certain.
    """
    behind = figure if people is None else people
    return None if figure is None or behind is None or is_small(behind, least) else figure


def published_part(part: int, whole: int, least: int = LEAST_PEOPLE) -> int | None:
    """How many of `whole` people belong to a part of them, such as those who clicked. None where the part or the rest is small: of 200
    the 197 who clicked tell who of the 3 others did not."""
    if not 0 <= part <= whole:
        raise ValueError(f"{part} cannot be a part of {whole} people.")
    return None if is_small(part, least) or is_small(whole - part, least) else part


def hidden_cells(people: Sequence[int], *, adds_up: bool, least: int = LEAST_PEOPLE) -> list[bool]:
    """Which of these cells must not leave. `adds_up`: each person is in one cell, and the sum is published too.

    Then one hidden cell would be the sum less the others, and hidden cells of together fewer than `least` people would be one small cell:
    the smallest others are hidden with them, until at least two are, and of `least` people or more. Where that cannot be, the
    sum itself is small.
    """
    hidden = [is_small(count, least) for count in people]
    if not adds_up or not any(hidden):
        return hidden
    others = sorted((count, place) for place, count in enumerate(people) if count and not hidden[place])
    for _count, place in others:
        gone = [count for count, is_hidden in zip(people, hidden, strict=True) if is_hidden]
        if len(gone) > 1 and not is_small(sum(gone), least):
            break
        hidden[place] = True
    return hidden
