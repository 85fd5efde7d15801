"""How long a product was looked at, and what a customer named, reach the query."""

import numpy as np

from profiles.fold import Interaction
from recommendations.serving import store_state
from recommendations.serving.versions import Versions
from recommendations.stages.taste import interest_products, looked_at
from tests.recommendations.shop import Shop


def test_a_view_lasts_until_the_next_thing_in_the_same_visit() -> None:
    moments = [
        ("a", "Product Viewed", 0.0),
        ("b", "Product Viewed", 45.0),  # looked at for 15 s, then put into the cart
        ("b", "Product Added", 60.0),  # no view
        (
            "c",
            "Product Viewed",
            100.0,
        ),  # the visit ended there, as far as is known: the next began an hour later
        ("d", "Product Viewed", 3_700.0),  # the last: nobody knows how long
    ]
    interactions = [Interaction(product, name, at) for product, name, at in moments]
    assert looked_at(interactions).tolist() == [45.0, 15.0, 0.0, 0.0, 0.0]
    assert looked_at([]).tolist() == []


def test_interests_are_products_of_the_category_and_of_the_brand(trained_shop: Shop) -> None:
    trained_shop.products["tents-4"].is_active = False
    trained_shop.products["tents-4"].save()
    assortment = store_state.of_store(trained_shop.store.pk).current(Versions(None)).assortment
    tents, of_brand = interest_products(
        assortment, [("category", "tents"), ("brand", "brand-1"), ("brand", "unheard-of")]
    )
    ids = [assortment.product(place).external_id for place in tents]
    assert sorted(ids) == sorted(f"tents-{n}" for n in range(10) if n != 4)
    assert {assortment.product(place).brand_name for place in of_brand} == {"Brand 1"}
    wanted = assortment.standing.values[tents]
    assert (np.diff(wanted) <= 0).all(), "the most wanted first"
