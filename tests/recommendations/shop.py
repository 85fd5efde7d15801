"""A small shop with shoppers who know what they like: enough for every strategy to learn something true.

Four categories of products; a shopper looks at products of one category, mostly in catalogue order, and some buy. Deterministic.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from accounts.models import Customer, Store, Visitor
from catalog.models import Brand, Category, Product
from consent.models import ConsentRecord, ConsentState
from recommendations.models import BlendWeights, Density, Placement
from recommendations.services.store_defaults import store_defaults_create
from recommendations.serving import versions
from recommendations.serving.versions import Part
from recommendations.shelf import Shopper
from tests.factories import (
    BrandFactory,
    CategoryFactory,
    CustomerFactory,
    ProductFactory,
    StoreFactory,
    VisitorFactory,
)
from tracking.models import Event, EventType, Order, OrderLine
from tracking.selectors.interactions import Interactions, number_sessions

CATEGORIES = ("tents", "boots", "lamps", "kettles")
PERMITTED = 7  # necessary, analytics, personalisation


@dataclass
class Shop:
    store: Store
    categories: dict[str, Category]
    brands: list[Brand]
    products: dict[str, Product]

    def in_category(self, slug: str) -> list[Product]:
        return [product for product in self.products.values() if product.category == self.categories[slug]]

    def views(
        self, visitor: Visitor, *product_ids: str, minutes_ago: float = 5, customer: Customer | None = None
    ) -> None:
        """Product Viewed of each, a minute apart, the last so long ago; in the log only."""
        end = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        moments = [end - timedelta(minutes=len(product_ids) - n - 1) for n in range(len(product_ids))]
        Event.all_stores.bulk_create(
            event(self.store, product_id, at, visitor, customer)
            for product_id, at in zip(product_ids, moments, strict=True)
        )

    def buys(
        self,
        visitor: Visitor | None,
        *product_ids: str,
        days_ago: float = 2,
        customer: Customer | None = None,
    ) -> Order:
        placed_at = datetime.now(UTC) - timedelta(days=days_ago)
        order = Order.objects.create(
            store=self.store,
            order_id=uuid.uuid4().hex,
            visitor=visitor,
            customer=customer,
            status=Order.Status.COMPLETED,
            placed_at=placed_at,
            currency="EUR",
            total_minor_units=1000 * len(product_ids),
            purposes=PERMITTED,
        )
        OrderLine.all_stores.bulk_create(
            OrderLine(
                store=self.store,
                order=order,
                position=n,
                product_id=p,
                quantity=1,
                unit_price_minor_units=1000,
            )
            for n, p in enumerate(product_ids)
        )
        return order

    def set_weights(
        self, placement: str, weights: dict[str, float], *, segment: object = None, density: str = Density.ANY
    ) -> None:
        """Of the published version, at once."""
        version = Placement.objects.for_store(self.store).get(slug=placement).versions.get(state="published")
        if segment is None and density == Density.ANY:
            version.weights.exclude(segment=None, density=Density.ANY).delete()
        BlendWeights.all_stores.update_or_create(
            store=self.store, version=version, segment=segment, density=density, defaults={"weights": weights}
        )
        versions._increment(self.store.pk, Part.BLEND)


def make_shop(per_category: int = 10) -> Shop:
    store = StoreFactory()
    categories = {
        slug: CategoryFactory(store=store, slug=slug, name=slug.title(), path=slug) for slug in CATEGORIES
    }
    brands = [BrandFactory(store=store, slug=f"brand-{n}", name=f"Brand {n}") for n in range(4)]
    products = {}
    for c, slug in enumerate(CATEGORIES):
        for n in range(per_category):
            external_id = f"{slug}-{n}"
            products[external_id] = ProductFactory(
                store=store,
                external_id=external_id,
                name=f"{slug.title()} {n}",
                description=f"A {slug} of kind {n % 3}",
                category=categories[slug],
                brand=brands[(c + n) % 4],
                price_minor_units=1000 + 100 * n,
                url=f"/p/{external_id}/",
                published_at=datetime.now(UTC) - timedelta(days=200),
            )
    store_defaults_create(store=store)
    # A busy machine is no reason to fall back: tests of the deadline set their own.
    Placement.objects.for_store(store).update(deadline_ms=30_000)
    return Shop(store, categories, brands, products)


@dataclass(frozen=True)
class Visit:
    """`days_ago` is when it began; products are looked at a minute apart, the first two of a `bought` visit are bought at its end."""

    visitor: int
    days_ago: float
    products: tuple[str, ...]
    bought: bool


def visits(per_category: int = 10, shoppers: int = 120, seed: int = 7) -> list[Visit]:
    """Sixty days of shopping: two visits each, to four neighbouring products of the visitor's category; every third buys at the second."""
    chance = random.Random(seed)
    made = []
    for visitor in range(shoppers):
        slug = CATEGORIES[visitor % len(CATEGORIES)]
        for visit in range(2):
            start = chance.randrange(per_category)
            seen = tuple(f"{slug}-{(start + step) % per_category}" for step in range(4))
            made.append(Visit(visitor, chance.uniform(0.1, 60), seen, visit == 1 and visitor % 3 == 0))
    return made


def fill_log(shop: Shop) -> None:
    """The visits as events and orders."""
    history = visits(len(shop.in_category(CATEGORIES[0])))
    count = max(visit.visitor for visit in history) + 1
    visitors = Visitor.all_stores.bulk_create(
        Visitor(store=shop.store, anonymous_id=f"{shop.store.slug}-visitor-{n}") for n in range(count)
    )
    now = datetime.now(UTC)
    events = []
    for visit in history:
        begun = now - timedelta(days=visit.days_ago)
        moments = [begun + timedelta(minutes=minute) for minute in range(len(visit.products))]
        viewed = zip(visit.products, moments, strict=True)
        events += [event(shop.store, product, at, visitors[visit.visitor]) for product, at in viewed]
        if visit.bought:
            shop.buys(visitors[visit.visitor], *visit.products[:2], days_ago=visit.days_ago - 0.01)
    Event.all_stores.bulk_create(events)


def history_columns() -> Interactions:
    """The visits as training reads them, without a database."""
    rows = sorted(
        (visit.visitor, -visit.days_ago * 86_400 + 60 * minute, product)
        for visit in visits()
        for minute, product in enumerate(visit.products)
    )
    products = sorted({product for _, _, product in rows})
    subject = np.array([visitor for visitor, _, _ in rows], np.int32)
    occurred_at = np.array([at for _, at, _ in rows]) + datetime.now(UTC).timestamp()
    n = int(subject.max()) + 1
    return Interactions(
        subject=subject,
        session=number_sessions(subject, occurred_at),
        product=np.array([products.index(product) for _, _, product in rows], np.int32),
        event=np.zeros(len(rows), np.int8),
        occurred_at=occurred_at,
        quantity=np.ones(len(rows), np.float32),
        basket=np.full(len(rows), -1, np.int32),
        visitor=subject.astype(np.int64) + 1,
        subject_customer=np.zeros(n, np.int64),
        subject_visitor=np.arange(1, n + 1),
        products=products,
    )


def event(
    store: Store,
    product_id: str,
    at: datetime,
    visitor: Visitor | None,
    customer: Customer | None = None,
    name: str = "Product Viewed",
) -> Event:
    return Event(
        store=store,
        id=uuid.uuid4(),
        message_id=uuid.uuid4().hex,
        type=EventType.TRACK,
        name=name,
        visitor=visitor,
        customer=customer,
        product_id=product_id,
        occurred_at=at,
        received_at=at,
        purposes=PERMITTED,
        xact_id=1,
    )


def consenting_visitor(store: Store, anonymous_id: str = "") -> tuple[Visitor, Shopper]:
    visitor = VisitorFactory(store=store, **({"anonymous_id": anonymous_id} if anonymous_id else {}))
    decide(store, f"v:{visitor.anonymous_id}", PERMITTED)
    return visitor, Shopper(anonymous_id=visitor.anonymous_id)


def consenting_customer(store: Store, **fields: object) -> tuple[Customer, Shopper]:
    customer = CustomerFactory(store=store, **fields)
    decide(store, f"c:{customer.external_id}", PERMITTED)
    return customer, Shopper(customer_id=customer.external_id)


def decide(store: Store, subject: str, granted: int) -> None:
    sequence = ConsentRecord.objects.for_store(store).count() + 1
    record = ConsentRecord.objects.create(
        store=store, sequence=sequence, commitment="0" * 64, previous_digest="0" * 64, digest="0" * 64
    )
    ConsentState.objects.create(
        store=store,
        subject=subject,
        granted=granted,
        valid_from=datetime.now(UTC) - timedelta(days=90),
        record=record,
    )
