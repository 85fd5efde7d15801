"""A learned reranker made by hand, and a shop whose live version has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from algorithms.candidate_features import feature_names
from algorithms.learned_reranker import LearnedReranker
from algorithms.trees import Trees
from recommendations.model_store import folder as model_folder
from recommendations.model_store.sessions import SessionFiles
from recommendations.models import BlendVersion, ModelVersion
from recommendations.serving import store_state
from tests.recommendations.shop import Shop

STRATEGIES = ("session_knn", "viewed_next")


def by_hand() -> LearnedReranker:
    """One split: what is often looked at next gains, the rest loses."""
    column = feature_names(STRATEGIES).index("viewed_next")
    trees = Trees(
        roots=np.array([0], np.int32),
        feature=np.array([column, -1, -1], np.int32),
        threshold=np.array([0.3, 0.0, 0.0]),
        left=np.array([1, -1, -1], np.int32),
        right=np.array([2, -1, -1], np.int32),
        value=np.array([0.0, -1.0, 3.0]),
        cover=np.array([100.0, 75.0, 25.0]),
    )
    return LearnedReranker(STRATEGIES, trees, sharpness=2.0)


def with_reranker(trained_shop: Shop, model_dir: Path) -> Shop:
    """The shop with a live version that corrects shelves that leave out what was seen, and those that do not."""
    row = ModelVersion.objects.for_store(trained_shop.store).get()
    folder = model_dir / row.folder
    stored = model_folder.load(folder)
    files = SessionFiles(folder)
    manifest = replace(stored.manifest, number=2)
    path = model_folder.save(
        manifest, stored.item_ids, stored.strategies, files.data(), files.owners().tolist(),
        rerankers={"all": by_hand(), "unseen": by_hand()},
    )  # fmt: skip
    ModelVersion.objects.for_store(trained_shop.store).update(
        number=2, folder=path.relative_to(model_dir).as_posix()
    )
    trained_shop.set_weights("home", {"content": 1.0, "session_knn": 0.2, "viewed_next": 0.01})
    home = BlendVersion.objects.for_store(trained_shop.store).filter(placement__slug="home")
    home.update(diversity=0.0, max_per_brand=None, max_per_category=None)
    store_state.forget_all()
    return trained_shop
