"""Consent and requests over REST: who may say what about whom."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import vault
from accounts.models import Customer, Scope, Store
from accounts.services.api_keys import api_key_create
from accounts.services.signatures import sign_user_id
from consent.models import ConsentPayload, ConsentState, DataSubjectRequest
from consent.services.notices import notice_for


def client(store: Store, *scopes: str) -> APIClient:
    _, secret = api_key_create(store=store, name="test", scopes=scopes)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return api


@pytest.fixture
def public(store: Store) -> APIClient:
    return client(store, Scope.WRITE_PUBLIC)


@pytest.fixture
def server(store: Store) -> APIClient:
    return client(store, Scope.WRITE_SECRET, Scope.MANAGE)


def test_a_headless_shop_shows_the_notice_and_records_the_choice(public: APIClient, store: Store) -> None:
    notice = public.get("/api/v1/consent/notice/", {"language": "de-AT"}).json()
    assert (notice["language"], notice["labels"]["reject"]) == ("de", "Alle ablehnen")
    answer = public.post("/api/v1/consent/", {"choice": "accept", "notice_hash": notice["content_hash"]})
    assert answer.status_code == 201
    uuid.UUID(answer.json()["anonymous_id"])
    read = public.get("/api/v1/consent/", {"anonymous_id": answer.json()["anonymous_id"]}).json()
    assert read["granted"] == ["necessary", "analytics", "personalisation", "marketing", "sharing"]
    assert read["customer"] is None
    proof = ConsentPayload.objects.for_store(store).get()
    assert (proof.notice_hash, proof.language) == (notice_for(store, "de").content_hash, "de")


def test_who_refuses_gets_no_id(public: APIClient, store: Store) -> None:
    answer = public.post("/api/v1/consent/", {"choice": "reject"}).json()
    assert answer["anonymous_id"] is None
    assert not ConsentState.objects.for_store(store).exists()


def test_the_same_receipt_twice_is_one_decision(public: APIClient, store: Store) -> None:
    body = {
        "choice": "save",
        "purposes": ["analytics"],
        "receipt_id": str(uuid.uuid4()),
        "anonymous_id": "a-1",
    }
    first, second = public.post("/api/v1/consent/", body), public.post("/api/v1/consent/", body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert ConsentPayload.objects.for_store(store).count() == 1


def test_a_public_key_decides_for_a_customer_only_with_the_shops_signature(
    public: APIClient, store: Store
) -> None:
    body = {"choice": "accept", "user_id": "u-1"}
    for forged in ({}, {"signature": "0" * 64}):
        refused = public.post("/api/v1/consent/", {**body, **forged})
        assert (refused.status_code, refused.json()["code"]) == (403, "signature_required")
    assert public.get("/api/v1/consent/", {"user_id": "u-1"}).status_code == 403
    assert not ConsentPayload.objects.for_store(store).exists()
    assert (
        public.post("/api/v1/consent/", {**body, "signature": sign_user_id(store, "u-1")}).status_code == 201
    )


def test_circumstances_are_believed_of_servers_only(
    public: APIClient, server: APIClient, store: Store
) -> None:
    body = {
        "choice": "accept",
        "anonymous_id": "a-1",
        "ip": "198.51.100.9",
        "decided_at": "2026-01-01T00:00:00Z",
    }
    assert public.post("/api/v1/consent/", body).status_code == 403
    assert not ConsentPayload.objects.for_store(store).exists()
    assert server.post("/api/v1/consent/", body).status_code == 201
    assert ConsentPayload.objects.for_store(store).get().ip_truncated == "198.51.100.0"
    assert ConsentState.objects.for_store(store).get().valid_from.isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choice": "maybe"},
        {"choice": "save", "purposes": ["world domination"]},
        {"choice": "accept", "anonymous_id": "undefined"},
        {"choice": "accept", "anonymous_id": "x" * 201},
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(
    public: APIClient, store: Store, body: dict[str, Any]
) -> None:
    refused = public.post("/api/v1/consent/", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert refused.json()["details"]
    assert not ConsentPayload.objects.for_store(store).exists()


def test_consent_needs_a_key_that_may_write(store: Store) -> None:
    assert APIClient().get("/api/v1/consent/", {"anonymous_id": "a"}).status_code == 401
    reader = client(store, Scope.RECOMMENDATIONS_READ)
    assert reader.post("/api/v1/consent/", {"choice": "accept"}).status_code == 403
    assert not ConsentPayload.objects.for_store(store).exists()


def test_another_stores_decisions_are_not_seen(public: APIClient, store: Store) -> None:
    other = Store.objects.create(slug="other", name="Other")
    client(other, Scope.WRITE_PUBLIC).post("/api/v1/consent/", {"choice": "accept", "anonymous_id": "a-1"})
    assert public.get("/api/v1/consent/", {"anonymous_id": "a-1"}).json()["granted"] == ["necessary"]


def test_the_shops_server_hands_in_requests(server: APIClient, customer: Customer) -> None:
    body = {"kind": "erasure", "user_id": "u-1", "received_at": "2026-03-10T11:00:00Z"}
    taken = server.post("/api/v1/privacy-requests/", body)
    assert taken.status_code == 201
    assert (taken.json()["state"], taken.json()["due_at"]) == ("pending", "2026-04-10T21:59:59Z")
    again = server.post("/api/v1/privacy-requests/", body)
    assert (again.status_code, again.json()["request_id"]) == (200, taken.json()["request_id"])
    listed = server.get("/api/v1/privacy-requests/", {"state": "pending"}).json()["results"]
    assert [each["request_id"] for each in listed] == [taken.json()["request_id"]]
    assert server.get("/api/v1/privacy-requests/", {"state": "complete"}).json()["results"] == []
    assert server.get(f"/api/v1/privacy-requests/{taken.json()['request_id']}/").json()["kind"] == "erasure"


def test_somebody_without_an_account_is_found_by_address(
    server: APIClient, store: Store, customer: Customer
) -> None:
    vault.put(customer, "email", "ann@example.org")
    server.post("/api/v1/privacy-requests/", {"kind": "access", "email": "Ann@example.org"})
    assert DataSubjectRequest.objects.for_store(store).get().customer == customer
    server.post("/api/v1/privacy-requests/", {"kind": "access", "email": "guest@example.org"})
    guest = DataSubjectRequest.objects.for_store(store).latest("pk")
    assert (guest.customer, guest.contact) == (None, "guest@example.org")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "erasure"}, 400),
        ({"kind": "revenge", "user_id": "u-1"}, 400),
        ({"kind": "rectification", "user_id": "u-1"}, 400),
        ({"kind": "rectification", "user_id": "u-1", "corrections": {"loyalty_status": "gold"}}, 400),
        ({"kind": "erasure", "user_id": "nobody-here"}, 404),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    server: APIClient, store: Store, customer: Customer, body: dict[str, Any], status: int
) -> None:
    assert server.post("/api/v1/privacy-requests/", body).status_code == status
    assert not DataSubjectRequest.objects.for_store(store).exists()


def test_requests_need_the_scope_manage_and_stay_in_their_store(
    public: APIClient, server: APIClient, store: Store, customer: Customer
) -> None:
    assert public.post("/api/v1/privacy-requests/", {"kind": "erasure", "user_id": "u-1"}).status_code == 403
    assert public.get("/api/v1/privacy-requests/").status_code == 403
    assert not DataSubjectRequest.objects.for_store(store).exists()
    taken = server.post("/api/v1/privacy-requests/", {"kind": "access", "user_id": "u-1"}).json()
    other = client(Store.objects.create(slug="other", name="Other"), Scope.MANAGE)
    assert other.get(f"/api/v1/privacy-requests/{taken['request_id']}/").status_code == 404
    assert other.get("/api/v1/privacy-requests/").json()["results"] == []
