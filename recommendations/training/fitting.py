from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from algorithms.blend import Method
from algorithms.evaluation import Mode
from algorithms.learned_reranker import LearnedReranker
from algorithms.popularity import Popularity
from algorithms.splits import next_choices
from algorithms.translated import Numbering, Translated
from algorithms.types import Int64, Strategy, TrainingData
from recommendations.defaults import PLACEMENTS
from recommendations.model_store.folder import StoredModel
from recommendations.model_store.measuring import MeasuringSet, Page
from recommendations.models import Density
from recommendations.serving.configuration import BlendSettings, density_of
from recommendations.training.baseline import baseline_report
from recommendations.training.figures import (
    BLEND,
    MAX_CASES,
    POPULARITY,
    CaseWeights,
    Measured,
    Split,
    measure,
    same_for_all,
    split,
)
from recommendations.training.gate import MIN_CASES, LiveFigures, Verdict, judge
from recommendations.training.gate import Method as Measuring
from recommendations.training.groups import Audience
from recommendations.training.measuring import collect, propose
from recommendations.training.preparation import Prepared
from recommendations.training.recipe import Recipe, build
from recommendations.training.reporting import Reporter, Silent
from recommendations.training.reranking import learn_rerankers, not_tried


@dataclass(frozen=True)
class Fitted:
    """A version before it is stored: strategies that learned from everything, and figures of the same recipe on a time split."""

    strategies: dict[str, Strategy]
    metrics: dict[str, Any]
    verdict: Verdict
    measuring: dict[Page, MeasuringSet] = field(default_factory=dict)
    rerankers: dict[Mode, LearnedReranker] = field(default_factory=dict)


def steps_of(recipe: Recipe) -> int:
    """How many steps `fit_and_measure` reports."""
    return 2 * len(recipe) + 3


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
    audience_of: Callable[[Int64], Audience] = Audience,
    tries_reranker: bool = True,
) -> Fitted:
    """Measure the recipe on a time split, judge it against the live version, then learn from everything.

    `audience_of` takes `Prepared.people`: each case is asked with the weights of its shopper's segment and density, as shelves are.
    """
    rng = np.random.default_rng(seed)
    data = prepared.data
    halves = split_for(data, live, rng)
    weights, method = weights_of(blend)
    metrics: dict[str, Any] = {"cutoff": halves.cutoff}
    sets: dict[Page, MeasuringSet] = {}
    reranking = not_tried(tries_reranker)
    if halves.cases and len(halves.train):
        trial = fit_all(recipe, halves.train, seed, reporter, "test")
        audience = audience_of(prepared.people)
        of_case = case_weights(blend, audience)
        with reporter.step("measure"):
            measured = measure(
                _with_popularity(trial, halves.train),
                halves.cases,
                halves.train,
                lambda case: {name: weight for name, weight in of_case(case).items() if name in recipe},
                method,
                reporter.progress,
            )
            metrics |= measured.report(rng, audience)
            against = live_figures(live, prepared, recipe, measured, halves.cutoff, of_case, method, reporter)
            verdict = judge(measured.per_case(BLEND), measured.per_case(POPULARITY), against, rng)
        with reporter.step("weights"):
            sets = collect(trial, measured.cases, _owner_of(prepared))
            metrics["baseline"] = baseline_report(sets["shopper"], weights, method)
            if proposal := propose(sets["shopper"], weights, method, rng):
                metrics["proposal"] = proposal.report()
        if tries_reranker:
            with reporter.step("learned reranker"):
                reranking = learn_rerankers(
                    trial, data, halves.cutoff, of_case, method, seed=seed, reporter=reporter
                )
    else:
        none = np.empty(0)
        verdict = judge(none, none, None if live is None else LiveFigures(live.number, none), rng)
    metrics["gate"] = verdict.report()
    metrics["reranker"] = reranking.report
    strategies = fit_all(recipe, data, seed, reporter, "fit")
    return Fitted(strategies, metrics, verdict, sets, reranking.winners)


def split_for(data: TrainingData, live: StoredModel | None, rng: np.random.Generator) -> Split:
    """The newest part of the log is the test. Where the live version has learned from some of that, it is what came since, if that
    is enough to judge by: so the live version itself can be asked about choices that it has not seen."""
    usual = split(data, rng)
    if live is None or live.manifest.data_until <= usual.cutoff:
        return usual
    since = live.manifest.data_until
    if not (data.timestamp >= since).any():
        return usual
    train, cases = next_choices(data, since, limit=MAX_CASES, rng=rng)
    news = sum(len(np.setdiff1d(case.targets, case.query.items)) > 0 for case in cases)
    return Split(train, cases, since) if news >= MIN_CASES else usual


def _with_popularity(trial: dict[str, Strategy], data: TrainingData) -> dict[str, Strategy]:
    """Popular products are compared with, also by a recipe without them."""
    if POPULARITY in trial:
        return trial
    return {**trial, POPULARITY: Popularity().fit(data, np.random.default_rng(0))}


def case_weights(blend: BlendSettings | None, audience: Audience) -> CaseWeights:
    """Weights by the segments and the density of a case's shopper; a new store's for everybody where nothing is published."""
    if blend is None:
        return same_for_all(weights_of(None)[0])
    return lambda case: (
        blend.weights_for(audience.segments_of(case.user), density_of(len(case.query.items))).by_strategy
    )


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


def live_figures(
    live: StoredModel | None, prepared: Prepared, recipe: Recipe, measured: Measured, cutoff: float,
    of_case: CaseWeights, method: Method, reporter: Reporter,
) -> LiveFigures | None:  # fmt: skip
    """NDCG@10 of the live version on the same cases.

    A live version that has learned from before the cutoff only is asked as it is: what shoppers chose among products that it does
    not know it has missed. One that has seen the test would look better than it is; then its recipe is trained again on the same
    past, which for the same recipe is the candidate's own figure.
    """
    if live is None:
        return None
    own_recipe = live.manifest.settings.get("recipe", {})
    data, unknown = prepared.data, 0.0
    if live.manifest.data_until <= cutoff:
        how: Measuring = "as it is"
        numbering = Numbering.between(
            prepared.item_ids, live.item_ids, prepared.user_features.names, live.manifest.user_features
        )
        strategies: dict[str, Strategy] = {
            name: Translated(strategy, numbering) for name, strategy in live.strategies.items()
        }
        chosen = np.concatenate([case.targets for case in measured.cases])
        unknown = float((numbering.items[chosen] < 0).mean())
    elif own_recipe == {name: dict(parameters) for name, parameters in recipe.items()}:
        return LiveFigures(live.number, measured.per_case(BLEND), "same recipe")
    else:
        how = "trained again"
        past = data.select(data.timestamp < cutoff)
        strategies = fit_all(own_recipe, past, live.manifest.settings.get("seed", 0), Silent(), "live")
    again = measure(strategies, measured.cases, data, of_case, method, reporter.progress)
    return LiveFigures(live.number, again.per_case(BLEND), how, unknown)
