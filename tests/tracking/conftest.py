from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts import keys
from accounts.models import ApiKey, Scope, Store
from accounts.services.api_keys import api_key_create
from consent.models import ConsentChoice
from consent.purposes import OPTIONAL, Purpose
from consent.services.decisions import Decision, decision_record
from tests.factories import StoreFactory
from tracking.models import DiscardCount, Event, QuarantinedEvent

EVERYTHING = ["necessary", "analytics", "personalisation", "marketing", "sharing"]


@pytest.fixture
def store(db: None) -> Store:
    keys.forget_all()
    return StoreFactory(slug="shop")


def make_key(store: Store, *scopes: str, **values: Any) -> tuple[ApiKey, str]:
    """By default a key whose shop has declared that it has consent for everything: most tests are not about
    the gate."""
    declared = {"legal_basis": "consent", "consent_source": "declared", "declared_purposes": EVERYTHING}
    return api_key_create(
        store=store, name="test", scopes=scopes or (Scope.WRITE_SECRET,), **{**declared, **values}
    )


@pytest.fixture
def secret_key(store: Store) -> str:
    return make_key(store)[1]


@pytest.fixture
def public_key(store: Store) -> str:
    return make_key(store, Scope.WRITE_PUBLIC)[1]


class Sender:
    """Sends to the endpoints as clients do."""

    def __init__(self, client: Client, key: str) -> None:
        self.client = client
        self.key = key

    def post(
        self, path: str, body: Any, content_type: str = "application/json", **headers: str
    ) -> HttpResponse:
        data = body if isinstance(body, bytes) else json.dumps({"writeKey": self.key, **body}).encode()
        return self.client.post(path, data, content_type=content_type, headers=headers)

    def batch(self, *messages: Any, **fields: Any) -> HttpResponse:
        response = self.post("/v1/batch", {"batch": list(messages), **fields})
        assert response.status_code == 200, response.content
        return response


@pytest.fixture
def sender(client: Client, secret_key: str) -> Sender:
    return Sender(client, secret_key)


@pytest.fixture
def browser_sender(client: Client, public_key: str) -> Sender:
    return Sender(client, public_key)


def viewed(product_id: str = "p1", anonymous_id: str | None = "anon-1", **fields: Any) -> dict[str, Any]:
    """A Product Viewed with an id of its own only if the test gives it one."""
    message = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": anonymous_id,
        "properties": {"product_id": product_id},
    }
    return {**message, **fields}


def permit(store: Store, anonymous_id: str, purposes: Purpose = OPTIONAL, at: datetime | None = None) -> None:
    """The visitor's decision in our own ledger."""
    method = ConsentChoice.SAVE if purposes else ConsentChoice.REJECT
    decision = Decision(granted=purposes, method=method, anonymous_id=anonymous_id, at=at)
    decision_record(store=store, decision=decision)


def order_completed(
    order_id: str = "o1", anonymous_id: str | None = "anon-1", **fields: Any
) -> dict[str, Any]:
    properties = {
        "order_id": order_id,
        "total": 30.5,
        "currency": "EUR",
        "products": [{"product_id": "p2", "quantity": 2, "price": 15.25}],
    }
    message = {"type": "track", "event": "Order Completed", "anonymousId": anonymous_id}
    return {**message, **fields, "properties": {**properties, **fields.get("properties", {})}}


def stored(store: Store) -> list[Event]:
    """The log, in the order of the message ids."""
    return list(Event.objects.for_store(store).order_by("message_id"))


def quarantined(store: Store) -> dict[str, str]:
    """Reasons by message id."""
    return dict(QuarantinedEvent.objects.for_store(store).values_list("message_id", "reason"))


def discarded(store: Store) -> dict[tuple[str, str], int]:
    """Counts by (event name, reason)."""
    rows = DiscardCount.objects.for_store(store).values_list("event_name", "reason", "count")
    return {(name, reason): count for name, reason, count in rows}
