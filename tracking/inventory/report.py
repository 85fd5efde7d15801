"""The inventory: every source with what came from it in a period, and the catalogue beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone

from accounts.models import ApiKey, Scope, Store
from catalog.models import Product
from tracking.inventory.coverage import Coverage, coverage_of
from tracking.inventory.kinds import SourceKind, kind_of
from tracking.models import DiscardCount, EventMapping, ImportRun, QuarantinedEvent, SourceDay

_COUNTED: Final = (
    "events", "bots", "with_person", "with_customer", "with_product", "with_price", "with_currency", "for_analytics",
    "for_personalisation", "for_marketing",
)  # fmt: skip
# What an event of these names should say; shares of others would mean nothing.
_ABOUT_PRODUCTS: Final = frozenset(
    {
        "Product Viewed", "Product Clicked", "Product Added", "Product Removed", "Order Completed", "Recommendation Viewed",
        "Recommendation Clicked", "Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart",
        "Product Shared", "Product Reviewed",
    }
)  # fmt: skip
_ABOUT_MONEY: Final = frozenset({"Product Viewed", "Product Added", "Order Completed"})


@dataclass(frozen=True)
class EventFacts:
    """Counts of one kind of event of a source; a share is None where the event need not say it."""

    name: str
    events: int
    with_person: float
    with_product: float | None
    with_price: float | None
    with_currency: float | None


@dataclass(frozen=True)
class SourceFacts:
    """One source in the period. `by_day` has a count for each day of the period; `first_day` and `ever` are of all time.

    `quarantined` are those that came in the period, still open or not; `discarded` those that nobody permitted.
    """

    key: ApiKey | None
    kind: SourceKind
    events: int
    bots: int
    by_day: list[int]
    event_facts: list[EventFacts]
    purposes: dict[str, float]
    with_customer: float
    quarantined: int
    discarded: int
    ever: int
    first_day: date | None
    last_day: date | None
    last_stored_at: datetime | None
    imports: int

    @property
    def name(self) -> str:
        return self.key.name if self.key else "A key that is gone"

    @property
    def received(self) -> int:
        """Everything that came: stored, quarantined or discarded."""
        return self.events + self.quarantined + self.discarded

    @property
    def is_silent(self) -> bool:
        return self.received == 0


@dataclass(frozen=True)
class CatalogueFacts:
    """The other half of the data: products on sale, and the share of them that says each thing."""

    products: int
    active: int
    updated_at: datetime | None
    fill: dict[str, float]


@dataclass(frozen=True)
class Inventory:
    days: list[date]
    sources: list[SourceFacts]
    coverage: Coverage
    catalogue: CatalogueFacts
    mappings: dict[str, int] = field(default_factory=dict)

    @property
    def events(self) -> int:
        return sum(source.events for source in self.sources)


def inventory_of(store: Store, days: int | None) -> Inventory:
    """The last `days` days, today included (UTC, by the events' own time); None: all days since the first event.

    Eight queries, none over the log. Bring the counts up to date first: `rollup.sources_roll_up`.
    """
    keys = {key.pk: key for key in ApiKey.objects.for_store(store).order_by("name", "pk")}
    ever = _ever(store)
    period = _period(days, ever)
    rows = _rows(store, period[0])
    quarantined = _counts(
        QuarantinedEvent.objects.for_store(store).filter(received_at__date__gte=period[0]), Count("pk")
    )
    discarded = _counts(DiscardCount.objects.for_store(store).filter(day__gte=period[0]), Sum("count"))
    imports = _counts(ImportRun.objects.for_store(store), Count("pk"))
    sends = {pk for pk, key in keys.items() if _may_send(key) and key.revoked_at is None}
    found = sorted(
        {*rows, *ever, *quarantined, *discarded, *imports, *sends},
        key=lambda pk: (-ever.get(pk, {}).get("events", 0), keys[pk].name if pk in keys else ""),
    )
    sources = [
        _source(
            key=keys.get(pk) if pk is not None else None,
            rows=rows.get(pk, []),
            ever=ever.get(pk, {}),
            period=period,
            quarantined=quarantined.get(pk, 0),
            discarded=discarded.get(pk, 0),
            imports=imports.get(pk, 0),
        )
        for pk in found
    ]
    counts: Counter[str] = Counter()
    for source_rows in rows.values():
        for row in source_rows:
            counts[row["event_name"]] += row["events"]
    return Inventory(period, sources, coverage_of(counts), catalogue_facts(store), _mappings(store))


def _period(days: int | None, ever: dict[int | None, dict[str, Any]]) -> list[date]:
    today = timezone.now().date()
    if days is None:
        first = min((row["first"] for row in ever.values()), default=today)
        days = max(1, (today - first).days + 1)
    return [today - timedelta(days=back) for back in range(days - 1, -1, -1)]


def _may_send(key: ApiKey) -> bool:
    return key.allows(Scope.WRITE_PUBLIC) or key.allows(Scope.WRITE_SECRET)


def _rows(store: Store, since: date) -> dict[int | None, list[dict[str, Any]]]:
    rows: dict[int | None, list[dict[str, Any]]] = {}
    for row in (
        SourceDay.objects.for_store(store)
        .filter(day__gte=since)
        .values("api_key_id", "day", "event_name", "last_stored_at", *_COUNTED)
    ):
        rows.setdefault(row["api_key_id"], []).append(row)
    return rows


def _ever(store: Store) -> dict[int | None, dict[str, Any]]:
    totals = (
        SourceDay.objects.for_store(store)
        .values("api_key_id")
        .annotate(total=Sum("events"), first=Min("day"), last=Max("day"), stored_at=Max("last_stored_at"))
        .order_by("api_key_id")
    )
    return {row["api_key_id"]: {**row, "events": row["total"]} for row in totals}


def _counts(rows: Any, what: Any) -> dict[int | None, int]:
    return dict(
        rows.values("api_key_id")
        .annotate(number=what)
        .order_by("api_key_id")
        .values_list("api_key_id", "number")
    )


def _source(
    *,
    key: ApiKey | None,
    rows: list[dict[str, Any]],
    ever: dict[str, Any],
    period: list[date],
    quarantined: int,
    discarded: int,
    imports: int,
) -> SourceFacts:
    by_day: Counter[date] = Counter()
    totals: Counter[str] = Counter()
    by_event: dict[str, Counter[str]] = {}
    for row in rows:
        by_day[row["day"]] += row["events"]
        for name in _COUNTED:
            totals[name] += row[name]
            by_event.setdefault(row["event_name"], Counter())[name] += row[name]
    most_first = sorted(by_event.items(), key=lambda pair: -pair[1]["events"])
    return SourceFacts(
        key=key,
        kind=kind_of(key, has_imports=imports > 0),
        events=totals["events"],
        bots=totals["bots"],
        by_day=[by_day[day] for day in period],
        event_facts=[_event_facts(name, counts) for name, counts in most_first],
        purposes={
            purpose: _share(totals[f"for_{purpose}"], totals["events"])
            for purpose in ("analytics", "personalisation", "marketing")
        },
        with_customer=_share(totals["with_customer"], totals["events"]),
        quarantined=quarantined,
        discarded=discarded,
        ever=ever.get("events", 0),
        first_day=ever.get("first"),
        last_day=ever.get("last"),
        last_stored_at=ever.get("stored_at"),
        imports=imports,
    )


def _event_facts(name: str, counts: Counter[str]) -> EventFacts:
    events = counts["events"]
    return EventFacts(
        name=name,
        events=events,
        with_person=_share(counts["with_person"], events),
        with_product=_share(counts["with_product"], events) if name in _ABOUT_PRODUCTS else None,
        with_price=_share(counts["with_price"], events) if name in _ABOUT_MONEY else None,
        with_currency=_share(counts["with_currency"], events) if name in _ABOUT_MONEY else None,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def catalogue_facts(store: Store) -> CatalogueFacts:
    """Fill of the products on sale, by what shelves and strategies read. One query."""
    said = {
        "price": Q(price_minor_units__gt=0),
        "category": Q(category__isnull=False),
        "brand": Q(brand__isnull=False),
        "description": ~Q(description=""),
        "image": ~Q(image_url=""),
        "page address": ~Q(url=""),
        "stock": Q(stock__isnull=False),
        "cost": Q(cost_minor_units__isnull=False),
        "attributes": ~Q(attributes={}),
        "tags": ~Q(tags=[]),
        "published date": Q(published_at__isnull=False),
        "variant group": ~Q(variant_group=""),
    }
    on_sale = Q(is_active=True)
    aggregates = {
        f"said_{index}": Count("pk", filter=on_sale & each) for index, each in enumerate(said.values())
    }
    row = Product.objects.for_store(store).aggregate(
        products=Count("pk"), active=Count("pk", filter=on_sale), updated=Max("updated_at"), **aggregates
    )
    return CatalogueFacts(
        products=row["products"],
        active=row["active"],
        updated_at=row["updated"],
        fill={name: _share(row[f"said_{index}"], row["active"]) for index, name in enumerate(said)},
    )


def _mappings(store: Store) -> dict[str, int]:
    """Active mappings of data layers, by layer."""
    rows = (
        EventMapping.objects.for_store(store)
        .filter(is_active=True)
        .values_list("layer")
        .annotate(number=Count("pk"))
    )
    return {str(EventMapping.Layer(layer).label): number for layer, number in rows.order_by("layer")}
