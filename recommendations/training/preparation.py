"""From the log's interactions and the catalogue to training data in index space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from algorithms import text_embeddings
from algorithms.types import Int32, Int64, TrainingData
from profiles.events import INTERACTIONS
from recommendations.model_store.sessions import owner_hash
from recommendations.training.item_features import CatalogueItem, ItemFeatures, item_features
from recommendations.training.pictures import picture_vectors
from recommendations.training.user_features import UserFeatures, user_features
from tracking.selectors.interactions import Interactions


class TooLittleData(RuntimeError):
    """There is nothing to learn from: no product, or no interaction that a shopper permits us to use."""


@dataclass(frozen=True)
class Prepared:
    """What a version is trained on. `owners` has an `owner_hash` per session, `item_ids` external ids in item order, `people`
    (n_users,) primary keys of customers, of visitors below 0, 0 = nobody known."""

    data: TrainingData
    item_ids: tuple[str, ...]
    owners: Sequence[int]
    item_features: ItemFeatures
    user_features: UserFeatures
    people: Int64


def prepare(
    store_id: int,
    log: Interactions,
    catalogue: Sequence[CatalogueItem],
    weights: Mapping[str, float],
    now: float,
) -> Prepared:
    """Index and weigh. Interactions with products outside of the catalogue, and events that weigh nothing, are left out.

    Raises TooLittleData.
    """
    item_ids = tuple(item.external_id for item in catalogue)
    if not item_ids:
        raise TooLittleData("The catalogue is empty: import products first (manage.py import_catalog).")
    item = _places(log.products, item_ids)[log.product] if len(log) else np.empty(0, np.int32)
    weight = np.array([weights.get(name, 0.0) for name in INTERACTIONS], np.float32)[log.event]
    kept = (item >= 0) & (weight > 0) & (log.occurred_at <= now)
    if not kept.any():
        raise TooLittleData(
            f"None of the {len(log)} interactions that shoppers permit us to use can be learned from: "
            "their products are not in the catalogue, or their events weigh nothing."
            if len(log)
            else "No shopper permits us to learn from what they did, or nobody has done anything yet."
        )
    features = item_features(catalogue)
    person = np.where(log.subject_customer > 0, log.subject_customer, -log.subject_visitor)
    people = user_features(store_id, person)
    data = TrainingData(
        user=log.subject[kept],
        item=item[kept],
        timestamp=log.occurred_at[kept],
        weight=weight[kept],
        session=log.session[kept],
        basket=log.basket[kept],
        n_users=log.n_subjects,
        n_items=len(item_ids),
        now=now,
        item_features=features.matrix,
        user_features=people.matrix,
        item_texts=features.texts,
        item_text_vectors=text_embeddings.embed(features.texts) if text_embeddings.is_installed() else None,
        item_picture_vectors=picture_vectors(catalogue),
        item_category=features.category,
        item_created=features.created,
        item_brand=features.brand,
        item_price=features.price,
    )
    data.validate()
    return Prepared(data, item_ids, _owners(store_id, log, data), features, people, person)


def _places(product_ids: Sequence[str], item_ids: Sequence[str]) -> Int32:
    place = {external_id: n for n, external_id in enumerate(item_ids)}
    return np.array([place.get(product_id, -1) for product_id in product_ids], np.int32)


def _owners(store_id: int, log: Interactions, data: TrainingData) -> list[int]:
    """Per session; 0 for a session that none of the kept interactions belongs to."""
    hashes = [
        owner_hash(store_id, "c", customer) if customer > 0 else owner_hash(store_id, "v", visitor)
        for customer, visitor in zip(log.subject_customer.tolist(), log.subject_visitor.tolist(), strict=True)
    ]
    return [hashes[user] if user >= 0 else 0 for user in data.session_user.tolist()]
