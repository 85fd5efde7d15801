"""What trainings leave on disk."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

import pytest

from recommendations.models import ModelVersion
from recommendations.services.model_prune import (
    KEPT_PUBLISHED,
    KEPT_UNPUBLISHED,
    ORPHAN_SECONDS,
    versions_prune,
)
from recommendations.services.model_publish import CannotPublish, _check_readable, make_live
from recommendations.training.run import train
from tests.recommendations.shop import Shop

TINY = {"popular": {}, "content": {}}


def folders(shop: Shop, model_dir: Path) -> set[str]:
    return {path.name for path in (model_dir / str(shop.store.pk)).iterdir() if path.is_dir()}


def test_a_few_versions_stay_and_the_live_one_always(busy_shop: Shop, model_dir: Path) -> None:
    first = train(busy_shop.store, recipe=TINY, consent="A small shop").version
    assert first.state == ModelVersion.State.LIVE
    for _ in range(KEPT_UNPUBLISHED + 2):
        train(busy_shop.store, recipe=TINY)  # too few cases: each waits for a person
    assert folders(busy_shop, model_dir) == {"1", "4", "5", "6"}
    assert ModelVersion.objects.for_store(busy_shop.store).count() == 6, "figures stay"
    with pytest.raises(CannotPublish):
        _check_readable(ModelVersion.objects.for_store(busy_shop.store).get(number=2))


def test_one_can_go_back_so_far(busy_shop: Shop, model_dir: Path) -> None:
    for _ in range(KEPT_PUBLISHED + 2):
        make_live(train(busy_shop.store, recipe=TINY).version)
    versions_prune(store_id=busy_shop.store.pk)
    assert folders(busy_shop, model_dir) == {"3", "4", "5", "6", "7"}


def test_what_a_killed_process_left_goes_after_an_hour(busy_shop: Shop, model_dir: Path) -> None:
    train(busy_shop.store, recipe=TINY, consent="A small shop")
    home = model_dir / str(busy_shop.store.pk)
    for name, age in (("9", ORPHAN_SECONDS + 60), (".8.partial-77", ORPHAN_SECONDS + 60), ("1r1", 60.0)):
        (home / name).mkdir()
        os.utime(home / name, (time() - age, time() - age))
    assert {path.name for path in versions_prune(store_id=busy_shop.store.pk)} == {"9", ".8.partial-77"}
    assert folders(busy_shop, model_dir) == {"1", "1r1"}, "an erasure may be writing the younger one"
