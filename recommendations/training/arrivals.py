"""New products reach the live version within a minute of their import, without a training: they are described in its own terms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from accounts.models import Store
from algorithms import text_embeddings
from algorithms.types import Array, ItemDescriptions
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store.arrivals import Arrivals
from recommendations.selectors.training import arrived_items, arrived_state
from recommendations.training.item_features import CatalogueItem, FeatureSpace, text_of
from recommendations.training.pictures import picture_vectors

log = structlog.get_logger(__name__)

MARGIN_SECONDS: Final = 3_600.0
"""A product is stamped before its import commits: one that the training just missed is looked for."""
MOST_ARRIVALS: Final = 20_000
"""So many products are another shop: they wait for a training."""


def describe_arrivals(store: Store, folder: Path) -> int:
    """Describe what came since the version in `folder` was trained; gives how many products are new to it, 0 where nothing changed.

    Callers see to it that no other process does the same (`catching_up`). Raises UnreadableModel and FileNotFoundError.
    """
    space = model_arrivals.read_space(folder)
    if space is None:
        return 0
    known = model_arrivals.read(folder)
    manifest, trained = model_folder.read_items(folder)
    since = datetime.fromtimestamp(manifest.data_until - MARGIN_SECONDS, UTC)
    state = arrived_state(store.pk, since)
    if state == known.state:
        return 0
    strategies = model_folder.read_strategies(folder, manifest)
    of_training = set(trained)
    items = {
        item.external_id: item
        for item in arrived_items(store.pk, since, MOST_ARRIVALS)
        if item.external_id not in of_training
    }
    ids = known.item_ids + tuple(
        external_id for external_id in items if external_id not in set(known.item_ids)
    )
    if not ids:
        # All were trained on, as in a shop that was imported within the hour before: there is nothing to describe.
        model_arrivals.write(folder, Arrivals((), {}, state))
        return 0
    descriptions = _descriptions([items.get(external_id, _GONE) for external_id in ids], FeatureSpace(*space))
    described: dict[str, Mapping[str, Array]] = {
        name: strategy.described(descriptions)
        for name, strategy in strategies.items()
        if strategy.can_add_items
    }
    model_arrivals.write(folder, Arrivals(ids, described, state))
    log.info(
        "model.items_arrived", store=store.pk, version=manifest.number, items=len(ids) - len(known.item_ids)
    )
    return len(ids) - len(known.item_ids)


_GONE: Final = CatalogueItem("", "", "", "", "", 0, {}, (), 0.0)
"""Was deleted since: its number stays its own."""


def _descriptions(items: list[CatalogueItem], space: FeatureSpace) -> ItemDescriptions:
    texts = [text_of(item) for item in items]
    return ItemDescriptions(
        texts=texts,
        text_vectors=text_embeddings.embed(texts) if text_embeddings.is_installed() else None,
        picture_vectors=picture_vectors(items),
        features=space.matrix(items),
        created=np.array([item.created_at for item in items], np.float64),
    )
