from __future__ import annotations

from recommendations.pipeline import recommend
from recommendations.shelf import RecommendationRequest
from tests.recommendations.shop import Shop, consenting_visitor


def test_the_shelf_follows_what_was_just_looked_at(trained_shop: Shop) -> None:
    visitor, shopper = consenting_visitor(trained_shop.store)
    request = RecommendationRequest(trained_shop.store, "home", shopper, limit=6)
    before = recommend(request)
    trained_shop.views(visitor, "tents-2", "tents-3")
    after = recommend(request)
    assert {item.product.category_name for item in after.items[:4]} == {"Tents"}
    assert after.personalised
    assert after.items[0].reason.text.startswith("Because you viewed Tents")
