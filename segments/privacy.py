"""What segments hold about a person: which groups they are in, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Q

from accounts.personal_data import (
    Classification,
    ErasureReport,
    ExportTable,
    Processor,
    Subject,
    classify,
    classify_valkey_keys,
    register,
)
from segments.models import SegmentMembership
from segments.rules import describe
from segments.services.memberships import memberships_forget

PROCESSOR = "segments"


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable(
        "segments", "Groups that you were put into, from what you did in the shop.", _rows(subject)
    )


def _rows(subject: Subject) -> Iterator[dict[str, Any]]:
    rows = SegmentMembership.objects.for_store(subject.store).filter(
        Q(customer_id__in=subject.customer_ids) | Q(visitor_id__in=subject.visitor_ids)
    )
    for row in rows.select_related("segment").order_by("segment__priority", "pk"):
        yield {
            "segment": row.segment.name,
            "description": row.segment.description,
            "kind": row.segment.get_kind_display(),
            "rules": describe(row.segment.rules) if row.segment.rules else "",
            "since": row.since,
            "score": row.score,
        }


def erase(subject: Subject) -> ErasureReport:
    count = memberships_forget(
        store_id=subject.store.pk, customer_ids=subject.customer_ids, visitor_ids=subject.visitor_ids
    )
    return ErasureReport(deleted={"segment memberships": count})


def register_all() -> None:
    register(Processor(PROCESSOR, "Segments: groups of shoppers", export, erase))
    classify(
        "segments.SegmentMembership",
        Classification.PROCESSED_BY(PROCESSOR),
        "Says which groups a person is in.",
    )
    classify_valkey_keys(
        "etalage:*:spending",
        Classification.NO_PERSONAL_DATA,
        "What twentieths of fifty buyers or more spend in a year.",
    )
    classify("segments.Segment", Classification.NO_PERSONAL_DATA, "Rules and words for groups; sizes only.")
    classify(
        "segments.ClusterModel", Classification.NO_PERSONAL_DATA, "Averages over dozens of people at least."
    )
