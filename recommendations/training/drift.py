"""Does the live version still fit what happens? What came since its training, beside what it was trained on.

Nothing of a person is in the answer: shares, histograms and ages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
from scipy.stats import norm

from algorithms.drift import histogram, mass_bins, overlap_at, psi, psi_by_chance
from algorithms.splits import next_choices
from algorithms.translated import UNKNOWN, Numbering, Translated
from algorithms.types import Bool, Int64, Strategy, TrainingData
from profiles.events import INTERACTIONS
from recommendations.model_store.folder import StoredModel
from recommendations.model_store.measuring import MeasuringSet
from recommendations.training.baseline import shelf_accuracy, shelf_scores
from recommendations.training.figures import MAX_CASES
from recommendations.training.gate import percent
from recommendations.training.measuring import collect_shelves
from tracking.selectors.interactions import Interactions

LEAST_INTERACTIONS: Final = 100
LEAST_CASES: Final = 60
POPULAR_DAYS: Final = 28
"""Of the time before the training: what was wanted then."""
OVERLAP: Final = 20
DAY: Final = 86_400.0
PSI_LIMITS: Final = (0.1, 0.25)
UNKNOWN_ITEM_LIMITS: Final = (0.05, 0.15)
UNKNOWN_SHOPPER_LIMITS: Final = (0.15, 0.3)
"""By how much the share may rise."""
ACCURACY_LIMITS: Final = (0.1, 0.25)
"""By how much, relatively, NDCG@10 may fall."""
AGE_LIMITS_DAYS: Final = (7.0, 30.0)


class Level(StrEnum):
    """`UNKNOWN`: too little has happened to tell."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DriftFigure:
    """`value` is a share, a PSI or days, None where nothing can be said; it warns from `limit` on. `text` says it in plain words."""

    name: str
    value: float | None
    limit: float
    level: Level
    text: str

    def report(self) -> dict[str, Any]:
        value = None if self.value is None else round(self.value, 5)
        return {
            "name": self.name,
            "value": value,
            "limit": round(self.limit, 5),
            "level": str(self.level),
            "text": self.text,
        }


@dataclass(frozen=True)
class Recent:
    """The log in a version's numbering of products; those that the version does not know follow its own. `is_since` (n,) is true for
    what came after its training."""

    data: TrainingData
    n_known: int
    unknown_ids: tuple[str, ...]
    is_since: Bool

    @classmethod
    def of(
        cls, log: Interactions, item_ids: Sequence[str], weights: Mapping[str, float], trained_until: float, now: float
    ) -> Recent:  # fmt: skip
        place = {item_id: number for number, item_id in enumerate(item_ids)}
        unknown = tuple(product for product in log.products if product not in place)
        place |= {product: len(item_ids) + number for number, product in enumerate(unknown)}
        weight = np.array([weights.get(name, 0.0) for name in INTERACTIONS], np.float32)[log.event]
        kept = (weight > 0) & (log.occurred_at <= now)
        numbers = np.array([place[product] for product in log.products], np.int32)
        item = numbers[log.product] if len(log) else np.empty(0, np.int32)
        data = TrainingData(
            user=log.subject[kept],
            item=item[kept],
            timestamp=log.occurred_at[kept],
            weight=weight[kept],
            session=log.session[kept],
            basket=log.basket[kept],
            n_users=log.n_subjects,
            n_items=len(place),
            now=now,
        )
        return cls(data, len(item_ids), unknown, data.timestamp > trained_until)

    @property
    def count(self) -> int:
        return int(self.is_since.sum())


def drift_figures(
    stored: StoredModel,
    log: Interactions,
    weights: Mapping[str, float],
    catalogue: frozenset[str],
    now: float,
    *,
    every_hours: int | None,
    seed: int = 0,
) -> tuple[Recent, list[DriftFigure]]:
    """`weights` of events; `catalogue` are external ids; `every_hours` is the schedule of trainings, None while there is none."""
    manifest = stored.manifest
    recent = Recent.of(log, stored.item_ids, weights, manifest.data_until, now)
    baseline = manifest.metrics.get("baseline") or {}
    cases = _recent_choices(stored, recent, np.random.default_rng(seed)) if recent.count else None
    return recent, [
        unknown_items(recent, catalogue),
        score_shift(cases, baseline),
        accuracy(cases, baseline),
        unknown_shoppers(cases, baseline),
        popularity_shift(recent, manifest.data_until),
        age(now, manifest.data_until, recent.count, every_hours),
    ]


def _recent_choices(stored: StoredModel, recent: Recent, rng: np.random.Generator) -> MeasuringSet | None:
    """What the version thinks of choices that shoppers made since its training; None where there are too few."""
    since = np.nextafter(stored.manifest.data_until, np.inf)
    _, cases = next_choices(recent.data, since, limit=MAX_CASES, rng=rng)
    items = np.full(recent.data.n_items, UNKNOWN, np.int32)
    items[: recent.n_known] = np.arange(recent.n_known)
    numbering = Numbering(items)
    strategies: dict[str, Strategy] = {
        name: Translated(strategy, numbering) for name, strategy in stored.strategies.items()
    }
    found = collect_shelves(strategies, cases, lambda user: 0)
    return found if len(found) >= LEAST_CASES else None


def unknown_items(recent: Recent, catalogue: frozenset[str]) -> DriftFigure:
    """Share of the interactions since the training whose product the version does not know."""
    name, limits = "unknown_items", UNKNOWN_ITEM_LIMITS
    if recent.count < LEAST_INTERACTIONS:
        return _too_little(name, limits[0], recent.count, LEAST_INTERACTIONS, "interactions")
    items = recent.data.item[recent.is_since]
    unknown = items[items >= recent.n_known] - recent.n_known
    missing = np.array([product not in catalogue for product in recent.unknown_ids], np.bool_)
    share = len(unknown) / len(items)
    text = f"{_share(share)} of {len(items):,} interactions since the training are with products that the model has not met."
    if len(unknown) and (absent := float(missing[unknown].sum()) / len(items)) > 0:
        text += f" {_share(absent)} are not in the catalogue either: import them."
    return DriftFigure(name, share, limits[0], _level(share, limits), text)


def score_shift(cases: MeasuringSet | None, baseline: Mapping[str, Any]) -> DriftFigure:
    """PSI of the scores of today's shelves against those at training."""
    name = "scores"
    if not baseline.get("score_counts"):
        return _no_baseline(name, PSI_LIMITS[0])
    if cases is None:
        return _too_little(name, PSI_LIMITS[0], 0, LEAST_CASES, "choices of new products")
    expected = np.array(baseline["score_counts"])
    scores = shelf_scores(cases, baseline["weights"], baseline["normalisation"])
    return _psi_figure(
        name,
        expected,
        histogram(scores, np.array(baseline["score_edges"], np.float64)),
        "The scores of shelves",
    )


def accuracy(cases: MeasuringSet | None, baseline: Mapping[str, Any]) -> DriftFigure:
    """Relative loss of NDCG@10 on choices since the training, against those that the version was measured on then."""
    name, limits = "accuracy", ACCURACY_LIMITS
    if not baseline.get("ndcg"):
        return _no_baseline(name, limits[0])
    if cases is None:
        return _too_little(name, limits[0], 0, LEAST_CASES, "choices of new products")
    now = shelf_accuracy(cases, baseline["weights"], baseline["normalisation"])
    before, deviation = baseline["ndcg"], baseline["ndcg_deviation"]
    loss = 1.0 - float(now.mean()) / before
    error = float(np.sqrt(now.var() / len(now) + deviation**2 / max(baseline["cases"], 1))) / before
    is_sure = loss > norm.ppf(0.975) * error
    text = f"NDCG@10 on {len(now):,} choices since the training is {now.mean():.4f}; it was {before:.4f} ({percent(-loss)})."
    if loss > 0 and not is_sure:
        text += " That may be chance."
    return DriftFigure(name, loss, limits[0], _level(loss, limits) if is_sure else Level.OK, text)


def unknown_shoppers(cases: MeasuringSet | None, baseline: Mapping[str, Any]) -> DriftFigure:
    """Share of choices by shoppers of whom nothing was known, and how much it has risen."""
    name, limits = "unknown_shoppers", UNKNOWN_SHOPPER_LIMITS
    before = baseline.get("unknown_shoppers")
    if before is None:
        return _no_baseline(name, limits[0])
    if cases is None:
        return _too_little(name, before + limits[0], 0, LEAST_CASES, "choices of new products")
    share = float((cases.known == 0).mean())
    text = (
        f"{_share(share)} of choices are by shoppers of whom nothing was known before; at training it was {_share(before)}. "
        "For them shelves show what is popular."
    )
    return DriftFigure(name, share, before + limits[0], _level(share - before, limits), text)


def popularity_shift(recent: Recent, trained_until: float) -> DriftFigure:
    """PSI of what is wanted, by tenths of what was wanted in the weeks before the training. A product counts once a visit."""
    name = "popularity"
    before = ~recent.is_since & (recent.data.timestamp > trained_until - POPULAR_DAYS * DAY)
    counts = [_visits_by_item(recent.data, rows) for rows in (before, recent.is_since)]
    fewest = min(int(each.sum()) for each in counts)
    if fewest < LEAST_INTERACTIONS:
        return _too_little(name, PSI_LIMITS[0], fewest, LEAST_INTERACTIONS, "products wanted in visits")
    bins = mass_bins(counts[0])
    expected, actual = (np.bincount(bins, weights=each, minlength=int(bins.max()) + 1) for each in counts)
    stayed = overlap_at(counts[0], counts[1], OVERLAP)
    figure = _psi_figure(name, expected, actual, "What shoppers want")
    return DriftFigure(
        name, figure.value, figure.limit, figure.level,
        f"{figure.text} Of the {OVERLAP} products wanted most, {stayed:.0%} were so in the {POPULAR_DAYS} days before the training too.",
    )  # fmt: skip


def _visits_by_item(data: TrainingData, rows: Bool) -> Int64:
    pairs = np.unique(np.stack([data.session[rows], data.item[rows]]), axis=1)
    return np.bincount(pairs[1], minlength=data.n_items)


def age(now: float, trained_until: float, since: int, every_hours: int | None) -> DriftFigure:
    """Days since what the version learned from ended; no fault where nothing has happened since."""
    days = max(0.0, now - trained_until) / DAY
    usual = 3 * every_hours / 24 if every_hours else 0.0
    limits = (max(AGE_LIMITS_DAYS[0], usual), max(AGE_LIMITS_DAYS[1], 2 * usual))
    ended = datetime.fromtimestamp(trained_until).astimezone()
    text = f"What it learned from ended {_days(days)} ago, on {ended:%-d %B %Y}; {since:,} interactions came since."
    return DriftFigure("age", days, limits[0], _level(days, limits) if since else Level.OK, text)


def _psi_figure(name: str, expected: Int64, actual: Int64, what: str) -> DriftFigure:
    shift = psi(expected, actual)
    chance = psi_by_chance(int(expected.sum()), int(actual.sum()), len(expected))
    level = _level(shift, PSI_LIMITS) if shift > chance else Level.OK
    words = {Level.OK: "are as they were", Level.WARN: "have moved", Level.BAD: "have moved far"}[level]
    if what.startswith("What"):
        words = {Level.OK: "is as it was", Level.WARN: "has changed", Level.BAD: "has changed much"}[level]
    return DriftFigure(
        name, shift, max(PSI_LIMITS[0], chance), level, f"{what} {words} at training (PSI {shift:.2f})."
    )


def _level(value: float, limits: tuple[float, float]) -> Level:
    return Level.BAD if value >= limits[1] else Level.WARN if value >= limits[0] else Level.OK


def _too_little(name: str, limit: float, found: int, least: int, what: str) -> DriftFigure:
    so_far = f" ({found:,} so far)" if found else ""
    return DriftFigure(
        name, None, limit, Level.UNKNOWN,
        f"Too little has happened since the training to tell: {least} {what} are needed{so_far}.",
    )  # fmt: skip


def _no_baseline(name: str, limit: float) -> DriftFigure:
    return DriftFigure(
        name, None, limit, Level.UNKNOWN,
        "The version keeps no figures of its training to compare with: it had no test case, or an earlier release trained it.",
    )  # fmt: skip


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _days(days: float) -> str:
    if days < 1:
        hours = round(24 * days)
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}"
