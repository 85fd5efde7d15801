"""Invented shoppers on whom weights are tried: made from the store's own catalogue, the same at every visit.

Each is a list of recent events, folded like a real shopper's, so that a preview cannot differ from serving.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from profiles.events import RecentEvent, recent_event
from profiles.fold import EMPTY, Profile, fold
from recommendations.serving.assortment import Assortment

MINUTE: Final = 60.0
DAY: Final = 86_400.0


@dataclass(frozen=True)
class Persona:
    """`context_product`, `cart` and `category` are where they stand, for shelves that depend on it. Products are external ids."""

    slug: str
    name: str
    story: str
    profile: Profile = EMPTY
    context_product: str | None = None
    cart: tuple[str, ...] = ()
    category: str | None = None
    looked_at: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Aisle:
    """A category with its wanted products, the most wanted first."""

    name: str
    path: str
    products: tuple[str, ...]


def _aisles(assortment: Assortment) -> list[_Aisle]:
    """Categories with at least four products to sell, by how wanted their best four are."""
    by_category: dict[int, list[int]] = {}
    for place in assortment.standing.order.tolist():
        if assortment.available[place] and assortment.products[place] is not None:
            by_category.setdefault(int(assortment.category[place]), []).append(place)
    wanted = [
        (float(np.mean(assortment.standing.values[places[:4]])), category, places)
        for category, places in by_category.items()
        if category >= 0 and len(places) >= 4
    ]
    taxonomy = assortment.taxonomy
    return [
        _Aisle(
            taxonomy.names.get(category, "?"),
            taxonomy.paths.get(category, ""),
            tuple(assortment.product(place).external_id for place in places),
        )
        for _, category, places in sorted(wanted, key=lambda entry: (-entry[0], entry[1]))
    ]


def personas(assortment: Assortment, now: float) -> list[Persona]:
    """At least four where the catalogue has a category of four products; none in an empty shop. `now` in Unix seconds."""
    aisles = _aisles(assortment)
    if not aisles:
        return []
    best = aisles[0].products
    first, second, third = (aisles[index % len(aisles)] for index in (0, 1, 2))
    last = aisles[-1]
    return [
        Persona(
            "new",
            "Somebody new",
            f"Nothing is known. Stands on {first.name}.",
            context_product=best[0],
            cart=best[:1],
            category=first.path,
        ),
        _visitor(
            "browsing",
            "Just looking",
            f"Two products of {second.name}, a minute ago.",
            [
                ("Product Viewed", product, 2 * MINUTE - rank * MINUTE)
                for rank, product in enumerate(second.products[1:3])
            ],
            second,
            now,
        ),
        _visitor(
            "cart",
            "Cart in hand",
            f"Back after a week in {first.name}, now {third.name} with one in the cart.",
            [
                *(
                    ("Product Viewed", product, 7 * DAY + rank * MINUTE)
                    for rank, product in enumerate(first.products[2:5])
                ),
                *(
                    ("Product Viewed", product, 9 * MINUTE - rank * MINUTE)
                    for rank, product in enumerate(third.products[:3])
                ),
                ("Product Added", third.products[0], 3 * MINUTE),
            ],
            third,
            now,
        ),
        _visitor(
            "regular",
            "A regular",
            f"Bought in {first.name} and {second.name} over three months.",
            [
                ("Order Completed", first.products[0], 80 * DAY),
                ("Order Completed", second.products[0], 45 * DAY),
                ("Product Viewed", first.products[3], 20 * DAY),
                ("Order Completed", first.products[1], 20 * DAY),
                *(
                    ("Product Viewed", product, 30 * MINUTE - rank * MINUTE)
                    for rank, product in enumerate(second.products[2:4])
                ),
            ],
            second,
            now,
        ),
        _visitor(
            "niche",
            "Off the beaten track",
            f"Five views of less wanted products of {last.name}.",
            [
                ("Product Viewed", product, 20 * MINUTE - rank * MINUTE)
                for rank, product in enumerate(last.products[-5:])
            ],
            last,
            now,
        ),
    ]


def _visitor(
    slug: str, name: str, story: str, deeds: Sequence[tuple[str, str, float]], aisle: _Aisle, now: float
) -> Persona:
    """`deeds` are (event, product, seconds ago)."""
    events = [event for deed in deeds if (event := _event(slug, *deed, now)) is not None]
    profile = fold(events, now, source="persona")
    seen = tuple(dict.fromkeys(product for _, product, _ in sorted(deeds, key=lambda deed: deed[2])))
    return Persona(
        slug,
        name,
        story,
        profile,
        context_product=seen[0] if seen else aisle.products[0],
        cart=tuple(profile.cart) or (aisle.products[0],),
        category=aisle.path,
        looked_at=seen,
    )


def _event(slug: str, name: str, product: str, seconds_ago: float, now: float) -> RecentEvent | None:
    properties = {"product_id": product, "quantity": 1}
    if name == "Order Completed":
        properties = {"order_id": f"{slug}-{product}", "products": [{"product_id": product, "quantity": 1}]}
    return recent_event(
        message_id=f"{slug}-{name}-{product}",
        name=name,
        product_id="" if name == "Order Completed" else product,
        properties=properties,
        occurred_at=now - seconds_ago,
        customer_id=None,
    )
