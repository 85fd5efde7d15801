"""What training reads of the database besides the log."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, Max, QuerySet

from catalog.models import Product
from recommendations.models import BlendVersion, ModelVersion, Placement, TrainingSchedule
from recommendations.serving.configuration import BlendSettings, blend_settings
from recommendations.training.item_features import CatalogueItem

_FIELDS = (
    "external_id", "name", "description", "category__path", "brand__slug", "price_minor_units", "attributes", "tags", "published_at",
    "created_at", "image_url",
)  # fmt: skip


def catalogue_items(store_id: int) -> list[CatalogueItem]:
    """All products, by primary key: what is not sold any more still tells what is liked together."""
    rows = Product.objects.for_store(store_id).order_by("pk").values_list(*_FIELDS)
    return [_catalogue_item(*row) for row in rows.iterator(chunk_size=5000)]


def arrived_state(store_id: int, since: datetime) -> tuple[int, float]:
    """How many products were created since, and when the newest was (Unix seconds): one quick query."""
    found = _created_since(store_id, since).aggregate(count=Count("pk"), newest=Max("created_at"))
    return found["count"], found["newest"].timestamp() if found["newest"] else 0.0


def arrived_items(store_id: int, since: datetime, limit: int) -> list[CatalogueItem]:
    """The first `limit` products that were created since, in the order in which they came."""
    rows = _created_since(store_id, since).order_by("created_at", "pk").values_list(*_FIELDS)[:limit]
    return [_catalogue_item(*row) for row in rows.iterator(chunk_size=5000)]


def _created_since(store_id: int, since: datetime) -> QuerySet[Product]:
    return Product.objects.for_store(store_id).filter(created_at__gte=since)


def stores_with_live_version() -> list[int]:
    rows = ModelVersion.all_stores.filter(state=ModelVersion.State.LIVE)
    return list(rows.order_by("store_id").values_list("store_id", flat=True))


def reranker_is_wanted(store_id: int) -> bool:
    """Whether trainings of the store try a learned reranker: unless its schedule says no."""
    schedules = TrainingSchedule.objects.for_store(store_id)
    return not schedules.filter(learned_reranker=TrainingSchedule.Reranker.OFF).exists()


def _catalogue_item(
    external_id: str, name: str, description: str, category_path: str | None, brand: str | None, price: int,
    attributes: dict[str, object], tags: list[str], published_at: datetime | None, created_at: datetime, image_url: str,
) -> CatalogueItem:  # fmt: skip
    return CatalogueItem(
        external_id=external_id,
        name=name,
        description=description,
        category_path=category_path or "",
        brand=brand or "",
        price_minor_units=price,
        attributes=attributes,
        tags=tags,
        created_at=(published_at or created_at).timestamp(),
        image_url=image_url,
    )


def measured_blend(store_id: int) -> BlendSettings | None:
    """The published weights by which a version is judged: those of the home page, else of any placement."""
    versions = (
        BlendVersion.objects.for_store(store_id)
        .filter(state=BlendVersion.State.PUBLISHED)
        .prefetch_related("weights")
    )
    by_kind = {
        version.placement.kind: version
        for version in versions.select_related("placement").order_by("-placement__slug")
    }
    version = by_kind.get(Placement.Kind.HOME) or next(iter(by_kind.values()), None)
    home = versions.filter(placement__slug="home").first()
    chosen = home or version
    return None if chosen is None else blend_settings(chosen, {})
