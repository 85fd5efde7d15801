"""Writing who is in which segment: the new state replaces the old one in one transaction, and who stays keeps their `since`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from segments.feature_table import FeatureTable
from segments.models import Segment, SegmentMembership

_CREATE = """
CREATE TEMPORARY TABLE new_membership (segment_id bigint, customer_id bigint, visitor_id bigint, score float8) ON COMMIT DROP
"""
_FILL = "COPY new_membership (segment_id, customer_id, visitor_id, score) FROM STDIN (FORMAT BINARY)"

# `customer_id IS NOT DISTINCT FROM` cannot use an index or a hash: one of the two ids is null, so they make one key.
_SAME = "now.segment_id = old.segment_id AND COALESCE(now.customer_id, -now.visitor_id) = COALESCE(old.customer_id, -old.visitor_id)"
_DELETE = f"""
DELETE FROM segments_segmentmembership old
 WHERE old.segment_id = ANY(%s) AND NOT EXISTS (SELECT 1 FROM new_membership now WHERE {_SAME})
"""
_UPDATE = f"""
UPDATE segments_segmentmembership old SET score = now.score
  FROM new_membership now WHERE {_SAME} AND old.score IS DISTINCT FROM now.score
"""
# Whoever was erased in the meantime is not written back.
_INSERT = f"""
INSERT INTO segments_segmentmembership (store_id, segment_id, customer_id, visitor_id, since, score)
SELECT %s, now.segment_id, now.customer_id, now.visitor_id, %s, now.score
  FROM new_membership now
 WHERE NOT EXISTS (SELECT 1 FROM segments_segmentmembership old WHERE {_SAME})
   AND (now.customer_id IS NULL OR EXISTS (SELECT 1 FROM accounts_customer WHERE id = now.customer_id))
   AND (now.visitor_id IS NULL OR EXISTS (SELECT 1 FROM accounts_visitor WHERE id = now.visitor_id))
"""
_COUNT = """
UPDATE segments_segment segment SET computed_at = %s, member_count =
       (SELECT count(*) FROM segments_segmentmembership membership WHERE membership.segment_id = segment.id)
 WHERE segment.id = ANY(%s)
"""


@dataclass(frozen=True)
class Members:
    """Positions (m,) of a segment's members in the feature table, with a score each where it has one."""

    segment: Segment
    positions: NDArray[np.int64]
    scores: NDArray[np.float64] | None = None


@transaction.atomic
def memberships_replace(
    *, store_id: int, table: FeatureTable, members: Sequence[Members], at: datetime
) -> None:
    """These segments have exactly these members from now on. Segments that are not named stay as they are."""
    segment_ids = [entry.segment.pk for entry in members]
    with connection.cursor() as cursor:
        cursor.execute(_CREATE)
        _copy(cursor, _rows(table, members))
        cursor.execute("ANALYZE new_membership")
        cursor.execute(_DELETE, [segment_ids])
        cursor.execute(_UPDATE)
        cursor.execute(_INSERT, [store_id, at])
        cursor.execute(_COUNT, [at, segment_ids])
        # Two computations in one transaction (a test, a command within one) must find the name free.
        cursor.execute("DROP TABLE new_membership")


def _rows(
    table: FeatureTable, members: Iterable[Members]
) -> Iterator[tuple[int, int | None, int | None, float | None]]:
    for entry in members:
        scores = entry.scores if entry.scores is not None else [None] * len(entry.positions)
        for position, score in zip(entry.positions, scores, strict=True):
            customer, visitor = int(table.customer[position]), int(table.visitor[position])
            yield entry.segment.pk, customer or None, visitor or None, None if score is None else float(score)


def _copy(cursor: Any, rows: Iterable[tuple[int, int | None, int | None, float | None]]) -> None:
    with cursor.copy(_FILL) as copy:
        copy.set_types(["int8", "int8", "int8", "float8"])
        for row in rows:
            copy.write_row(row)


@transaction.atomic
def memberships_forget(
    *, store_id: int, customer_ids: Iterable[int] = (), visitor_ids: Iterable[int] = ()
) -> int:
    """Take people out of every segment at once, sizes included. Gives the number of memberships."""
    rows = SegmentMembership.objects.for_store(store_id)
    theirs = rows.filter(customer_id__in=list(customer_ids)) | rows.filter(visitor_id__in=list(visitor_ids))
    segment_ids = list(theirs.values_list("segment_id", flat=True).distinct())
    count, _ = (
        SegmentMembership.objects.for_store(store_id)
        .filter(pk__in=list(theirs.values_list("pk", flat=True)))
        .delete()
    )
    for segment in Segment.objects.for_store(store_id).filter(pk__in=segment_ids):
        segment.member_count = SegmentMembership.objects.for_store(store_id).filter(segment=segment).count()
        segment.save(update_fields=["member_count"])
    return count
