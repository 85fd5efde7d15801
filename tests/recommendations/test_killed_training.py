"""A training that is killed in the middle leaves the shop as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
from django.utils import timezone

from recommendations.model_store import folder as model_folder
from recommendations.models import ModelVersion, TrainingRun
from recommendations.pipeline import recommend
from recommendations.serving import store_state
from recommendations.shelf import RecommendationRequest
from recommendations.training.run import train
from recommendations.training.watch import failures_to_show, find_killed_runs
from tests.recommendations.shop import fill_log, make_shop
from tests.servers import ROOT

TINY = {"popular": {}, "trending": {}, "session_knn": {}}


@pytest.mark.alone
@pytest.mark.django_db(transaction=True)
def test_a_training_killed_in_the_middle_is_found_and_the_live_version_stays(model_dir: Path) -> None:
    shop = make_shop()
    fill_log(shop)
    train(shop.store, recipe=TINY, consent="A small shop")
    environment = {**os.environ, "ETALAGE_MODEL_DIR": str(model_dir)}
    command = [sys.executable, "manage.py", "train", "--store", shop.store.slug]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        run = _running_in_the_middle(shop.store.pk, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert [path.name for path in (model_dir / str(shop.store.pk)).glob("[0-9]*")] == ["1"]
    assert find_killed_runs() == []  # it may still be alive for all we know
    TrainingRun.all_stores.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert find_killed_runs() == [run]
    assert failures_to_show(shop.store.pk) == [run]
    live = ModelVersion.objects.for_store(shop.store).get()
    assert (live.number, live.state) == (1, ModelVersion.State.LIVE)
    model_folder.load(model_dir / live.folder)
    store_state.forget_all()
    shelf = recommend(RecommendationRequest(shop.store, "home"))
    assert shelf.model_version == 1
    assert len(shelf.items) == 12
    # The dead process holds no lock: the next training goes through.
    assert train(shop.store, recipe=TINY).version.number == 2


def _running_in_the_middle(store_id: int, process: subprocess.Popen[bytes]) -> TrainingRun:
    end = monotonic() + 120
    while monotonic() < end and process.poll() is None:
        run = TrainingRun.objects.for_store(store_id).filter(state=TrainingRun.State.RUNNING).first()
        if run is not None and run.step.startswith(("test", "fit")):
            return run
        sleep(0.02)
    pytest.fail(f"the training never came to its middle; it ended with {process.poll()}")
