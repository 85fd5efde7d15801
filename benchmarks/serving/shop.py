"""`python -m benchmarks.serving.shop PRODUCTS VISITS`: a generated shop with a history, a model trained on it, and shoppers who permit
everything. Prints the store's id, an API key, the primary key of the first shopper, and the live version's number and state.

Products stand in categories of 250, some wanted far more than others (Zipf); a visit stays in a category four steps out of five and moves
to near products there, as visits in real logs do (`shared/ux.md` gives the figures that it follows).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import django
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from accounts.models import Store  # needs the settings, which `main` reads first

SHOPPERS = 2_000
"""Visitors whose shelves are asked for; all others only made the history."""
VIEWS_A_VISIT = 5.4
STAYS_IN_CATEGORY = 0.81
BUYS = 0.03
PER_CATEGORY = 250
DAYS = 60


def visitor_id(number: int) -> str:
    return f"bench-{number}"


def product_id(number: int) -> str:
    return f"p{number}"


@dataclass(frozen=True)
class Visits:
    """`product` (n,) product numbers of all views in order; visit v has views `offsets[v]:offsets[v + 1]` and is of `visitor[v]`."""

    product: NDArray[np.int64]
    offsets: NDArray[np.int64]
    visitor: NDArray[np.int64]
    begun: NDArray[np.float64]  # (visits,) Unix seconds
    buys: NDArray[np.bool_]  # (visits,)


def make_visits(n_products: int, n_visits: int, n_visitors: int, now: float, seed: int = 0) -> Visits:
    rng = np.random.default_rng(seed)
    lengths = np.maximum(1, rng.geometric(1 / VIEWS_A_VISIT, n_visits))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    n = int(offsets[-1])
    categories = -(-n_products // PER_CATEGORY)
    category = np.minimum(rng.zipf(1.3, n) - 1, categories - 1)
    first = np.zeros(n, np.bool_)
    first[offsets[:-1]] = True
    anew = first | (rng.random(n) > STAYS_IN_CATEGORY)
    start = np.maximum.accumulate(np.where(anew, np.arange(n), 0))
    place = np.minimum(rng.zipf(1.4, n) - 1, PER_CATEGORY - 1)[start]
    step = np.where(anew, 0, rng.integers(-4, 9, n))
    walked = np.cumsum(step) - np.cumsum(step)[start]
    product = category[start] * PER_CATEGORY + (place + walked) % PER_CATEGORY
    begun = now - rng.random(n_visits) * DAYS * 86_400
    visitor = rng.integers(0, n_visitors, n_visits)
    visitor[:SHOPPERS] = np.arange(SHOPPERS)[: len(visitor[:SHOPPERS])]
    return Visits(np.minimum(product, n_products - 1), offsets, visitor, begun, rng.random(n_visits) < BUYS)


def main() -> None:
    n_products, n_visits = map(int, sys.argv[1:3])
    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import Scope, Store
    from accounts.services.api_keys import api_key_create
    from recommendations.services.store_defaults import store_defaults_create
    from recommendations.training.recipe import DEFAULT_RECIPE
    from recommendations.training.run import train

    store = Store.objects.create(
        slug="bench", name="Bench", currency="EUR", is_simulated=True, holdout_share=0.0
    )
    store_defaults_create(store=store)
    _, secret = api_key_create(
        store=store,
        name="Benchmark",
        scopes=[Scope.WRITE_SECRET, Scope.RECOMMENDATIONS_READ],
        legal_basis="consent",
        consent_source="ledger",
    )
    _make_catalogue(store, n_products)
    visits = make_visits(n_products, n_visits, max(SHOPPERS, n_visits // 3), timezone.now().timestamp())
    first_shopper = _make_history(store, visits)
    # Profiles go to Valkey, as they do while events come in.
    call_command("fold", "--store", store.slug)
    # LightFM alone takes longer than all others together, and is small in every blend.
    recipe = {name: given for name, given in DEFAULT_RECIPE.items() if name != "lightfm"}
    version = train(store, recipe=recipe, consent="A benchmark").version
    sys.stdout.write(f"{store.pk} {secret} {first_shopper} {version.number} {version.state}\n")


def _make_catalogue(store: Store, n_products: int) -> None:
    from catalog.models import Brand, Category, Product

    categories = Category.all_stores.bulk_create(
        Category(store=store, slug=f"category-{n}", name=f"Category {n}", path=f"category-{n}")
        for n in range(-(-n_products // PER_CATEGORY))
    )
    brands = Brand.all_stores.bulk_create(
        Brand(store=store, slug=f"brand-{n}", name=f"Brand {n}") for n in range(max(10, n_products // 100))
    )
    long_ago = datetime.now(UTC) - timedelta(days=400)
    Product.all_stores.bulk_create(
        (
            Product(
                store=store,
                external_id=product_id(n),
                name=f"Product {n} of kind {n % 37}",
                description=f"Made of material {n % 23} for use {n % 41}, size {n % 7}",
                category=categories[n // PER_CATEGORY],
                brand=brands[(n * 7919) % len(brands)],
                price_minor_units=500 + (n * 104_729) % 50_000,
                currency="EUR",
                stock=0 if n % 50 == 49 else 10,
                attributes={"colour": f"colour {n % 12}", "size": f"size {n % 7}"},
                url=f"/p/{n}/",
                published_at=long_ago,
            )
            for n in range(n_products)
        ),
        batch_size=2_000,
    )


def _make_history(store: Store, visits: Visits) -> int:
    """The primary key of the first shopper: those of the others follow it."""
    from django.db import connection

    from accounts.models import Visitor
    from consent.models import ConsentChoice
    from consent.purposes import OPTIONAL
    from consent.services.decisions import Decision, decisions_record

    names = [visitor_id(number) for number in range(int(visits.visitor.max()) + 1)]
    made = Visitor.all_stores.bulk_create(
        (Visitor(store=store, anonymous_id=name) for name in names), batch_size=5_000
    )
    keys = np.array([visitor.pk for visitor in made])
    decisions = [
        Decision(granted=OPTIONAL, method=ConsentChoice.ACCEPT, anonymous_id=name)
        for name in names[:SHOPPERS]
    ]
    for start in range(0, len(decisions), 1000):
        decisions_record(store=store, decisions=decisions[start : start + 1000])
    columns = (
        "id, store_id, message_id, type, name, visitor_id, product_id, occurred_at, received_at, purposes, is_bot, is_trusted, "
        "properties, context, xact_id"
    )
    with (
        connection.cursor() as cursor,
        cursor.cursor.copy(f"COPY tracking_event ({columns}) FROM STDIN") as copy,
    ):
        for row in _event_rows(store.pk, visits, keys):
            copy.write_row(row)
    _make_orders(store, visits, keys)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    if (np.diff(keys[:SHOPPERS]) != 1).any():
        raise RuntimeError("somebody else makes visitors in the scratch database")
    return int(keys[0])


def _event_rows(store_id: int, visits: Visits, keys: NDArray[np.int64]) -> Iterator[tuple[object, ...]]:
    from tracking.ingestion.uuid7 import uuid7s

    bounds = zip(visits.offsets[:-1].tolist(), visits.offsets[1:].tolist(), strict=True)
    for visit, (start, end) in enumerate(bounds):
        visitor, begun = int(keys[visits.visitor[visit]]), float(visits.begun[visit])
        for place, identifier in zip(range(start, end), uuid7s(end - start), strict=True):
            product = product_id(int(visits.product[place]))
            moment = datetime.fromtimestamp(begun + 60 * (place - start), UTC)
            yield (
                identifier, store_id, str(identifier), 1, "Product Viewed", visitor, product, moment, moment, 7, False, True,
                f'{{"product_id": "{product}"}}', "{}", 1,
            )  # fmt: skip


def _make_orders(store: Store, visits: Visits, keys: NDArray[np.int64]) -> None:
    from tracking.models import Order, OrderLine

    bought = np.flatnonzero(visits.buys & (np.diff(visits.offsets) > 1)).tolist()
    orders = Order.all_stores.bulk_create(
        (
            Order(
                store=store,
                order_id=f"order-{visit}",
                visitor_id=int(keys[visits.visitor[visit]]),
                status=Order.Status.COMPLETED,
                placed_at=datetime.fromtimestamp(float(visits.begun[visit]) + 3600, UTC),
                currency="EUR",
                purposes=7,
            )
            for visit in bought
        ),
        batch_size=2_000,
    )
    OrderLine.all_stores.bulk_create(
        (
            OrderLine(
                store=store,
                order=order,
                position=position,
                product_id=product_id(int(product)),
                quantity=1,
                unit_price_minor_units=1000,
            )
            for visit, order in zip(bought, orders, strict=True)
            for position, product in enumerate(
                np.unique(visits.product[visits.offsets[visit] : visits.offsets[visit + 1]])[:4]
            )
        ),
        batch_size=5_000,
    )


if __name__ == "__main__":
    main()
