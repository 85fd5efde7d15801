from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.generics import ListCreateAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import personal_data
from accounts.api.pagination import LimitedCursorPagination
from accounts.api.schema import ERRORS, NOT_FOUND
from accounts.authentication import HasScope, key_of_request, named_customer, store_of
from accounts.client_address import client_address
from accounts.models import ApiKey, Customer, Scope, Store
from accounts.selectors.identity import find_subjects, subject_of
from consent.api import serializers as shapes
from consent.banner import remote_banner, sends_gpc
from consent.gate import LEDGER, allowed_purposes
from consent.models import ConsentChoice, ConsentPayload, ConsentState, DataSubjectRequest
from consent.notice_texts import labels
from consent.policy import customer_subject, visitor_subject
from consent.purposes import RECOGNITION, Purpose, mask, slugs
from consent.regions import Mode, mode_in, region_of
from consent.services.browser_choice import granted_by, notice_shown
from consent.services.decisions import Decision, decision_record, states_of
from consent.services.notices import notice_for
from consent.services.request_moves import open_request_of
from consent.services.requests import request_open
from consent.subjects import subject_pseudonym

BANNER_SECONDS = 300
MAY_WRITE = HasScope(Scope.WRITE_PUBLIC) | HasScope(Scope.MANAGE)


def _key_for_page(request: Request) -> ApiKey:
    """The request's key. Raises PermissionDenied for a page of an origin that the key was not made for."""
    key = key_of_request(request)
    if not key.allows_origin(request._request.META.get("HTTP_ORIGIN", "")):
        raise PermissionDenied("This key may not be used from this origin.")
    return key


def _customer_named(key: ApiKey, values: dict[str, Any]) -> Customer | str | None:
    """The customer of `user_id`, or the id itself where the shop vouches for one that is not known yet."""
    user_id = values.get("user_id")
    if not user_id:
        return None
    return named_customer(key, user_id, values.get("signature")) or str(user_id)


def _state(state: ConsentState | None) -> dict[str, Any] | None:
    return {"granted": slugs(state.granted), "since": state.valid_from} if state else None


class Consent(APIView):
    """What somebody permits, to read and to decide, for shops that show a banner of their own and for apps."""

    permission_classes = [MAY_WRITE]

    @extend_schema(
        summary="What somebody permits now",
        operation_id="consent_retrieve",
        parameters=[shapes.ConsentQuery],
        responses={200: shapes.ConsentSerializer, **ERRORS},
        examples=[OpenApiExample("A browser and its customer", shapes.CONSENT_EXAMPLE, response_only=True)],
        tags=["consent"],
    )
    def get(self, request: Request) -> Response:
        query = shapes.ConsentQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        key, asked = _key_for_page(request), query.validated_data
        customer = _customer_named(key, asked)
        user_id = customer.external_id if isinstance(customer, Customer) else customer
        anonymous_id = asked.get("anonymous_id")
        states = states_of(key.store, anonymous_id=anonymous_id, user_id=user_id)
        granted = allowed_purposes(
            key.store, anonymous_id=anonymous_id, customer=customer, source=LEDGER, gpc=sends_gpc(request)
        )
        answer = {
            "granted": slugs(granted),
            "visitor": _state(states.get(visitor_subject(anonymous_id))) if anonymous_id else None,
            "customer": _state(states.get(customer_subject(user_id))) if user_id else None,
        }
        return Response(shapes.ConsentSerializer(answer).data)

    @extend_schema(
        summary="Record a decision",
        operation_id="consent_create",
        description="Kept in the ledger with its proof; it holds from the answer on. The same `receipt_id` again changes nothing.",
        request=shapes.ConsentInput,
        responses={201: shapes.RecordedConsentSerializer, 200: shapes.RecordedConsentSerializer, **ERRORS},
        examples=[
            OpenApiExample("Analytics only", shapes.CHOICE_EXAMPLE, request_only=True),
            OpenApiExample("Recorded", shapes.RECORDED_EXAMPLE, response_only=True),
        ],
        tags=["consent"],
    )
    def post(self, request: Request) -> Response:
        given = shapes.ConsentInput(data=request.data)
        given.is_valid(raise_exception=True)
        key, values = _key_for_page(request), given.validated_data
        customer = _customer_named(key, values)
        known = _known_decision(key.store, values.get("receipt_id"))
        if known is not None:
            return Response(_recorded(known.receipt_id, mask(known.granted), values.get("anonymous_id")))
        decision = _decision(request, key, values, customer)
        recorded = decision_record(store=key.store, decision=decision)
        body = _recorded(recorded.receipt_id, recorded.granted, decision.anonymous_id)
        return Response(body, status=status.HTTP_201_CREATED)


def _known_decision(store: Store, receipt_id: uuid.UUID | None) -> ConsentPayload | None:
    return (
        ConsentPayload.objects.for_store(store).filter(receipt_id=receipt_id).first() if receipt_id else None
    )


def _recorded(receipt_id: uuid.UUID, granted: Purpose, anonymous_id: str | None) -> dict[str, Any]:
    recognised = anonymous_id if granted & RECOGNITION else None
    answer = {"receipt_id": receipt_id, "granted": slugs(granted), "anonymous_id": recognised}
    return dict(shapes.RecordedConsentSerializer(answer).data)


def _decision(
    request: Request, key: ApiKey, values: dict[str, Any], customer: Customer | str | None
) -> Decision:
    """Circumstances come from the request itself, unless a server with a secret key tells them of the person."""
    for field in ("ip", "user_agent", "decided_at"):
        if field in values and not key.is_secret:
            raise PermissionDenied(f"`{field}` is taken from servers with a secret key only.")
    choice, source = values["choice"], values["source"]
    # Where the person is, only their own request tells.
    mode = (
        Mode(values["region"] or key.store.country)
        if key.is_secret
        else mode_in(key.store, region_of(request._request, key.store))
    )
    gpc = values["gpc"] or sends_gpc(request._request)
    named = mask(values.get("purposes", ()))
    granted = granted_by(
        choice, mode, purposes=named, chosen=named if "purposes" in values else None, source=source, gpc=gpc
    )
    is_by_default = choice == ConsentChoice.DISMISS and mode.is_opt_out
    # A server's own address and agent prove nothing about the person.
    ip = values.get("ip", "") if key.is_secret else client_address(request._request)
    user_agent = values.get("user_agent", "") if key.is_secret else request.headers.get("User-Agent", "")
    decision = Decision(
        granted=granted,
        method=ConsentChoice.GPC if is_by_default and gpc else choice,
        anonymous_id=values.get("anonymous_id"),
        # What nobody chose says nothing about a customer, who may have refused on another device.
        customer=None if is_by_default else customer,
        notice=None if source else notice_shown(key.store, values.get("notice_hash", "")),
        source=source,
        receipt_id=values.get("receipt_id") or uuid.uuid4(),
        mechanism=mode.mechanism if is_by_default else values.get("mechanism", mode.mechanism),
        gpc=gpc,
        page_url=values["page_url"],
        region=values["region"] or mode.region,
        ip=ip,
        user_agent=user_agent,
        at=values.get("decided_at"),
    )
    if decision.anonymous_id is None and customer is None and decision.effective & RECOGNITION:
        return Decision(**{**vars(decision), "anonymous_id": str(uuid.uuid4())})
    return decision


class ConsentNotice(APIView):
    """The notice that a banner has to show."""

    permission_classes = [MAY_WRITE]

    @extend_schema(
        summary="The notice to show",
        operation_id="consent_notice_retrieve",
        parameters=[
            OpenApiParameter("language", str, description="de, fr-CH, …; the store's own by default.")
        ],
        responses={200: shapes.NoticeSerializer, **ERRORS},
        examples=[OpenApiExample("English", shapes.NOTICE_EXAMPLE, response_only=True)],
        tags=["consent"],
    )
    def get(self, request: Request) -> Response:
        store = _key_for_page(request).store
        notice = notice_for(store, request.query_params.get("language", store.language))
        content = {
            name: getattr(notice, name)
            for name in ("version", "language", "title", "body", "policy", "content_hash")
        }
        purposes = list(notice.purposes.all())
        return Response(
            shapes.NoticeSerializer({**content, "purposes": purposes, "labels": labels(notice.language)}).data
        )


class ConsentBanner(APIView):
    """Banner and preferences, for `etalage-consent.js` on the pages of a shop elsewhere."""

    permission_classes = [MAY_WRITE]

    @extend_schema(
        summary="The banner to show",
        operation_id="consent_banner_retrieve",
        description="Rendered from the store's notice; how to ask follows from where the request comes from.",
        parameters=[
            OpenApiParameter("language", str, description="de, fr-CH, …; the store's own by default.")
        ],
        responses={200: shapes.BannerSerializer, **ERRORS},
        examples=[OpenApiExample("English, opt-in", shapes.BANNER_EXAMPLE, response_only=True)],
        tags=["consent"],
    )
    def get(self, request: Request) -> Response:
        key = _key_for_page(request)
        language = request.query_params.get("language", "") or key.store.language
        answer = shapes.BannerSerializer(remote_banner(request._request, key.store, language))
        # Whoever opens page after page is asked about once in a while whether the notice has changed.
        return Response(answer.data, headers={"Cache-Control": f"private, max-age={BANNER_SECONDS}"})


class RequestFilter(filters.FilterSet):
    kind = filters.ChoiceFilter(choices=DataSubjectRequest.Kind.choices)
    state = filters.ChoiceFilter(choices=DataSubjectRequest.State.choices)
    due_before = filters.IsoDateTimeFilter("due_at", lookup_expr="lt")


class PrivacyRequests(ListCreateAPIView[DataSubjectRequest]):
    """Requests of people about their data."""

    permission_classes = [HasScope(Scope.MANAGE)]
    serializer_class = shapes.PrivacyRequestSerializer
    pagination_class = LimitedCursorPagination
    filterset_class = RequestFilter
    cursor_ordering = ("-received_at", "-pk")
    queryset = DataSubjectRequest.all_stores.none()

    def get_queryset(self) -> QuerySet[DataSubjectRequest]:
        requests = DataSubjectRequest.objects.for_store(store_of(self.request))
        return requests.defer("archive", "sealed").prefetch_related("parts")

    @extend_schema(
        summary="List privacy requests",
        operation_id="privacy_requests_list",
        responses={200: shapes.PrivacyRequestSerializer(many=True), **ERRORS},
        examples=[OpenApiExample("An erasure", shapes.REQUEST_EXAMPLE, response_only=True)],
        tags=["privacy requests"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Hand in a privacy request",
        operation_id="privacy_requests_create",
        description=(
            "The shop's server vouches for who asks; the privacy officer decides. An open request of the same person and "
            "kind is given instead of a second one (200)."
        ),
        request=shapes.PrivacyRequestInput,
        responses={
            201: shapes.PrivacyRequestSerializer,
            200: shapes.PrivacyRequestSerializer,
            **ERRORS,
            404: NOT_FOUND,
        },
        examples=[
            OpenApiExample("An erasure", {"kind": "erasure", "user_id": "u-1001"}, request_only=True),
            OpenApiExample("Taken", shapes.REQUEST_EXAMPLE, response_only=True),
        ],
        tags=["privacy requests"],
    )
    def post(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        given = shapes.PrivacyRequestInput(data=request.data)
        given.is_valid(raise_exception=True)
        values, key = given.validated_data, key_of_request(request)
        subject = _subject_named(key.store, values)
        known = open_request_of(key.store, values["kind"], subject_pseudonym(subject))
        taken = known or request_open(
            subject=subject,
            kind=values["kind"],
            source=DataSubjectRequest.Source.API,
            contact=values.get("email", ""),
            message=values["message"],
            corrections=values["corrections"],
            language=values["language"],
            received_at=values.get("received_at"),
            actor=key,
        )
        body = shapes.PrivacyRequestSerializer(taken).data
        return Response(body, status=status.HTTP_200_OK if known else status.HTTP_201_CREATED)


def _subject_named(store: Store, values: dict[str, Any]) -> personal_data.Subject:
    if user_id := values.get("user_id"):
        customer = Customer.objects.for_store(store).filter(external_id=user_id).first()
        if customer is None:
            raise NotFound(f"No customer {user_id[:40]!r} in this store.")
        return subject_of(customer)
    found = find_subjects(store, email=values["email"])
    if len(found) > 1:
        raise ValidationError({"email": ["Several customers have this address: name one by `user_id`."]})
    return (
        found[0] if found else personal_data.Subject(store=store, emails=(values["email"].strip().lower(),))
    )


class PrivacyRequestDetail(RetrieveAPIView[DataSubjectRequest]):
    permission_classes = [HasScope(Scope.MANAGE)]
    serializer_class = shapes.PrivacyRequestSerializer
    lookup_field = "public_id"
    queryset = DataSubjectRequest.all_stores.none()

    def get_queryset(self) -> QuerySet[DataSubjectRequest]:
        requests = DataSubjectRequest.objects.for_store(store_of(self.request))
        return requests.defer("archive", "sealed").prefetch_related("parts")

    @extend_schema(
        summary="How a privacy request stands",
        operation_id="privacy_requests_retrieve",
        responses={200: shapes.PrivacyRequestSerializer, **ERRORS, 404: NOT_FOUND},
        examples=[OpenApiExample("An erasure", shapes.REQUEST_EXAMPLE, response_only=True)],
        tags=["privacy requests"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)
