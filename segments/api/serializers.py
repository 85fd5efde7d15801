from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from algorithms.small_cells import LEAST_PEOPLE, published
from segments.models import Segment


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    size = serializers.SerializerMethodField(
        help_text=f"Members; null: fewer than {LEAST_PEOPLE}, which is not told."
    )

    class Meta:
        model = Segment
        fields = [
            "slug",
            "name",
            "description",
            "kind",
            "priority",
            "is_active",
            "rules",
            "size",
            "computed_at",
        ]

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_size(self, segment: Segment) -> int | None:
        return published(segment.member_count)


class SubjectQuery(serializers.Serializer[Any]):
    """One of the two."""

    customer_id = serializers.CharField(
        required=False, max_length=200, help_text="The shop's own customer id."
    )
    anonymous_id = serializers.CharField(
        required=False, max_length=200, help_text="The `anonymousId` of events."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if len(values) != 1:
            raise serializers.ValidationError("Give either customer_id or anonymous_id.")
        return values


class SubjectSegmentSerializer(serializers.ModelSerializer[Segment]):
    class Meta:
        model = Segment
        fields = ["slug", "name", "kind", "priority"]


class SubjectSegmentsSerializer(serializers.Serializer[Any]):
    segments = SubjectSegmentSerializer(many=True)
    is_permitted = serializers.BooleanField(
        help_text="false: this person does not permit personalisation, and is in no segment."
    )


SEGMENT_EXAMPLE: Final = {
    "slug": "vip",
    "name": "VIPs",
    "description": "The fifth that spends most, with three orders or more within a year, and not gone.",
    "kind": "lifecycle",
    "priority": 10,
    "is_active": True,
    "rules": {"all": [{"field": "rfm_monetary", "operator": "gte", "value": 5}]},
    "size": 184,
    "computed_at": "2026-03-01T12:10:03Z",
}
