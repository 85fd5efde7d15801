from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Customer, Scope, Store
from accounts.services.api_keys import api_key_create
from config.processes import free_port
from storefront.models import OutboxEvent
from storefront.services.outbox import MAX_ATTEMPTS, outbox_expire, outbox_send, outbox_write
from tests.factories import CustomerFactory, StoreFactory
from tracking.models import Event

ORDER = {
    "type": "track",
    "event": "Order Completed",
    "properties": {
        "order_id": "WF-1",
        "total": 10.0,
        "currency": "EUR",
        "products": [{"product_id": "P1", "price": 10.0, "quantity": 1}],
    },
}


def write(customer: Customer, message_id: str = "m1") -> OutboxEvent:
    event = outbox_write(
        store=customer.store, message=ORDER, message_id=message_id, customer=customer, anonymous_id=None
    )
    assert event is not None
    return event


class Recorder(HTTPServer):
    """Answers every batch with `status` and counts."""

    status = 200
    requests = 0


class Answer(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def etalage(settings: object) -> Iterator[Recorder]:
    server = Recorder(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.ETALAGE_URL = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    settings.ETALAGE_STOREFRONT_SECRET_KEY = "a-secret-key-of-the-shop"  # type: ignore[attr-defined]
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def customer(db: None) -> Customer:
    return CustomerFactory()


@pytest.mark.django_db(transaction=True)
def test_an_order_arrives_as_an_event(live_server: Any, settings: Any) -> None:
    store: Store = StoreFactory()
    _, settings.ETALAGE_STOREFRONT_SECRET_KEY = api_key_create(
        store=store, name="shop", scopes=[Scope.WRITE_SECRET]
    )
    settings.ETALAGE_URL = live_server.url
    write(CustomerFactory(store=store, external_id="c-1"))
    assert outbox_send() == 1
    event = Event.objects.for_store(store).get()
    assert (event.name, event.message_id, event.customer.external_id) == ("Order Completed", "m1", "c-1")
    assert event.is_trusted
    # Sent again, as after a lost answer: it is still one.
    OutboxEvent.objects.for_store(store).update(sent_at=None)
    assert outbox_send() == 1
    assert Event.objects.for_store(store).count() == 1


def test_what_was_rolled_back_is_never_told(customer: Customer) -> None:
    with transaction.atomic():
        write(customer)
        transaction.set_rollback(True)
    assert not OutboxEvent.all_stores.exists()


def test_nobody_is_nobody(customer: Customer) -> None:
    assert (
        outbox_write(store=customer.store, message=ORDER, message_id="m", customer=None, anonymous_id=None)
        is None
    )
    assert not OutboxEvent.all_stores.exists()


def test_a_silent_etalage_keeps_events_waiting(customer: Customer, settings: Any) -> None:
    settings.ETALAGE_URL = f"http://127.0.0.1:{free_port()}"
    settings.ETALAGE_STOREFRONT_SECRET_KEY = "a-secret-key-of-the-shop"
    event = write(customer)
    assert outbox_send() == 0
    event.refresh_from_db()
    assert (event.sent_at, event.attempts) == (None, 1)
    assert "does not answer" in event.error


@pytest.mark.parametrize(
    "status, is_given_up", [(503, False), (401, False), (429, False), (400, True), (413, True)]
)
def test_a_refusal_is_tried_again_unless_it_is_final(
    customer: Customer, etalage: Recorder, status: int, is_given_up: bool
) -> None:
    etalage.status = status
    event = write(customer)
    assert outbox_send() == 0
    event.refresh_from_db()
    assert (event.attempts >= MAX_ATTEMPTS) is is_given_up
    etalage.status = 200
    assert outbox_send() == (0 if is_given_up else 1)


def test_batches_hold_a_hundred(customer: Customer, etalage: Recorder) -> None:
    for number in range(150):
        write(customer, f"m{number}")
    assert outbox_send() == 150
    assert etalage.requests == 2


def test_without_a_key_nothing_is_sent(customer: Customer, etalage: Recorder, settings: Any) -> None:
    settings.ETALAGE_STOREFRONT_SECRET_KEY = ""
    event = write(customer)
    assert outbox_send() == 0
    assert etalage.requests == 0
    event.refresh_from_db()
    assert "seed_demo" in event.error


def test_delivered_events_are_forgotten_after_two_days(customer: Customer) -> None:
    now = timezone.now()
    old, new, waiting = write(customer, "old"), write(customer, "new"), write(customer, "waiting")
    OutboxEvent.all_stores.filter(pk=old.pk).update(sent_at=now - timedelta(days=3))
    OutboxEvent.all_stores.filter(pk=new.pk).update(sent_at=now - timedelta(days=1))
    assert outbox_expire(now) == 1
    assert set(OutboxEvent.all_stores.values_list("pk", flat=True)) == {new.pk, waiting.pk}
