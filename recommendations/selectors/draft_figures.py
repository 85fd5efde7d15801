"""What weights would do to a shelf, measured: accuracy on choices that shoppers made after the training data ended, how much of the
catalogue is shown, how varied a shelf is, what its products cost. Beside the weights that are live.

The opinions were kept by the training (`model_store/measuring.py`), so that nothing is trained again: some seconds for any draft.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from algorithms.experiments import Interval, paired_relative_difference
from algorithms.ranking import top_k
from algorithms.types import Float64
from recommendations.model_store import folder as model_folder
from recommendations.model_store import measuring
from recommendations.model_store.measuring import MeasuringSet, Page
from recommendations.models import ModelVersion, Placement
from recommendations.rerank_settings import PARAMETERS
from recommendations.serving import store_state, versions
from recommendations.serving.configuration import BlendSettings, density_of
from recommendations.serving.store_state import Snapshot
from recommendations.stages.evidence import observations
from recommendations.stages.reranking import (
    CANDIDATES_PER_PLACE,
    MIN_CANDIDATES,
    Candidates,
    Evidence,
    rerank,
)
from recommendations.stages.rules import CompiledRules

LENGTH: Final = 10
NO_RULES: Final = CompiledRules(None, None, (), ())
PAGE_OF_KIND: Final[dict[str, Page]] = {
    Placement.Kind.PRODUCT: "product",
    Placement.Kind.CART: "product",
}


_OF_SHOPPER: Final = frozenset({"fatigue", "price_bands", "shopper_value"})


class CannotMeasure(LookupError):
    """There is nothing to measure on; the message says what to do."""


@dataclass(frozen=True)
class ShelfFigures:
    """Means over the first ten products of the measured shelves.

    `hit_rate`: share of shelves with what was chosen next on them; `coverage`: share of the products in stock that stood on any;
    `variety`: share of pairs on a shelf from different categories; `price_minor_units`: mean price.
    """

    ndcg: float
    hit_rate: float
    coverage: float
    variety: float
    price_minor_units: float


@dataclass(frozen=True)
class DraftFigures:
    """`accuracy` is the relative difference of NDCG@10 to today's, with its 95 % interval; `not_measured` are strategies of the draft
    that were not in the training (they read the catalogue or what customers state); `not_asked` are parameters of reranking that need
    to know the shopper, whom the kept choices do not name."""

    today: ShelfFigures
    draft: ShelfFigures
    accuracy: Interval
    cases: int
    not_measured: tuple[str, ...]
    not_asked: tuple[str, ...]
    version: int

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `open`: whether the interval leaves 0 out."""
        if self.accuracy.low > 0:
            return "better"
        return "worse" if self.accuracy.high < 0 else "open"


def draft_figures(placement: Placement, draft: BlendSettings, today: BlendSettings | None) -> DraftFigures:
    """Raises CannotMeasure where no version is live, or it was trained with too few choices."""
    live = ModelVersion.objects.for_store(placement.store_id).filter(state=ModelVersion.State.LIVE).first()
    if live is None:
        raise CannotMeasure("No model is live: train one first (Models → Train now).")
    if today is None:
        raise CannotMeasure("Nothing is published for this placement to compare the draft with.")
    sets = measuring.read(model_folder.model_dir() / live.folder)
    page: Page = "about" if placement.is_about_page else PAGE_OF_KIND.get(placement.kind, "shopper")
    cases = sets.get(page)
    if cases is None or not len(cases):
        raise CannotMeasure(
            f"Version {live.number} keeps no choices to measure on: train again (Models → Train now), with some days of visits in the log."
        )
    snapshot = store_state.of_store(placement.store_id).current(versions.read(placement.store_id))
    if snapshot.model is None or snapshot.model.number != live.number:
        raise CannotMeasure("The live version is being read into memory: try again in a moment.")
    before, ndcg_before = _figures(cases, snapshot, today)
    after, ndcg_after = _figures(cases, snapshot, draft)
    unknown = {
        name for weights in draft.rows.values() for name, weight in weights.items() if weight > 0
    } - set(cases.names)
    return DraftFigures(
        today=before,
        draft=after,
        accuracy=paired_relative_difference(ndcg_after, ndcg_before, np.random.default_rng(0)),
        cases=len(cases),
        not_measured=tuple(sorted(unknown)),
        not_asked=tuple(
            p.label for p in PARAMETERS if p.name in _OF_SHOPPER and getattr(draft.rerank, p.name)
        ),
        version=live.number,
    )


def _figures(cases: MeasuringSet, snapshot: Snapshot, blend: BlendSettings) -> tuple[ShelfFigures, Float64]:
    """The figures, and (n,) NDCG@10 of each case."""
    assortment = snapshot.assortment
    ndcg, hits, variety, prices = np.zeros(len(cases)), 0, [], []
    shown: set[int] = set()
    everything = np.ones(len(assortment), np.bool_)
    known = Evidence(
        now=snapshot.model.manifest.data_until if snapshot.model else 0.0, observations=observations(snapshot)
    )
    gains = 1.0 / np.log2(np.arange(2, LENGTH + 2))
    for case in range(len(cases)):
        evidence = replace(known, seed=case)
        shelf = rerank(
            assortment, _candidates(cases, case, blend), everything, LENGTH, blend, NO_RULES, evidence
        ).places
        is_hit = np.isin(shelf, cases.chosen(case))
        ndcg[case] = gains[: len(shelf)][is_hit].sum() / gains[: min(len(cases.chosen(case)), LENGTH)].sum()
        hits += bool(is_hit.any())
        shown.update(shelf)
        if len(shelf) > 1:
            variety.append(_variety(assortment.category[shelf]))
        prices += [price for price in assortment.price[shelf].tolist() if price > 0]
    return (
        ShelfFigures(
            ndcg=float(ndcg.mean()),
            hit_rate=hits / len(cases),
            coverage=len(shown) / max(int(assortment.available.sum()), 1),
            variety=float(np.mean(variety)) if variety else 0.0,
            price_minor_units=float(np.mean(prices)) if prices else 0.0,
        ),
        ndcg,
    )


def _candidates(cases: MeasuringSet, case: int, blend: BlendSettings) -> Candidates:
    """What the blend thinks of the products that were kept of a case, as serving hands it to reranking."""
    weights = blend.weights_for((), density_of(int(cases.known[case]))).by_strategy
    row = np.array([weights.get(name, 0.0) for name in cases.names], np.float32)
    given = row[:, None] * cases.scaled(case, blend.normalisation)
    order = top_k(given.sum(axis=0), max(MIN_CANDIDATES, LENGTH * CANDIDATES_PER_PLACE))
    items = cases.items[cases.offsets[case] : cases.offsets[case + 1]]
    return Candidates(items[order], cases.names, given[:, order], np.ones(len(order)))


def _variety(groups: np.ndarray) -> float:
    n = len(groups)
    same = (np.unique(groups, return_counts=True)[1] ** 2).sum() - n
    return float(1.0 - same / (n * (n - 1)))
