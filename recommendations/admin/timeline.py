"""What recommendations add to a shopper's timeline: shelves that they saw, product by product, and what they clicked."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from catalog.models import Product as CatalogProduct
from recommendations.admin.strategies import text_of
from recommendations.impressions import VIEWED
from recommendations.models import Impression, ImpressionClick, Placement
from tracking.admin.timeline_sources import MOST, Moment, Product, Source, Stretch, register


def _shelves(stretch: Stretch) -> list[Moment]:
    rows = Impression.objects.for_store(stretch.store).filter(stretch.in_visits("seen_at"))
    shelves: defaultdict[UUID, list[Impression]] = defaultdict(list)
    for row in rows.order_by("-seen_at")[:MOST]:
        shelves[row.request_id].append(row)
    clicked = set(
        ImpressionClick.objects.for_store(stretch.store)
        .filter(request_id__in=shelves)
        .values_list("request_id", "product_id")
    )
    names = dict(
        CatalogProduct.objects.for_store(stretch.store)
        .filter(external_id__in={row.product_id for seen in shelves.values() for row in seen})
        .values_list("external_id", "name")
    )
    titles = dict(Placement.objects.for_store(stretch.store).values_list("slug", "name"))
    return [_shelf(seen, clicked, names, titles) for seen in shelves.values()]


def _shelf(
    seen: list[Impression], clicked: set[tuple[UUID, str]], names: dict[str, str], titles: dict[str, str]
) -> Moment:
    first = min(seen, key=lambda row: row.seen_at)
    version = f", model version {first.model_version}" if first.model_version else ""
    return Moment(
        at=first.seen_at,
        kind="shelf",
        title=f"Saw the shelf {titles.get(first.placement, first.placement)}",
        detail=f"{first.variant.replace('_', ' ')}{version}",
        visitor_id=first.visitor_id,
        products=tuple(
            Product(
                row.product_id,
                row.rank,
                text_of(row.strategy).label if row.strategy else "",
                (row.request_id, row.product_id) in clicked,
                names.get(row.product_id, ""),
            )
            for row in sorted(seen, key=lambda row: row.rank)
        ),
        tells=frozenset((VIEWED, row.product_id, str(row.request_id)) for row in seen),
    )


register(Source("shelf", "Shelves", 20, _shelves))
