from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, order_completed, quarantined, stored, viewed
from tracking.ingestion.importing import ingest_messages

T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def test_counts_add_up(store):
    key, _ = make_key(store, declared_purposes=["analytics"], consent_source="client")
    permitted = {"consent": {"analytics": True}}
    result = ingest_messages(
        store,
        key,
        [
            viewed(messageId="m1", context=permitted),
            viewed(messageId="m1", context=permitted),
            viewed(messageId="m2"),
            viewed(messageId="m3", properties={}, context=permitted),
            order_completed(messageId="m4"),
        ],
    )
    assert (result.stored, result.duplicates, result.quarantined, result.discarded) == (2, 1, 1, 1)
    again = ingest_messages(store, key, [viewed(messageId="m1", context=permitted)])
    assert (again.stored, again.duplicates) == (0, 1)


def test_history_keeps_its_own_times(store):
    key, _ = make_key(store)
    ingest_messages(
        store,
        key,
        [
            viewed(messageId="m1", timestamp=T0),
            viewed(messageId="m2", timestamp=T0.isoformat(), sentAt=T0 + timedelta(seconds=5)),
            viewed(messageId="m3", timestamp=T0, receivedAt=T0 + timedelta(seconds=9)),
        ],
    )
    assert [(event.occurred_at - T0, event.received_at - T0) for event in stored(store)] == [
        (timedelta(0), timedelta(0)),
        (timedelta(0), timedelta(seconds=5)),
        (timedelta(0), timedelta(seconds=9)),
    ]


def test_one_time_of_receipt_for_all(store):
    key, _ = make_key(store)
    ingest_messages(store, key, [viewed(timestamp=T0, receivedAt=T0)], received_at=T0 + timedelta(days=1))
    assert stored(store)[0].received_at == T0 + timedelta(days=1)


def test_batches_are_reported_as_they_are_done(store):
    key, _ = make_key(store)
    reported = []
    ingest_messages(
        store, key, (viewed(f"p{n}") for n in range(25)), batch_events=10, progress=reported.append
    )
    assert reported == [10, 10, 5]


def test_json_bytes_are_messages_too(store):
    key, _ = make_key(store)
    raw = b'{"type":"track","event":"Product Viewed","anonymousId":"a","messageId":"m","properties":{}}'
    result = ingest_messages(store, key, [raw, b'{"type":"page","anonymousId":"a"}', b"no json"])
    assert (result.stored, result.quarantined) == (1, 2)
    assert quarantined(store) == {"m": "missing_product_id", "": "unreadable"}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "track", "event": 5},
        {**viewed(), "properties": {1, 2}},
        viewed("a\0b"),
        viewed(anonymous_id="x\0"),
    ],
)
def test_faulty_python_values_are_quarantined(store, message):
    key, _ = make_key(store)
    assert ingest_messages(store, key, [message, viewed("good")]).quarantined == 1
    assert [event.product_id for event in stored(store)] == ["good"]


def test_the_key_of_another_store_is_refused(store):
    key, _ = make_key(StoreFactory())
    with pytest.raises(ValueError, match="another store"):
        ingest_messages(store, key, [viewed()])
    assert not stored(store)


def test_the_derived_id_is_the_same_for_dicts_each_time(store):
    key, _ = make_key(store)
    message = viewed(timestamp=T0, context={"locale": "de"})
    first = ingest_messages(store, key, [message])
    second = ingest_messages(store, key, [dict(reversed(message.items()))])
    assert (first.stored, second.stored, second.duplicates) == (1, 0, 1)
