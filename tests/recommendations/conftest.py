from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.utils import timezone

from accounts import valkey
from algorithms.types import Strategy
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store.manifest import Manifest
from recommendations.models import ModelVersion
from recommendations.selectors.training import catalogue_items
from recommendations.serving import browser, store_state
from recommendations.training.fitting import fit_all
from recommendations.training.preparation import Prepared, prepare
from recommendations.training.reporting import Silent
from tests.recommendations.corrected import with_reranker
from tests.recommendations.shop import Shop, fill_log, history_columns, make_shop

QUICK = {
    name: {}
    for name in (
        "popular", "trending", "popular_in_category", "session_knn", "viewed_next", "item_knn", "bought_together", "content",
        "recently_viewed", "new_items",
    )
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """What a process remembers of stores belongs to one test."""
    store_state.forget_all()
    browser.forget_store()
    valkey.breaker.reset()
    yield
    store_state.forget_all()


@pytest.fixture
def shop(db: None) -> Shop:
    """A shop with placements and no history. Nobody is in the control group."""
    made = make_shop()
    made.store.holdout_share = 0.0
    made.store.save()
    return made


@pytest.fixture
def busy_shop(shop: Shop) -> Shop:
    """With sixty days of events and orders, and no model."""
    fill_log(shop)
    return shop


_fitted: dict[str, tuple[Prepared, dict[str, Strategy]]] = {}


@pytest.fixture
def trained_shop(shop: Shop, model_dir: Path) -> Shop:
    """With a live version that learned from sixty days; the log itself is empty. Learned once, saved for each test."""
    if not _fitted:
        prepared = prepare(
            0,
            history_columns(),
            catalogue_items(shop.store.pk),
            {"Product Viewed": 1.0},
            timezone.now().timestamp(),
        )
        strategies = fit_all(QUICK, prepared.data, 0, Silent(), "fit")
        _fitted["shop"] = (prepared, strategies)
    prepared, strategies = _fitted["shop"]
    data = prepared.data
    manifest = Manifest(
        store_id=shop.store.pk, number=1, trained_at=data.now, data_from=float(data.timestamp.min()), data_until=data.now,
        n_items=data.n_items, n_sessions=data.n_sessions, strategies={}, settings={"recipe": QUICK, "seed": 0},
    )  # fmt: skip
    path = model_folder.save(manifest, prepared.item_ids, strategies, data, prepared.owners)
    space = prepared.item_features.space
    model_arrivals.write_space(path, space.names, space.price_bounds)
    ModelVersion.objects.create(
        store=shop.store, number=1, state=ModelVersion.State.LIVE, folder=path.relative_to(model_dir).as_posix(),
        published_at=timezone.now(),
    )  # fmt: skip
    _compile_once(path)
    return shop


@cache
def _compiled() -> list[bool]:
    return []


def _compile_once(path: Path) -> None:
    """A first request that compiles would be late."""
    if not _compiled():
        store_state.warm(model_folder.load(path))
        _compiled().append(True)


@pytest.fixture
def corrected_shop(trained_shop: Shop, model_dir: Path) -> Shop:
    """The live version has a learned reranker, made by hand."""
    return with_reranker(trained_shop, model_dir)
