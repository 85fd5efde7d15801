"""A learned correction of the blend: part of a version only where it won, applied where it was measured, explained, switched off."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from accounts.models import Visitor
from algorithms.popularity import Trending
from algorithms.sequential_cooccurrence import SequentialCooccurrence
from algorithms.splits import cutoff_for, next_choices
from algorithms.types import Strategy, TrainingData
from recommendations.api.answers import shelf_json
from recommendations.model_store import folder as model_folder
from recommendations.model_store.manifest import Manifest, UnreadableModel
from recommendations.model_store.sessions import SessionFiles
from recommendations.models import MerchandisingRule, ModelVersion, Placement, TrainingSchedule
from recommendations.pipeline import recommend
from recommendations.services.model_forget import people_forget
from recommendations.serving import store_state
from recommendations.shelf import RecommendationRequest, Shelf, Shopper
from recommendations.training.catching_up import catch_up
from recommendations.training.figures import same_for_all
from recommendations.training.reporting import Silent
from recommendations.training.reranking import Rerankers, learn_rerankers
from recommendations.training.run import train
from tests.recommendations.shop import Shop, consenting_visitor, event
from tracking.models import Event

STRATEGIES = ("session_knn", "viewed_next")
N_ITEMS = 40


@pytest.fixture(scope="module")
def walks() -> TrainingData:
    """1,500 visits of five views: nine of ten steps go to the next product, the others anywhere."""
    rng = np.random.default_rng(0)
    visits, length = 1500, 5
    item = np.empty((visits, length), np.int32)
    item[:, 0] = rng.integers(N_ITEMS, size=visits)
    for step in range(1, length):
        onward = (item[:, step - 1] + 1) % N_ITEMS
        item[:, step] = np.where(rng.random(visits) < 0.9, onward, rng.integers(N_ITEMS, size=visits))
    session = np.repeat(np.arange(visits, dtype=np.int32), length)
    n = len(session)
    return TrainingData(
        user=session,
        item=item.ravel(),
        timestamp=session * 3600.0 + np.tile(np.arange(length) * 60.0, visits),
        weight=np.ones(n, np.float32),
        session=session,
        basket=np.full(n, -1, np.int32),
        n_users=visits,
        n_items=N_ITEMS,
        now=visits * 3600.0,
    )


def learned(data: TrainingData, weights: Mapping[str, float]) -> Rerankers:
    cutoff = cutoff_for(data, 0.15)
    past, _ = next_choices(data, cutoff, limit=1, rng=np.random.default_rng(0))
    trial: dict[str, Strategy] = {
        "viewed_next": SequentialCooccurrence().fit(past, np.random.default_rng(0)),
        "trending": Trending().fit(past, np.random.default_rng(0)),
    }
    return learn_rerankers(trial, data, cutoff, same_for_all(weights), "max", seed=0, reporter=Silent())


def test_it_is_used_where_it_did_better(walks: TrainingData) -> None:
    """The blend listens to what is popular, though what was looked at says what comes next."""
    result = learned(walks, {"trending": 1.0, "viewed_next": 0.02})
    assert set(result.winners) == {"all", "unseen"}
    assert result.report["state"] == "used"
    tried = result.report["modes"]["unseen"]
    assert 0 < tried["low"] <= tried["estimate"] <= tried["high"]
    assert tried["reranked"] > tried["blend"]
    assert tried["reason"].startswith("Won by +")


def test_it_is_not_used_where_it_did_not_do_better(walks: TrainingData) -> None:
    """The blend hears all there is to hear; the rest is chance."""
    result = learned(walks, {"viewed_next": 1.0})
    assert result.winners == {}
    assert result.report["state"] == "not used"
    tried = result.report["modes"]["unseen"]
    assert tried["has_won"] is False
    assert tried["low"] <= 0
    assert tried["reason"].startswith("Did not win: ")
    assert tried["reason"].endswith("Not used.")


def test_the_same_data_and_seed_give_the_same_trees_and_figures(walks: TrainingData) -> None:
    weights = {"trending": 1.0, "viewed_next": 0.02}
    first, second = learned(walks, weights), learned(walks, weights)
    assert first.report == second.report
    for mode, reranker in first.winners.items():
        for name, values in reranker.arrays().items():
            assert np.array_equal(values, second.winners[mode].arrays()[name])


def test_without_lightgbm_a_training_goes_on_and_says_what_to_install(
    walks: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    result = learned(walks, {"viewed_next": 1.0})
    assert result.winners == {}
    assert result.report["state"] == "not installed"
    assert "pip install -r requirements-reranker.txt" in result.report["reason"]


TINY: dict[str, dict[str, object]] = {"popular": {}, "trending": {}, "session_knn": {}}


def test_a_version_says_that_there_was_too_little(busy_shop: Shop, model_dir: Path) -> None:
    version = train(busy_shop.store, recipe=TINY, consent="A small shop").version
    assert version.metrics["reranker"]["state"] == "too little"
    assert "50 of each are needed" in version.metrics["reranker"]["reason"]
    assert model_folder.load(model_dir / version.folder).rerankers == {}


def test_a_store_can_do_without(busy_shop: Shop, model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TrainingSchedule.objects.for_store(busy_shop.store).update(learned_reranker="off")
    version = train(busy_shop.store, recipe=TINY).version
    assert version.metrics["reranker"] == {"state": "off", "reason": "Switched off for this training."}
    assert "learned reranker" not in [step["name"] for step in version.runs.get().steps]

    call_command(
        "train", "--store", busy_shop.store.slug, "--strategies", "popular,session_knn", "--reranker"
    )
    assert "Learned reranker: Too little to learn from" in capsys.readouterr().out


def shelf_of(shop: Shop, shopper: Shopper | None = None, placement: str = "home", **fields: object) -> Shelf:
    return recommend(
        RecommendationRequest(shop.store, placement, *([shopper] if shopper else []), **fields)  # type: ignore[arg-type]
    )


def visiting(shop: Shop) -> Shopper:
    visitor, shopper = consenting_visitor(shop.store)
    shop.views(visitor, "tents-2", "tents-3")
    return shopper


def switch(shop: Shop, placement: str, *, is_on: bool) -> None:
    Placement.objects.for_store(shop.store).filter(slug=placement).update(uses_learned_reranker=is_on)
    store_state.forget_all()


def test_scores_are_the_blend_times_what_was_learned(corrected_shop: Shop) -> None:
    shelf = shelf_of(corrected_shop, visiting(corrected_shop), limit=8)
    assert len({item.learned for item in shelf.items}) > 1
    for item in shelf.items:
        assert item.score == pytest.approx(item.blended * item.learned, rel=1e-4)
        assert item.blended == pytest.approx(sum(item.strategies.values()), rel=1e-4)
    scores = [item.score for item in shelf.items if item.blended]
    assert scores == sorted(scores, reverse=True)
    # The mean of the leaves is -1 · 0.75 + 3 · 0.25 = 0; half of a margin counts.
    expected = {np.exp(-0.5), np.exp(1.5)}
    assert all(min(abs(item.learned - e) for e in expected) < 1e-6 for item in shelf.items if item.blended)


def test_a_placement_can_do_without(corrected_shop: Shop) -> None:
    shopper = visiting(corrected_shop)
    corrected = shelf_of(corrected_shop, shopper, limit=8)
    switch(corrected_shop, "home", is_on=False)
    plain = shelf_of(corrected_shop, shopper, limit=8)
    assert {item.learned for item in plain.items} == {1.0}
    assert plain.product_ids != corrected.product_ids
    for item in plain.items:
        assert item.score == pytest.approx(item.blended, rel=1e-4)
    switch(corrected_shop, "home", is_on=True)
    assert shelf_of(corrected_shop, shopper, limit=8).product_ids == corrected.product_ids


def test_shelves_on_which_it_was_not_measured_stay_as_they_are(corrected_shop: Shop) -> None:
    shopper = visiting(corrected_shop)
    for placement in ("product", "similar"):
        shelf = shelf_of(corrected_shop, shopper, placement, product_id="tents-2", limit=6)
        assert {item.learned for item in shelf.items} == {1.0}, placement
    nobody = shelf_of(corrected_shop, limit=6)
    assert {item.learned for item in nobody.items} == {1.0}


def test_the_order_of_a_strategy_alone_is_what_its_shelf_promises(corrected_shop: Shop) -> None:
    """Trees that know how often and how long ago something was looked at would put a favourite before the newest."""
    shopper = visiting(corrected_shop)
    shelf = shelf_of(corrected_shop, shopper, "recently-viewed")
    switch(corrected_shop, "recently-viewed", is_on=False)
    plain = shelf_of(corrected_shop, shopper, "recently-viewed")
    assert len(plain.items) > 1
    assert shelf.product_ids == plain.product_ids
    assert {item.learned for item in shelf.items} == {1.0}


def test_reasons_stay_those_of_strategies(corrected_shop: Shop) -> None:
    shelf = shelf_of(corrected_shop, visiting(corrected_shop), limit=4)
    for item in shelf.items:
        assert "learned_reranker" not in item.strategies
        assert item.reason.strategy in {"", *item.strategies, "popular"}
    assert shelf.items[0].reason.code == "viewed"


def test_weights_still_decide(corrected_shop: Shop) -> None:
    shopper = visiting(corrected_shop)
    before = shelf_of(corrected_shop, shopper, limit=8)
    corrected_shop.set_weights("home", {"session_knn": 2.0, "viewed_next": 0.5})
    store_state.forget_all()
    after = shelf_of(corrected_shop, shopper, limit=8)
    assert any(item.learned != 1.0 for item in after.items)
    assert after.product_ids != before.product_ids


def test_the_trace_says_which_feature_gave_what(corrected_shop: Shop) -> None:
    shelf = shelf_of(corrected_shop, visiting(corrected_shop), limit=6)
    assert shelf.trace is not None
    assert shelf.trace.learned is not None
    assert "learned_reranker" in shelf.trace.milliseconds
    for item, features in zip(shelf.items, shelf.trace.learned(), strict=True):
        assert np.prod(list(features.values())) == pytest.approx(item.learned)
        assert set(features) <= {"viewed_next"}


def test_forgetting_and_writing_anew_keep_it(corrected_shop: Shop, model_dir: Path) -> None:
    folder = model_dir / ModelVersion.objects.for_store(corrected_shop.store).get().folder
    owner = int(SessionFiles(folder).owners()[0])
    buried, rewritten = people_forget(store_id=corrected_shop.store.pk, hashes=[owner])
    assert (buried > 0, rewritten) == (True, 1)
    renewed = model_dir / ModelVersion.objects.for_store(corrected_shop.store).get().folder
    assert renewed != folder
    assert set(model_folder.load(renewed).rerankers) == {"all", "unseen"}
    store_state.forget_all()
    shelf = shelf_of(corrected_shop, visiting(corrected_shop), limit=6)
    assert any(item.learned != 1.0 for item in shelf.items)


def test_a_version_without_it_is_read_as_before(trained_shop: Shop, model_dir: Path) -> None:
    folder = model_dir / ModelVersion.objects.for_store(trained_shop.store).get().folder
    assert model_folder.load(folder).rerankers == {}
    assert not (folder / "rerankers").exists()


def test_altered_trees_are_refused(corrected_shop: Shop, model_dir: Path) -> None:
    folder = model_dir / ModelVersion.objects.for_store(corrected_shop.store).get().folder
    np.save(folder / "rerankers" / "all" / "value.npy", np.array([0.0, 9.0, 9.0]))
    with pytest.raises(UnreadableModel, match="altered after training"):
        model_folder.load(folder)


def test_trees_of_another_release_are_passed_over(corrected_shop: Shop, model_dir: Path) -> None:
    folder = model_dir / ModelVersion.objects.for_store(corrected_shop.store).get().folder
    manifest = Manifest.read(folder)
    entry = manifest.rerankers["all"]
    entry.parameters["features"] = ["one", "other"]
    manifest.write(folder)
    assert set(model_folder.load(folder).rerankers) == {"unseen"}


def test_rules_multiply_what_was_learned(corrected_shop: Shop) -> None:
    shopper = visiting(corrected_shop)
    before = {item.product.external_id: item for item in shelf_of(corrected_shop, shopper, limit=8).items}
    second = list(before.values())[1]
    MerchandisingRule.objects.create(
        store=corrected_shop.store, name="More of it", action="boost", factor=2.0,
        product=corrected_shop.products[second.product.external_id],
    )  # fmt: skip
    store_state.forget_all()
    after = {item.product.external_id: item for item in shelf_of(corrected_shop, shopper, limit=8).items}
    boosted = after[second.product.external_id]
    assert boosted.score == pytest.approx(2.0 * second.score, rel=1e-4)
    assert boosted.learned == second.learned
    assert boosted.blended == pytest.approx(second.blended)


def test_api_clients_are_told_factor_and_features(corrected_shop: Shop) -> None:
    shelf = shelf_of(corrected_shop, visiting(corrected_shop), limit=6)
    trace = json.loads(shelf_json(corrected_shop.store.pk, shelf, explain=True))["trace"]
    assert [item["learned"]["factor"] for item in trace["items"]] == pytest.approx(
        [item.learned for item in shelf.items], abs=1e-5
    )
    for item in trace["items"]:
        assert np.prod(list(item["learned"]["features"].values())) == pytest.approx(
            item["learned"]["factor"], abs=1e-4
        )
    plain = shelf_of(corrected_shop, limit=6)
    trace = json.loads(shelf_json(corrected_shop.store.pk, plain, explain=True))["trace"]
    assert [item["learned"] for item in trace["items"]] == [{"factor": 1.0, "features": {}}] * 6


def test_a_version_that_catches_up_keeps_it(corrected_shop: Shop, model_dir: Path) -> None:
    visitor, _ = consenting_visitor(corrected_shop.store)
    corrected_shop.views(visitor, "boots-1", "boots-2", minutes_ago=-30)
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=True):
        caught_up = catch_up(corrected_shop.store)
    assert caught_up is not None
    assert caught_up.is_news
    folder = model_dir / ModelVersion.objects.for_store(corrected_shop.store).get().folder
    assert set(model_folder.load(folder, with_tail=True).rerankers) == {"all", "unseen"}
    store_state.forget_all()
    shelf = shelf_of(corrected_shop, visiting(corrected_shop), limit=6)
    assert any(item.learned != 1.0 for item in shelf.items)


def walk_through(shop: Shop, visits: int = 1000, length: int = 5) -> None:
    """Visits that go from product to next product, nine times of ten, over the last thirty days."""
    rng = np.random.default_rng(0)
    ids = sorted(shop.products)
    visitors = Visitor.all_stores.bulk_create(
        Visitor(store=shop.store, anonymous_id=f"walker-{n}") for n in range(visits)
    )
    now, events = timezone.now(), []
    for number, visitor in enumerate(visitors):
        at = int(rng.integers(len(ids)))
        begun = now - timedelta(days=30 * (1 - number / visits), hours=1)
        for step in range(length):
            events.append(event(shop.store, ids[at], begun + timedelta(minutes=step), visitor))
            at = (at + 1) % len(ids) if rng.random() < 0.9 else int(rng.integers(len(ids)))
    Event.all_stores.bulk_create(events)


def test_from_the_log_to_the_shelf(shop: Shop, model_dir: Path) -> None:
    walk_through(shop)
    shop.set_weights("home", {"trending": 1.0, "viewed_next": 0.02})
    recipe: dict[str, dict[str, object]] = {"popular": {}, "trending": {}, "viewed_next": {}}
    version = train(shop.store, recipe=recipe, consent="A small shop").version
    assert version.metrics["reranker"]["state"] == "used"
    assert version.metrics["reranker"]["modes"]["unseen"]["low"] > 0
    assert set(model_folder.load(model_dir / version.folder).rerankers) == {"all", "unseen"}

    visitor, shopper = consenting_visitor(shop.store)
    shop.views(visitor, "boots-1", "boots-2")
    corrected = shelf_of(shop, shopper, limit=4)
    assert corrected.model_version == version.number
    switch(shop, "home", is_on=False)
    plain = shelf_of(shop, shopper, limit=4)
    # What comes next was drowned by what is popular.
    rank = {item.product.external_id: item.rank for item in corrected.items}
    before = {item.product.external_id: item.rank for item in plain.items}
    assert rank["boots-3"] < before.get("boots-3", 99)
