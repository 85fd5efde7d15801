from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.pagination import LimitedCursorPagination
from accounts.api.schema import ERRORS, NOT_FOUND
from accounts.authentication import HasScope, key_of_request, store_of
from accounts.models import Customer, Scope, Store, Visitor
from consent.gate import SourcePolicy, may_personalise
from segments.api.serializers import (
    SEGMENT_EXAMPLE,
    SegmentSerializer,
    SubjectQuery,
    SubjectSegmentsSerializer,
)
from segments.models import Segment
from segments.selectors import segments_of


class SegmentList(ListAPIView[Segment]):
    """Segments of the key's store with their sizes, the one whose weights win first."""

    permission_classes = [HasScope(Scope.MANAGE)]
    serializer_class = SegmentSerializer
    pagination_class = LimitedCursorPagination
    filter_backends: list[Any] = []
    cursor_ordering = ("priority", "name", "pk")

    @extend_schema(
        summary="List segments",
        operation_id="segments_list",
        responses={200: SegmentSerializer(many=True), **ERRORS},
        examples=[OpenApiExample("A segment", SEGMENT_EXAMPLE, response_only=True)],
        tags=["segments"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Segment]:
        return Segment.objects.for_store(store_of(self.request))


class SegmentDetail(RetrieveAPIView[Segment]):
    permission_classes = [HasScope(Scope.MANAGE)]
    serializer_class = SegmentSerializer
    lookup_field = "slug"

    @extend_schema(
        summary="Get a segment",
        operation_id="segments_retrieve",
        responses={200: SegmentSerializer, **ERRORS, 404: NOT_FOUND},
        examples=[OpenApiExample("A segment", SEGMENT_EXAMPLE, response_only=True)],
        tags=["segments"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Segment]:
        return Segment.objects.for_store(store_of(self.request))


class SubjectSegments(APIView):
    """Which segments one shopper is in. Needs the scope `manage`: a public key could ask about anybody."""

    permission_classes = [HasScope(Scope.MANAGE)]

    @extend_schema(
        summary="Segments of a shopper",
        operation_id="segments_of_shopper",
        parameters=[SubjectQuery],
        responses={200: SubjectSegmentsSerializer, **ERRORS, 404: NOT_FOUND},
        examples=[
            OpenApiExample(
                "A VIP",
                {
                    "segments": [{"slug": "vip", "name": "VIPs", "kind": "lifecycle", "priority": 10}],
                    "is_permitted": True,
                },
                response_only=True,
            )
        ],
        tags=["segments"],
    )
    def get(self, request: Request) -> Response:
        query = SubjectQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        store = store_of(request)
        customer, visitor = _subject(store, query.validated_data)
        is_permitted = may_personalise(
            store,
            anonymous_id=visitor.anonymous_id if visitor else None,
            customer=customer,
            source=SourcePolicy.of(key_of_request(request)),
        )
        segments = segments_of(store, customer, visitor) if is_permitted else []
        return Response(SubjectSegmentsSerializer({"segments": segments, "is_permitted": is_permitted}).data)


def _subject(store: Store, asked: dict[str, str]) -> tuple[Customer | None, Visitor | None]:
    if "customer_id" in asked:
        customer = Customer.objects.for_store(store).filter(external_id=asked["customer_id"]).first()
        if customer is None:
            raise NotFound("No customer with this id.")
        return customer, None
    visitor = Visitor.objects.for_store(store).filter(anonymous_id=asked["anonymous_id"]).first()
    if visitor is None:
        raise NotFound("No visitor with this id.")
    return None, visitor
