"""Collecting requests pass no other middleware, and miss nothing of it that they need."""

from __future__ import annotations

import pytest
from django.test import Client
from prometheus_client import REGISTRY

from tests.tracking.conftest import Sender, viewed
from tracking.models import Event

pytestmark = pytest.mark.django_db


def taken(status: int) -> float:
    return REGISTRY.get_sample_value("etalage_collect_requests_total", {"status": str(status)}) or 0.0


def test_the_answer_is_whole(sender: Sender) -> None:
    before = taken(200)
    response = sender.post("/v1/track", viewed(), **{"X-Request-ID": "a-proxy-said-so"})
    assert response.status_code == 200
    # Without a length, servers send answers in chunks.
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["X-Request-ID"] == "a-proxy-said-so"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not response.cookies
    assert taken(200) == before + 1


def test_pages_of_other_origins_are_answered_as_before(client: Client, public_key: str) -> None:
    preflight = client.options(
        "/v1/t",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "content-type" in preflight.headers["Access-Control-Allow-Headers"]
    response = Sender(client, public_key).post("/v1/t", viewed(), Origin="https://shop.example")
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_nothing_is_redirected_where_pages_are(sender: Sender, settings, store) -> None:
    settings.SECURE_SSL_REDIRECT = True
    sender.client = Client()
    assert sender.client.get("/admin/login/").status_code == 301
    for path in ("/v1/track", "/v1/track/"):
        assert sender.post(path, viewed(messageId=path)).status_code == 200
    assert Event.objects.for_store(store).count() == 2


def test_refusals_are_counted_too(sender: Sender) -> None:
    before = taken(401)
    sender.key = "no such key"
    assert sender.post("/v1/track", viewed()).status_code == 401
    assert taken(401) == before + 1
