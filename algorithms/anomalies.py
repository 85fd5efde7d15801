"""Sudden changes of event counts against their own season, and silence.

What an hour should have held is the median of the same hour of the week in the weeks before, times how the last days
compare with their own medians. Counts scatter around it as a negative binomial, whose dispersion is read from the
history by the median absolute deviation. An hour is odd where its count is next to impossible even for a mean moved by
a tolerated factor: so a small but significant change is no alarm, and a holiday is none either, since a series is
judged against what the others did in the same hours.

Sources: Farrington et al. 1996, "A statistical algorithm for the early detection of outbreaks of infectious disease",
J. R. Stat. Soc. A 159: 547–563, and Noufaily et al. 2013, Statistics in Medicine 32: 1206–1222 (same periods of earlier
cycles, negative binomial threshold, minimum counts); Rousseeuw and Croux 1993, J. Am. Stat. Assoc. 88: 1273–1283 (MAD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# A normal distribution's standard deviation, by its median absolute deviation.
MAD_TO_SIGMA: Final = 1.4826
DAY_HOURS: Final = 24


@dataclass(frozen=True)
class Settings:
    """How sure, and what is tolerated.

    `probability`: of a count at least as odd in one window, under the tolerated mean. `own_factor`: by how much a
    series may move while the others do not; `shared_factor`: by how much all of them may move together, as on a
    holiday or in a sale; `alone_factor`: by how much one may move that nothing can be compared with.
    """

    weeks: int = 8
    fewest_weeks: int = 2
    windows_hours: tuple[int, ...] = (1, 6, 24)
    probability: float = 1e-6
    own_factor: float = 2.0
    shared_factor: float = 4.0
    alone_factor: float = 5.0
    fewest_of_spike: int = 50
    dispersion: float = 0.1
    least_dispersion: float = 0.02


@dataclass(frozen=True)
class Deviation:
    """Hours [start, stop) of a series that held far fewer (`direction` −1) or far more (+1) than `expected`.

    `probability` is that of the oddest window. `expected` is the usual count of all the hours together.
    """

    series: int
    start: int
    stop: int
    direction: int
    count: int
    expected: float
    probability: float
    window_hours: int


@dataclass(frozen=True)
class Silence:
    """`hours` without a single event at the end of a series; `longest_before` is the longest such gap until then."""

    series: int
    start: int
    hours: int
    longest_before: int


def deviations(
    counts: Counts,
    season: NDArray[np.int64],
    evaluate_from: int,
    settings: Settings | None = None,
    *,
    total: int | None = None,
) -> list[Deviation]:
    """Odd stretches among the hours from `evaluate_from` on.

    `counts`: (n_series, n_hours), consecutive hours, the current one left out. `season`: (n_hours,) the hour of the
    week, 0 to 167, in the shop's own time zone. `total`: the series that is the sum of the others, which it is not
    compared with. Series without `fewest_weeks` weeks of history are not judged.
    """
    settings = settings or Settings()
    means, weeks = expectations(counts, season, settings)
    found: list[Deviation] = []
    for window in settings.windows_hours:
        odd = _odd_windows(counts, means, weeks, evaluate_from, window, settings, total)
        for series, direction, ends, probabilities in odd:
            found += _stretches(counts, means, found, series, direction, ends, probabilities, window)
    return sorted(found, key=lambda deviation: (deviation.start, deviation.series))


def expectations(
    counts: Counts, season: NDArray[np.int64], settings: Settings
) -> tuple[Floats, NDArray[np.int64]]:
    """(n_series, n_hours) usual counts, and of how many weeks each was made; NaN where of none."""
    medians, weeks = _seasonal_medians(counts, season, settings.weeks)
    return medians * _levels(counts, medians), weeks


def _seasonal_medians(
    counts: Counts, season: NDArray[np.int64], weeks: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Of up to `weeks` earlier hours of the same season, none from before a series began."""
    medians = np.full(counts.shape, np.nan)
    used = np.zeros(counts.shape, dtype=np.int64)
    has_any = counts.any(axis=1)
    begins = np.where(has_any, (counts > 0).argmax(axis=1), counts.shape[1])
    for key in np.unique(season):
        hours = np.flatnonzero(season == key)
        for place in range(1, len(hours)):
            earlier = hours[max(0, place - weeks) : place]
            is_usable = earlier[None, :] >= begins[:, None]
            values = np.where(is_usable, counts[:, earlier], np.nan)
            known = is_usable.any(axis=1)
            used[:, hours[place]] = is_usable.sum(axis=1)
            medians[known, hours[place]] = np.nanmedian(values[known], axis=1)
    return medians, used


def _levels(counts: Counts, medians: Floats) -> Floats:
    """How the days before compare with their medians: the median over six days, the last 24 hours left out, so that an
    outage does not make itself usual. Between a half and two."""
    is_known = ~np.isnan(medians)
    seen = _cumulative(np.where(is_known, counts, 0))
    usual = _cumulative(np.where(is_known, medians, 0.0))
    n_hours = counts.shape[1]
    ratios = np.full((6, *counts.shape), np.nan)
    for back in range(1, 7):
        stop = np.arange(n_hours) - back * DAY_HOURS
        start = stop - DAY_HOURS
        usable = start >= 0
        happened = seen[:, stop[usable]] - seen[:, start[usable]]
        expected = usual[:, stop[usable]] - usual[:, start[usable]]
        # Towards 1 where there is little to go by.
        ratio = (happened + 25) / (expected + 25)
        ratios[back - 1][:, usable] = ratio
    levels = np.ones(counts.shape)
    known = ~np.isnan(ratios).all(axis=0)
    levels[known] = np.nanmedian(ratios[:, known], axis=0)
    return np.clip(levels, 0.5, 2.0)


def _cumulative(values: NDArray[np.generic]) -> Floats:
    """(n_series, n_hours + 1): sums of everything before each hour."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _window_sums(values: Floats, window: int) -> Floats:
    """(n_series, n_hours − window + 1): of the hours [i, i + window)."""
    sums = _cumulative(values)
    return sums[:, window:] - sums[:, :-window]


def dispersion(counts: Floats, means: Floats, settings: Settings) -> float:
    """α of a variance μ + αμ², such that half of the standardised residuals are within what half of a normal's are.

    Usual counts below 5 say little and are left out; with less than 48 others it is the settings' own.
    """
    usable = means >= 5
    if usable.sum() < 48:
        return settings.dispersion
    errors, usual = np.abs(counts - means)[usable], means[usable]
    low, high = settings.least_dispersion, 4.0
    for _ in range(30):
        middle = (low + high) / 2
        spread = MAD_TO_SIGMA * np.median(errors / np.sqrt(usual + middle * usual**2))
        low, high = (middle, high) if spread > 1 else (low, middle)
    return high


def _odd_windows(
    counts: Counts,
    means: Floats,
    weeks: NDArray[np.int64],
    evaluate_from: int,
    window: int,
    settings: Settings,
    total: int | None,
) -> list[tuple[int, int, NDArray[np.int64], Floats]]:
    """(series, direction, last hours of the odd windows, their probabilities)."""
    if counts.shape[1] < window:
        return []
    seen, usual = _window_sums(counts.astype(np.float64), window), _window_sums(np.nan_to_num(means), window)
    ends = np.arange(window - 1, counts.shape[1])
    is_judged = _window_sums((weeks < settings.fewest_weeks).astype(np.float64), window) == 0
    low, high = _tolerated(seen, usual, settings, total)
    found = []
    for series in range(len(counts)):
        before = is_judged[series] & (ends < evaluate_from)
        scatter = dispersion(seen[series][before], usual[series][before], settings)
        now = is_judged[series] & (ends >= evaluate_from)
        # The median of n weeks is itself off by σ²π/2n.
        alpha = _dispersion_of_prediction(usual[series][now], scatter, weeks[series][ends[now]])
        x = seen[series][now]
        fewer = _tail(x, usual[series][now] / low[series][now], alpha, below=True)
        busy = np.maximum(usual[series][now] * high[series][now], settings.fewest_of_spike / 5)
        more = _tail(x, busy, alpha, below=False)
        more[x < settings.fewest_of_spike] = 1.0
        for direction, probability in ((-1, fewer), (1, more)):
            odd = probability < settings.probability
            if odd.any():
                found.append((series, direction, ends[now][odd], probability[odd]))
    return found


def _tolerated(seen: Floats, usual: Floats, settings: Settings, total: int | None) -> tuple[Floats, Floats]:
    """(divisor below, factor above): how far each window's mean may have moved without being odd."""
    parts = np.ones(len(seen), dtype=bool)
    if total is not None:
        parts[total] = False
    others_seen = seen[parts].sum(axis=0) - np.where(parts[:, None], seen, 0)
    others_usual = usual[parts].sum(axis=0) - np.where(parts[:, None], usual, 0)
    moved = (others_seen + 20) / (others_usual + 20)
    low = settings.own_factor * np.clip(1 / moved, 1, settings.shared_factor)
    high = settings.own_factor * np.clip(moved, 1, settings.shared_factor)
    is_alone = others_usual < 20
    is_alone[~parts] = True
    return np.where(is_alone, settings.alone_factor, low), np.where(is_alone, settings.alone_factor, high)


def _dispersion_of_prediction(means: Floats, alpha: float, weeks: NDArray[np.int64]) -> Floats:
    safe = np.maximum(means, 1.0)
    variance = (safe + alpha * safe**2) * (1 + np.pi / (2 * np.maximum(weeks, 1)))
    return np.asarray((variance - safe) / safe**2)


def _tail(x: Floats, means: Floats, alpha: Floats, *, below: bool) -> Floats:
    """P(X ≤ x), or P(X ≥ x), of negative binomials with these means and variances μ + αμ²."""
    means = np.maximum(means, 1e-9)
    alpha = np.clip(alpha, 1e-9, 10.0)
    size, chance = 1 / alpha, 1 / (1 + alpha * means)
    tail = stats.nbinom.cdf(x, size, chance) if below else stats.nbinom.sf(x - 1, size, chance)
    return np.asarray(tail, dtype=np.float64)


def _stretches(
    counts: Counts,
    means: Floats,
    known: list[Deviation],
    series: int,
    direction: int,
    ends: NDArray[np.int64],
    probabilities: Floats,
    window: int,
) -> list[Deviation]:
    """Windows that touch each other are one; those that a shorter window explains already are left out."""
    covered = [
        (other.start, other.stop) for other in known if (other.series, other.direction) == (series, direction)
    ]
    found: list[Deviation] = []
    for end, probability in zip(ends.tolist(), probabilities.tolist(), strict=True):
        start, stop = end - window + 1, end + 1
        if any(start < other_stop and other_start < stop for other_start, other_stop in covered):
            continue
        if found and start <= found[-1].stop + 1:
            start, probability = found[-1].start, min(probability, found[-1].probability)
            found.pop()
        happened = int(counts[series, start:stop].sum())
        usual = float(np.nansum(means[series, start:stop]))
        found.append(Deviation(series, start, stop, direction, happened, usual, probability, window))
    return found


def silences(
    counts: Counts, *, fewest_events: int = 50, fewest_hours: int = 6, most_hours: int = 14 * DAY_HOURS
) -> list[Silence]:
    """Series that ended: no event for more than twice the longest gap that they had before, and two hours.

    `counts`: (n_series, n_hours). Needs no season, so that it works from the second day on. A series that has been
    silent for longer than `most_hours` is over, and not told any more.
    """
    found = []
    for series, row in enumerate(counts):
        hours = np.flatnonzero(row)
        if len(hours) < 2 or row.sum() < fewest_events or hours[-1] - hours[0] < DAY_HOURS:
            continue
        silent = len(row) - 1 - int(hours[-1])
        longest = int(np.diff(hours).max()) - 1
        if fewest_hours <= silent <= most_hours and silent > 2 * longest + 2:
            found.append(Silence(series, int(hours[-1]) + 1, silent, longest))
    return found
