"""What merchandisers read of a strategy: its name, what it does, its colour in charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class StrategyText:
    """`colour` is a series of the charts: fixed, so that a strategy looks the same on every page."""

    name: str
    label: str
    help: str
    colour: int


STRATEGY_TEXTS: Final = (
    StrategyText("session_knn", "Similar visits", "What people went for in visits like this one.", 0),
    StrategyText("user_knn", "People alike", "What people of the same taste choose these days.", 2),
    StrategyText("viewed_next", "Viewed next", "What others looked at after these products.", 9),
    StrategyText("item_vectors", "Product map", "Products that keep the same company (item vectors).", 2),
    StrategyText("item_knn", "Similar products", "Products liked by the same people (item-item).", 3),
    StrategyText("bought_together", "Bought together", "What ends up in one order with these products.", 10),
    StrategyText("als", "Taste, by factors", "Latent taste of the shopper (matrix factorisation).", 1),
    StrategyText(
        "ease", "Taste, by patterns", "Which products go with the whole of what they did (EASE).", 11
    ),
    StrategyText("lightfm", "Taste and traits", "Taste with traits of products and customers (LightFM).", 7),
    StrategyText("content", "Same kind", "Products described alike: words and attributes.", 4),
    StrategyText(
        "text_embeddings", "Same meaning", "Products described alike in other words (word embeddings).", 4
    ),
    StrategyText(
        "image_vectors", "Alike at a glance", "Products whose pictures share colours and outlines.", 3
    ),
    StrategyText("interests", "Stated interests", "Categories and brands that the customer named.", 8),
    StrategyText("reminder", "Seen before", "Brings back what they looked at.", 6),
    StrategyText("recently_viewed", "Recently viewed", "What they looked at, newest first.", 6),
    StrategyText("repurchase", "Buy again", "Bought before and due again.", 10),
    StrategyText("trending", "Trending", "Wanted more and more, of late.", 6),
    StrategyText("popular", "Popular", "Wanted by most, of all time.", 11),
    StrategyText(
        "popular_in_category", "Popular around here", "Wanted most in the categories they look at.", 5
    ),
    StrategyText(
        "popular_in_segment", "Popular among their kind", "Wanted most by people of their segments.", 11
    ),
    StrategyText("new", "New arrivals", "Came into the shop lately.", 9),
    StrategyText(
        "new_items", "New and fitting", "New products like those they like, or that go with them.", 8
    ),
)
_BY_NAME: Final = {text.name: text for text in STRATEGY_TEXTS}


def text_of(name: str) -> StrategyText:
    """Also for a strategy that is not in the list: its name, readable."""
    return _BY_NAME.get(name) or StrategyText(name, name.replace("_", " ").capitalize(), "", 7)
