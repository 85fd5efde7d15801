from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
import structlog
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Store
from consent.gate import lock_against_erasure
from segments import caches
from segments.clusters import FoundCluster, FoundClusters, find_clusters, match_to_earlier
from segments.feature_table import FeatureTable, feature_table
from segments.models import ClusterModel, Segment, SegmentMembership
from segments.rules import is_valid, matches
from segments.selectors.as_of import as_of
from segments.services.memberships import Members, memberships_replace
from segments.spending import spending_remember

log = structlog.get_logger(__name__)

CLUSTER_PRIORITY: Final = 200
KEPT_CLUSTER_MODELS: Final = 20
_LOCK: Final = 5_391_207  # first half of an advisory lock's key; the second is the store's id


@dataclass
class RecomputeReport:
    """`as_of`: the moment that shoppers were judged at. `sizes`: slug → members. `silhouette`: None where there were too few
    shoppers for clusters."""

    store: str
    as_of: datetime
    shoppers: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    silhouette: float | None = None
    seconds: float = 0.0


def segments_recompute(
    *, store: Store, now: datetime | None = None, step: Callable[[str], object] = lambda name: None
) -> RecomputeReport:
    """Find the members of every active segment anew, and the clusters. `step` is told what is being done.

    `now`: as of then; default: this moment, or the end of the log where that is a history (`selectors.as_of`).
    One transaction: readers see the old memberships or the new ones. Computations of one store wait for each other, and
    erasures wait for them, so that nobody who was just erased is written back.
    """
    started = time.monotonic()
    written_at = now or timezone.now()
    moment = now or as_of(store, written_at)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, store.pk])
            lock_against_erasure(cursor, store.pk)
        step("features")
        table = feature_table(store, moment)
        step("rules")
        members = _rule_members(store, table)
        step("clusters")
        found = find_clusters(table, seed=store.pk)
        members += _cluster_members(store, found)
        step("memberships")
        memberships_replace(store_id=store.pk, table=table, members=members, at=written_at)
        caches.forget_on_commit(store.pk)
        revenue = np.asarray(table.columns["revenue_365d"], np.float64)
        transaction.on_commit(partial(spending_remember, store.pk, revenue))
    report = RecomputeReport(store.slug, moment, table.n, silhouette=found.silhouette if found else None)
    report.sizes = {entry.segment.slug: len(entry.positions) for entry in members if entry.segment.is_active}
    report.seconds = round(time.monotonic() - started, 3)
    log.info(
        "segments.recomputed",
        store=store.slug,
        shoppers=table.n,
        segments=len(members),
        seconds=report.seconds,
    )
    return report


def segment_recompute(*, segment: Segment, now: datetime | None = None) -> int:
    """The same for one segment with rules: its size. An inactive one loses its members."""
    written_at = now or timezone.now()
    moment = now or as_of(segment.store, written_at)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, segment.store_id])
            lock_against_erasure(cursor, segment.store_id)
        table = feature_table(segment.store, moment)
        entry = _members_of(segment, table)
        memberships_replace(store_id=segment.store_id, table=table, members=[entry], at=written_at)
    segment.refresh_from_db()
    return segment.member_count


def _rule_members(store: Store, table: FeatureTable) -> list[Members]:
    segments = Segment.objects.for_store(store).exclude(kind=Segment.Kind.CLUSTER)
    return [_members_of(segment, table) for segment in segments]


def _members_of(segment: Segment, table: FeatureTable) -> Members:
    """One segment whose rules cannot be read has no members; the others are not held up by it."""
    is_usable = is_valid(segment.rules)
    if segment.is_active and not is_usable:
        log.warning("segments.unreadable_rules", store=segment.store_id, segment=segment.slug)
    if not segment.is_active or not is_usable or not table.n:
        return Members(segment, np.empty(0, dtype=np.int64))
    return Members(segment, np.flatnonzero(matches(segment.rules, table.columns, table.n)))


def _cluster_members(store: Store, found: FoundClusters | None) -> list[Members]:
    """Members of the new clusters; earlier clusters that nothing continues end, without members and inactive."""
    segments = {
        segment.slug: segment
        for segment in Segment.objects.for_store(store).filter(kind=Segment.Kind.CLUSTER)
    }
    continued = match_to_earlier(found, _earlier_centres(store, set(segments))) if found else {}
    ended = [segment for slug, segment in segments.items() if slug not in continued.values()]
    members = [_end(segment) for segment in ended]
    if found is None:
        return members
    taken = set(segments)
    centres = {}
    for position, cluster in enumerate(found.clusters):
        slug = continued.get(position) or _free_slug(taken)
        taken.add(slug)
        segment = _cluster_segment(store, segments.get(slug), slug, cluster)
        centres[slug] = cluster.centre
        members.append(Members(segment, cluster.members, cluster.distances))
    _remember(store, found, centres)
    return members


def _earlier_centres(store: Store, slugs: set[str]) -> dict[str, dict[str, float]]:
    newest = ClusterModel.objects.for_store(store).order_by("-pk").first()
    return {slug: centre for slug, centre in newest.centres.items() if slug in slugs} if newest else {}


def _free_slug(taken: set[str]) -> str:
    number = 1
    while f"cluster-{number}" in taken:
        number += 1
    return f"cluster-{number}"


def _cluster_segment(store: Store, segment: Segment | None, slug: str, cluster: FoundCluster) -> Segment:
    """A continued cluster keeps its slug, priority and whether it is switched on; its words follow its centre."""
    if segment is None:
        segment = Segment(store=store, slug=slug, kind=Segment.Kind.CLUSTER, priority=CLUSTER_PRIORITY)
    segment.name, segment.description = cluster.name, cluster.description
    segment.save()
    return segment


def _end(segment: Segment) -> Members:
    segment.is_active = False
    segment.save(update_fields=["is_active", "updated_at"])
    return Members(segment, np.empty(0, dtype=np.int64))


def _remember(store: Store, found: FoundClusters, centres: dict[str, dict[str, float]]) -> None:
    ClusterModel.objects.create(
        store=store,
        features=found.features,
        centres=centres,
        silhouette=found.silhouette,
        subject_count=sum(len(cluster.members) for cluster in found.clusters),
        seed=store.pk,
    )
    models = ClusterModel.objects.for_store(store).order_by("-pk").values_list("pk", flat=True)
    ClusterModel.objects.for_store(store).filter(pk__in=list(models[KEPT_CLUSTER_MODELS:])).delete()


def memberships_are_stale(store: Store, since: datetime) -> bool:
    """Whether no computation has run since then: for the admin's attention list."""
    return (
        not Segment.objects.for_store(store).filter(computed_at__gte=since).exists()
        and SegmentMembership.objects.for_store(store).exists()
    )
