"""Taking a person's sessions out of a trained model without training it anew.

A model version keeps the log that it was trained on, in index space, and beside it one bit per session: its tombstone.
The log holds no names, but it must be there, since the sum of what many did gives no way to take one of them out.

Guarantee, for every strategy: a pair of products known only from forgotten sessions has no score left. What each does:

    popular, trending, popular_in_category   exact: their weight is subtracted
    popular_in_segment                       everybody's list is exact; a group's keeps what ten others of it met for certain
    session_knn                              exact: forgotten sessions are no neighbours
    viewed_next, bought_together             exact: counts are subtracted, without rounding
    new_items                                exact: likewise; what it knows by content it did not learn from anybody
    user_knn, reminder, repurchase           exact: learned anew, in a fraction of a second
    item_knn                                 rows of touched items are computed anew; in others only norms are older
    ease                                     exact up to `dense_items`; above, touched items are regressed anew
    als, item_vectors                        touched items are placed anew from the others; untouched ones stay
    lightfm                                  items with too few other people fall back to their attributes
    content, text_embeddings, image_vectors, recently_viewed
                                             nothing was learned from sessions
    learned reranker                         stays: each leaf is a sum over 500 candidates and more, of no product and no person
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from algorithms.types import Array, Bool, Strategy, TrainingData

S = TypeVar("S", bound=Strategy)

LOG_COLUMNS = ("user", "item", "timestamp", "weight", "session", "basket")


def forget(strategy: S, tombstones: Bool, sessions: TrainingData) -> S:
    """A strategy without the contribution of the sessions whose tombstone is set; itself where none is.

    `tombstones` (n_sessions,) are all that were ever set for this version, and `strategy` is as it was trained:
    apply them to the trained arrays, never twice in a row. `sessions` is the log it was trained on (`log_from_arrays`).
    """
    forgotten = np.zeros(sessions.n_sessions, np.bool_)
    if len(tombstones) > len(forgotten):
        raise ValueError(
            f"{len(tombstones)} tombstones for a log of {len(forgotten)} sessions: they belong to another"
        )
    forgotten[: len(tombstones)] = tombstones
    return strategy.forget_sessions(forgotten, sessions) if forgotten.any() else strategy


def log_arrays(data: TrainingData) -> dict[str, Array]:
    """What to keep of the training data with a version, by file name."""
    return {name: getattr(data, name) for name in LOG_COLUMNS}


def log_parameters(data: TrainingData) -> dict[str, float]:
    """What `log_from_arrays` needs besides, as JSON can hold it."""
    return {"n_users": data.n_users, "n_items": data.n_items, "now": data.now}


def log_from_arrays(arrays: Mapping[str, Array], parameters: Mapping[str, float]) -> TrainingData:
    """The log as `forget` takes it; arrays may be read-only memory maps."""
    return TrainingData(
        user=arrays["user"],
        item=arrays["item"],
        timestamp=arrays["timestamp"],
        weight=arrays["weight"],
        session=arrays["session"],
        basket=arrays["basket"],
        n_users=int(parameters["n_users"]),
        n_items=int(parameters["n_items"]),
        now=float(parameters["now"]),
    )
