from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.models import Store
from recommendations.defaults import EVENT_WEIGHTS, PLACEMENTS, PlacementDefaults
from recommendations.models import (
    BlendVersion,
    BlendWeights,
    Density,
    EventWeight,
    Placement,
    TrainingSchedule,
)
from recommendations.services.schedule_update import schedule_update
from recommendations.serving import versions
from recommendations.serving.versions import Part


@transaction.atomic
def store_defaults_create(*, store: Store) -> None:
    """Placements with published weights, event weights and a training schedule for a new store. What is there already stays as it is."""
    known = set(Placement.objects.for_store(store).values_list("slug", flat=True))
    for defaults in PLACEMENTS:
        if defaults.slug not in known:
            _create(store, defaults)
    weighed = set(EventWeight.objects.for_store(store).values_list("event_name", flat=True))
    EventWeight.all_stores.bulk_create(
        EventWeight(store=store, event_name=name, weight=weight)
        for name, weight in EVENT_WEIGHTS.items()
        if name not in weighed
    )
    if not TrainingSchedule.objects.for_store(store).exists():
        schedule_update(store=store, every_hours=24, is_enabled=True)
    versions.bump(store.pk, Part.BLEND)


def _create(store: Store, defaults: PlacementDefaults) -> None:
    placement = Placement.objects.create(
        store=store,
        slug=defaults.slug,
        name=defaults.name,
        heading=defaults.heading,
        fallback_heading=defaults.fallback_heading,
        kind=defaults.kind,
        size=defaults.size,
        excludes_purchased=defaults.excludes_purchased,
        excludes_viewed=defaults.excludes_viewed,
        tops_up=defaults.tops_up,
        is_about_page=defaults.is_about_page,
    )
    version = BlendVersion.objects.create(
        store=store,
        placement=placement,
        number=1,
        state=BlendVersion.State.PUBLISHED,
        max_per_brand=defaults.max_per_brand,
        max_per_category=defaults.max_per_category,
        diversity=defaults.diversity,
        note="Starting point",
        published_at=timezone.now(),
    )
    rows = {Density.ANY: defaults.weights, **defaults.by_density}
    BlendWeights.all_stores.bulk_create(
        BlendWeights(store=store, version=version, density=density, weights=dict(weights))
        for density, weights in rows.items()
    )
