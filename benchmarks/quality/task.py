"""What a folder is turned into: something to learn from, something to choose on, something to be measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from algorithms.evaluation import Mode, TestCase
from algorithms.types import TrainingData

Kind = Literal["sessions", "interactions", "orders"]


class UnreadableFolder(ValueError):
    """The folder is not of a shape that `bench_quality` knows; the message says what is missing."""


@dataclass(frozen=True)
class Origin:
    """A moment before the test: what was known up to it, and what was then chosen in as long a stretch as the test's."""

    past: TrainingData
    cases: list[TestCase]


@dataclass(frozen=True)
class Task:
    """`past` and `validation` choose parameters; they and `earlier` origins, oldest first, choose weights and teach rerankers; `train`
    and `test` are what is reported. Test targets are read by nothing else. `mode` is what the figures of the blend are about."""

    name: str
    kind: Kind
    past: TrainingData
    validation: list[TestCase]
    train: TrainingData
    test: list[TestCase]
    mode: Mode
    earlier: tuple[Origin, ...] = ()

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Those in which something was chosen, oldest first; the newest is `past` and `validation`."""
        every = (*self.earlier, Origin(self.past, self.validation))
        return tuple(origin for origin in every if origin.cases)
