"""Which segments the people of a log are in now."""

from __future__ import annotations

from collections import defaultdict

from algorithms.types import Int64
from recommendations.training.groups import Audience
from segments.models import Segment, SegmentMembership


def audience_of(store_id: int, people: Int64) -> Audience:
    """`people` (n_users,) as `Prepared` has them. Two queries; memberships are those of the last computation."""
    known = set(people.tolist())
    active = Segment.objects.for_store(store_id).filter(is_active=True).order_by("priority", "name")
    names = {pk: (slug, name) for pk, slug, name in active.values_list("pk", "slug", "name")}
    place = {pk: number for number, pk in enumerate(names)}
    segments: defaultdict[int, list[int]] = defaultdict(list)
    rows = SegmentMembership.objects.for_store(store_id).filter(segment__in=names)
    for segment, customer, visitor in rows.values_list("segment_id", "customer_id", "visitor_id").iterator(
        chunk_size=20_000
    ):
        person = customer if customer is not None else -visitor
        if person in known:
            segments[person].append(segment)
    ordered = {person: tuple(sorted(found, key=place.__getitem__)) for person, found in segments.items()}
    return Audience(people, ordered, names)
