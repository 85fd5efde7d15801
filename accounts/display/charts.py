"""Charts as plain data with their geometry: drawn as SVG on the server, without a library and without inline styles.

The plot is an SVG stretched to its box, with strokes that do not scale; axis labels are HTML, so that they stay
readable on a phone. Series have the colours of Okabe and Ito (2008), which colour-blind people tell apart, and a
dash pattern each, so that colour is never the only difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

PLOT_WIDTH = 1000
PLOT_HEIGHT = 240
COLOURS = 12
_TICK_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def nice_ticks(highest: float, count: int = 4) -> list[float]:
    """Round numbers from 0 to at least `highest`, at most `count` steps: 37 → 0, 10, 20, 30, 40. [0, 1] if nothing is above 0."""
    if highest <= 0 or not math.isfinite(highest):
        return [0.0, 1.0]
    rough = highest / count
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in _TICK_STEPS if magnitude * factor >= rough * (1 - 1e-9))
    return [step * index for index in range(math.ceil(highest / step - 1e-9) + 1)]


@dataclass(frozen=True)
class Series:
    """One line. `values` has a number or None (a gap) for each label of the chart."""

    name: str
    values: Sequence[float | None]
    colour: int = 0


@dataclass(frozen=True)
class Hover:
    """What the pointer reads over one label: an invisible column of the plot."""

    x: float
    width: float
    text: str


@dataclass(frozen=True)
class LineChart:
    """Numbers over time. `unit` is appended to each number; `decimals` is how many digits after the point are meant."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""
    decimals: int = 0
    note: str = ""
    ticks: list[float] = field(init=False)

    def __post_init__(self) -> None:
        for series in self.series:
            if len(series.values) != len(self.labels):
                raise ValueError(
                    f"Series {series.name!r} has {len(series.values)} values for {len(self.labels)} labels."
                )
        highest = max(
            (value for series in self.series for value in series.values if value is not None), default=0.0
        )
        object.__setattr__(self, "ticks", nice_ticks(highest))

    def number(self, value: float | None) -> str:
        """12345.678 as `12,345.7 %`; a gap as a dash."""
        if value is None:
            return "–"
        return f"{value:,.{self.decimals}f}{' ' + self.unit if self.unit else ''}"

    @property
    def is_empty(self) -> bool:
        return not any(value for series in self.series for value in series.values)

    @property
    def tick_labels(self) -> list[str]:
        """From the top down."""
        decimals = 0 if all(tick == int(tick) for tick in self.ticks) else max(1, self.decimals)
        return [f"{tick:,.{decimals}f}" for tick in reversed(self.ticks)]

    @property
    def grid(self) -> list[float]:
        """Heights of the grid lines."""
        return [PLOT_HEIGHT * (1 - tick / self.ticks[-1]) for tick in self.ticks]

    @property
    def paths(self) -> list[tuple[Series, str]]:
        """Each series with its path (`M… L…`); a gap starts a new piece, a lone point becomes a dot."""
        return [(series, self._path(series.values)) for series in self.series]

    def x(self, index: int) -> float:
        return PLOT_WIDTH * (index + 0.5) / max(1, len(self.labels))

    def _path(self, values: Sequence[float | None]) -> str:
        pieces: list[str] = []
        for index, value in enumerate(values):
            if value is None:
                continue
            starts = index == 0 or values[index - 1] is None
            ends = index == len(values) - 1 or values[index + 1] is None
            point = f"{self.x(index):.1f} {PLOT_HEIGHT * (1 - value / self.ticks[-1]):.1f}"
            pieces.append(f"M{point}" if starts else f"L{point}")
            if starts and ends:
                pieces.append("h0.1")
        return " ".join(pieces)

    @property
    def hovers(self) -> list[Hover]:
        width = PLOT_WIDTH / max(1, len(self.labels))
        return [
            Hover(
                x=index * width,
                width=width,
                text="\n".join(
                    [
                        label,
                        *(f"{series.name}: {self.number(series.values[index])}" for series in self.series),
                    ]
                ),
            )
            for index, label in enumerate(self.labels)
        ]

    @property
    def axis_labels(self) -> list[str]:
        """At most five of the labels, first and last among them, evenly spread."""
        if len(self.labels) <= 5:
            return list(self.labels)
        return [self.labels[round(index * (len(self.labels) - 1) / 4)] for index in range(5)]

    @property
    def table(self) -> list[tuple[str, list[str]]]:
        """The numbers behind the picture, newest first."""
        rows = [
            (label, [self.number(series.values[index]) for series in self.series])
            for index, label in enumerate(self.labels)
        ]
        return rows[::-1]


@dataclass(frozen=True)
class Bar:
    """`value` ≥ 0 decides the length, `text` is what is read beside it."""

    label: str
    value: float
    text: str
    detail: str = ""
    url: str = ""
    colour: int = 0


@dataclass(frozen=True)
class BarChart:
    """Comparison of things: a table whose rows have bars, so that it needs no table behind it."""

    title: str
    bars: Sequence[Bar]
    label_header: str
    value_header: str
    note: str = ""

    @property
    def rows(self) -> list[tuple[Bar, str]]:
        """Each bar with its length in per cent of the longest."""
        longest = max((bar.value for bar in self.bars), default=0.0)
        return [(bar, f"{100 * bar.value / longest:.1f}" if longest > 0 else "0") for bar in self.bars]


@dataclass(frozen=True)
class Slice:
    """A part of a stacked bar, in per cent of the whole width."""

    name: str
    share_percent: float
    start_percent: float
    text: str
    colour: int


def stack(parts: Sequence[tuple[str, float, str]], full: float, colours: dict[str, int]) -> list[Slice]:
    """Parts (name, value ≥ 0, text) laid end to end on a bar whose whole width stands for `full`; empty ones are left out."""
    slices: list[Slice] = []
    start = 0.0
    for name, value, text in parts:
        share = 100 * value / full if full > 0 else 0.0
        if share > 0:
            slices.append(
                Slice(name, round(share, 3), round(start, 3), text, colours.get(name, len(slices)) % COLOURS)
            )
            start += share
    return slices


@dataclass(frozen=True)
class Interval:
    """An estimate with its uncertainty on a common scale: `low` ≤ `value` ≤ `high`, zero marked."""

    label: str
    low: float
    value: float
    high: float
    text: str
    scale: float

    def _percent(self, number: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, number / self.scale if self.scale else 0.0)), 2)

    @property
    def low_percent(self) -> float:
        return self._percent(self.low)

    @property
    def width_percent(self) -> float:
        return round(max(0.5, self._percent(self.high) - self._percent(self.low)), 2)

    @property
    def value_percent(self) -> float:
        return self._percent(self.value)


@dataclass(frozen=True)
class Estimate:
    """A number ≥ 0 with its uncertainty, on a scale from 0 to `scale` that it shares with others: `low` ≤ `value` ≤ `high`."""

    label: str
    low: float
    value: float
    high: float
    text: str
    scale: float

    def _percent(self, number: float) -> float:
        return round(100 * max(0.0, min(1.0, number / self.scale if self.scale > 0 else 0.0)), 2)

    @property
    def low_percent(self) -> float:
        return self._percent(self.low)

    @property
    def width_percent(self) -> float:
        return round(max(0.5, self._percent(self.high) - self._percent(self.low)), 2)

    @property
    def value_percent(self) -> float:
        return self._percent(self.value)
