"""What merchandisers read of the learned reranker's features."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Final

from recommendations.admin.strategies import text_of

SHOWN: Final = 4
SHARED_LABELS: Final = {
    "blend": "The blend's score",
    "blend_rank": "Its place by the blend",
    "popularity": "How popular it is",
    "age_days": "How new it is",
    "times_seen": "How often they looked at it",
    "steps_back": "How long ago they looked at it",
    "seen_in_session": "Looked at in this visit",
    "bought": "Bought before",
    "category_share": "How much they look at its category",
    "brand_share": "How much they look at its brand",
    "newest_category": "The newest click's category",
    "price_ratio": "Its price beside what they look at",
    "known_interactions": "How much is known of them",
    "session_length": "How long the visit is",
    "session_repeats": "How much they go back and forth",
    "category_count": "How often they were in its category",
    "category_days": "How long ago they were in its category",
    "category_due": "Whether its category is due again",
    "price_in_category": "Its price beside what they look at in its category",
    "growth": "Whether it is wanted more than before",
    "newcomers": "Whether it wins more new people than before",
    "first": "How many of those who choose it are new to it",
    "fresh": "How many people are new to it of late",
}


def feature_label(name: str) -> str:
    if name in SHARED_LABELS:
        return SHARED_LABELS[name]
    strategy, _, rank = name.partition(":")
    return f"{text_of(strategy).label}: {'place' if rank else 'score'}"


def loudest(factors: Mapping[str, float]) -> list[tuple[str, float]]:
    """The features that did most to a score, up or down, with what they multiplied it by; none below half a percent."""
    heard = [(name, factor) for name, factor in factors.items() if abs(log(factor)) >= 0.005]
    heard.sort(key=lambda given: -abs(log(given[1])))
    return [(feature_label(name), factor) for name, factor in heard[:SHOWN]]
