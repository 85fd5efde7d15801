"""What a shopper's history and their own words say of their taste in things, for strategies that go by what products are like.

    strength(item) = log2(1 + Σ weight(event) · attention),  attention = √(seconds looked at / 20), within 0.5 and 2, for views

A view of 20 seconds or of unknown length counts once, one of 5 seconds and less half, one of 80 seconds and more twice (dwell as a sign
of interest: Yi et al., "Beyond Clicks: Dwell Time for Personalization", RecSys 2014). Event weights make purchases heavier (8 views
at first). An interest that the shopper named counts as one fresh view of the average of its products.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from algorithms.interactions import History, history_of
from algorithms.types import Float32, Int32, Query

USUAL_SECONDS = 20.0
LEAST, MOST = 0.5, 2.0
INTEREST_STRENGTH = 1.0  # of log2(1 + weight 1)


def attention(seconds: Float32) -> Float32:
    """(m,) 0.5..2 for seconds looked at; 1 where they are unknown (0)."""
    looked = np.clip(np.sqrt(np.maximum(seconds, 0.0) / USUAL_SECONDS), LEAST, MOST)
    return np.where(seconds > 0.0, looked, 1.0).astype(np.float32)


def attended_history(query: Query, n_items: int, limit: int) -> History:
    """`history_of`, but for the strength of what was looked at for long or only touched. Worked out once for a query."""
    if query.seconds is None:
        return history_of(query, n_items, limit)
    key = (attended_history, n_items, limit)
    known: History | None = query.memo.get(key)
    if known is None:
        attended = replace(query, weights=query.weights * attention(query.seconds), seconds=None)
        known = query.memo[key] = history_of(attended, n_items, limit)
    return known


def liked(query: Query, n_items: int, limit: int, decay: float) -> tuple[Int32, Float32]:
    """Items that speak for the shopper's taste and how loudly: their history, newest first, then the products of named interests.

    An item may stand there more than once.
    """
    history = attended_history(query, n_items, limit)
    items, importance = [history.items], [history.decayed(decay)]
    for named in query.interests:
        known = named[named < n_items]
        items.append(known)
        importance.append(np.full(len(known), INTEREST_STRENGTH / max(len(known), 1), np.float32))
    return np.concatenate(items).astype(np.int32), np.concatenate(importance).astype(np.float32)
