"""How far a training run has come: for the terminal, for the run's row, for nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Protocol, TypeVar

from tqdm import tqdm

T = TypeVar("T")


class Reporter(Protocol):
    """`step` wraps a named piece of work; `progress` wraps what a step goes through."""

    def step(self, name: str) -> AbstractContextManager[None]: ...

    def progress(self, items: Iterable[T]) -> Iterable[T]: ...


class Silent:
    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        yield

    def progress(self, items: Iterable[T]) -> Iterable[T]:
        return items


class Terminal:
    """A bar for the steps and one for what a step goes through, on standard error."""

    def __init__(self, total_steps: int, title: str) -> None:
        self._bar = tqdm(total=total_steps, desc=title, unit="step", file=sys.stderr, disable=None)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._bar.set_postfix_str(name)
        yield
        self._bar.update()

    def progress(self, items: Iterable[T]) -> Iterable[T]:
        listed = list(items)
        return (
            tqdm(listed, desc="  cases", unit="block", leave=False, file=sys.stderr, disable=None)
            if len(listed) > 1
            else listed
        )

    def close(self) -> None:
        self._bar.close()


class Noting:
    """Passes on to `inner`, and notes each step's beginning and seconds with `on_start` and `on_end`."""

    def __init__(
        self, inner: Reporter, on_start: Callable[[str], None], on_end: Callable[[str, float], None]
    ) -> None:
        self.inner, self.on_start, self.on_end = inner, on_start, on_end

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.on_start(name)
        started = perf_counter()
        with self.inner.step(name):
            yield
        self.on_end(name, perf_counter() - started)

    def progress(self, items: Iterable[T]) -> Iterable[T]:
        return self.inner.progress(items)
