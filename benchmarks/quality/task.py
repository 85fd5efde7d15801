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
class Task:
    """`past` and `validation` choose parameters and weights; `train` and `test` are what is reported. Test targets are
    read by nothing else. `mode` is what the figures of the blend are about."""

    name: str
    kind: Kind
    past: TrainingData
    validation: list[TestCase]
    train: TrainingData
    test: list[TestCase]
    mode: Mode
