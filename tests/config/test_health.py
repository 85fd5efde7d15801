"""What load balancers, supervisors and Prometheus are told."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts import valkey as shop_valkey
from config import health
from tests.factories import StoreFactory
from tracking.models import Event, LogPosition

pytestmark = pytest.mark.django_db


@pytest.fixture
def dead_valkey(settings: Any) -> Any:
    """An address where nobody answers, and no memory of better days."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    shop_valkey.breaker.reset()
    yield
    shop_valkey.breaker.reset()


def _ready(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/readyz")
    return response.status_code, json.loads(response.content)


def test_healthz_asks_nobody(client: Client, django_assert_num_queries: Any, dead_valkey: None) -> None:
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


def test_ready_when_all_is_there(client: Client, valkey: redis.Redis) -> None:
    valkey.set(health.WORKER_KEY, 1)
    assert _ready(client) == (
        200,
        {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "valkey": "ok", "worker": "ok"}},
    )


def test_degraded_without_a_worker(client: Client) -> None:
    status, body = _ready(client)
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"]["worker"] == "no worker has reported in the last half minute"


def test_degraded_without_valkey(client: Client, dead_valkey: None) -> None:
    status, body = _ready(client)
    assert (status, body["status"]) == (200, "degraded")
    assert body["checks"]["database"] == "ok"
    assert body["checks"]["valkey"].startswith("failed: ")
    assert "127.0.0.1" not in json.dumps(body), "no addresses for strangers"


def test_unavailable_without_the_database(client: Client) -> None:
    with connection.execute_wrapper(_nobody_answers):
        status, body = _ready(client)
    assert (status, body["status"]) == (503, "unavailable")
    assert body["checks"]["database"] == "failed: OperationalError"


def _nobody_answers(*_: Any) -> None:
    from django.db import OperationalError

    raise OperationalError("connection refused")


def test_unavailable_while_migrations_wait(client: Client) -> None:
    health._migrations_are_applied = False
    try:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'storefront'")
        status, body = _ready(client)
        assert (status, body["status"]) == (503, "unavailable")
        assert body["checks"]["migrations"].endswith("waiting: run manage.py migrate")
    finally:
        health._migrations_are_applied = False


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_only_to_be_read(client: Client, method: str) -> None:
    assert getattr(client, method)("/readyz").status_code == 405


def test_metrics_for_this_machine_or_with_the_token(client: Client) -> None:
    assert b"django_http_requests_before_middlewares_total" in client.get("/metrics").content
    refused = client.get("/metrics", REMOTE_ADDR="203.0.113.9")
    assert refused.status_code == 403
    assert b"django_http" not in refused.content
    with override_settings(METRICS_TOKEN="right"):
        assert client.get("/metrics").status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer right"}).status_code == 200


def test_a_forwarded_address_is_believed_only_behind_a_proxy(client: Client) -> None:
    forged = {"X-Forwarded-For": "127.0.0.1"}
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9", headers=forged).status_code == 403


def test_metrics_say_how_far_the_readers_of_the_log_are_behind(client: Client) -> None:
    store = StoreFactory(slug="shop")
    received_at = timezone.now() - timedelta(minutes=5)
    for number, xact_id in enumerate([10, 20]):
        Event.objects.create(
            store=store,
            id=uuid.uuid4(),
            message_id=f"m{number}",
            type=1,
            occurred_at=received_at,
            received_at=received_at + timedelta(minutes=number),
            purposes=2,
            xact_id=xact_id,
        )
    for reader, xact_id in (("sessions", 0), ("orders", 11), ("profiles", 21)):
        LogPosition.objects.create(store=store, reader=reader, xact_id=xact_id)
    lags = {
        sample.labels["reader"]: sample.value
        for family in text_string_to_metric_families(client.get("/metrics").content.decode())
        for sample in family.samples
        if sample.name == "etalage_reader_lag_seconds" and sample.labels["store"] == "shop"
    }
    # The oldest event is five minutes old and the next four; who has read both is not behind.
    assert lags == {
        "sessions": pytest.approx(300, abs=60),
        "orders": pytest.approx(240, abs=59),
        "profiles": 0,
    }


def test_metrics_are_there_without_the_database(client: Client) -> None:
    assert b"\netalage_database_up 1.0\n" in client.get("/metrics").content
    with connection.execute_wrapper(_nobody_answers):
        content = client.get("/metrics").content
    assert b"\netalage_database_up 0.0\n" in content
    assert b"etalage_events_total" in content
