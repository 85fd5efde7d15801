from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts import valkey
from recommendations.serving import browser, store_state
from tests.recommendations.shop import Shop, fill_log, make_shop


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
    fill_log(shop)
    return shop


@pytest.fixture
def trained_shop(busy_shop: Shop, model_dir: Path) -> Shop:
    """With a live version of quick strategies."""
    from recommendations.training.run import train

    quick = (
        "popular",
        "trending",
        "popular_in_category",
        "session_knn",
        "viewed_next",
        "item_knn",
        "bought_together",
        "content",
        "recently_viewed",
    )
    train(busy_shop.store, recipe={name: {} for name in quick})
    store_state.warm_up([busy_shop.store.pk])
    store_state.forget_all()
    return busy_shop
