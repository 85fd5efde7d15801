from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from algorithms.blend import Method
from algorithms.types import Float64, Strategy, TrainingData
from recommendations.defaults import PLACEMENTS
from recommendations.model_store.folder import StoredModel
from recommendations.model_store.measuring import MeasuringSet, Page
from recommendations.models import Density
from recommendations.serving.configuration import BlendSettings
from recommendations.training.figures import BLEND, POPULARITY, Measured, measure, split
from recommendations.training.gate import Verdict, judge
from recommendations.training.measuring import collect, propose
from recommendations.training.preparation import Prepared
from recommendations.training.recipe import Recipe, build
from recommendations.training.reporting import Reporter, Silent


@dataclass(frozen=True)
class Fitted:
    """A version before it is stored: strategies that learned from everything, and figures of the same recipe on a time split."""

    strategies: dict[str, Strategy]
    metrics: dict[str, Any]
    verdict: Verdict
    measuring: dict[Page, MeasuringSet] = field(default_factory=dict)


def steps_of(recipe: Recipe) -> int:
    """How many steps `fit_and_measure` reports."""
    return 2 * len(recipe) + 2


def fit_all(
    recipe: Recipe, data: TrainingData, seed: int, reporter: Reporter, what: str
) -> dict[str, Strategy]:
    """Each strategy has a generator of its own: leaving one out changes no other."""
    fitted = {}
    for name, strategy in build(recipe).items():
        with reporter.step(f"{what} {name}"):
            fitted[name] = strategy.fit(data, np.random.default_rng([seed, *name.encode()]))
    return fitted


def fit_and_measure(
    prepared: Prepared,
    recipe: Recipe,
    blend: BlendSettings | None,
    live: StoredModel | None,
    *,
    seed: int,
    reporter: Reporter,
) -> Fitted:
    """Measure the recipe on a time split, judge it against the live version, then learn from everything."""
    rng = np.random.default_rng(seed)
    data = prepared.data
    halves = split(data, rng)
    weights, method = weights_of(blend)
    metrics: dict[str, Any] = {"cutoff": halves.cutoff}
    sets: dict[Page, MeasuringSet] = {}
    if halves.cases and len(halves.train):
        trial = fit_all(recipe, halves.train, seed, reporter, "test")
        with reporter.step("measure"):
            measured = measure(trial, halves.cases, halves.train, weights, method, reporter.progress)
            metrics |= measured.report(rng)
            against = _live_figures(
                live, prepared, recipe, measured, halves.cutoff, weights, method, reporter
            )
            verdict = judge(measured.per_case(BLEND), measured.per_case(POPULARITY), against, rng)
        with reporter.step("weights"):
            sets = collect(trial, measured.cases, _owner_of(prepared))
            if proposal := propose(sets["shopper"], weights, method, rng):
                metrics["proposal"] = proposal.report()
    else:
        verdict = judge(np.empty(0), np.empty(0), None if live is None else np.empty(0), rng)
    strategies = fit_all(recipe, data, seed, reporter, "fit")
    return Fitted(strategies, metrics, verdict, sets)


def _owner_of(prepared: Prepared) -> Callable[[int], int]:
    """From a user's number to their `owner_hash`, by any of their sessions."""
    sessions = np.full(prepared.data.n_users, -1, np.int64)
    users = prepared.data.session_user
    sessions[users[users >= 0]] = np.flatnonzero(users >= 0)
    return lambda user: prepared.owners[sessions[user]] if user >= 0 and sessions[user] >= 0 else 0


def weights_of(blend: BlendSettings | None) -> tuple[dict[str, float], Method]:
    """Everybody's weights and the normalisation; those that a new store starts with where nothing is published."""
    if blend is None:
        return dict(PLACEMENTS[0].weights), "max"
    return dict(blend.weights_for((), Density.ANY).by_strategy), blend.normalisation


def _live_figures(
    live: StoredModel | None, prepared: Prepared, recipe: Recipe, measured: Measured, cutoff: float,
    weights: dict[str, float], method: Method, reporter: Reporter,
) -> Float64 | None:  # fmt: skip
    """NDCG@10 of the live version on the same cases.

    A live version that has learned from before the cutoff only is asked as it is. One that has seen the test cases would look better
    than it is; then its recipe is trained again on the same past, which for the same recipe is the candidate's own figure.
    """
    if live is None:
        return None
    own_recipe = live.manifest.settings.get("recipe", {})
    if live.manifest.data_until <= cutoff and live.item_ids == prepared.item_ids:
        strategies = dict(live.strategies)
    elif own_recipe == {name: dict(parameters) for name, parameters in recipe.items()}:
        return measured.per_case(BLEND)
    else:
        past = prepared.data.select(prepared.data.timestamp < cutoff)
        strategies = fit_all(own_recipe, past, live.manifest.settings.get("seed", 0), Silent(), "live")
    again = measure(strategies, measured.cases, prepared.data, weights, method, reporter.progress)
    return again.per_case(BLEND)
