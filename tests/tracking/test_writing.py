"""A few events go into the log in one statement, many by way of a table: the rows are the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from accounts.models import Visitor
from accounts.services.visitors import SeenVisitor, visitor_get_or_create, visitors_get_or_create
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking.ingestion import committer, writing
from tracking.ingestion.cursors import ServerCursors
from tracking.ingestion.drafts import Arrival, Source
from tracking.ingestion.validation import draft_of_fields

pytestmark = pytest.mark.django_db

MESSAGES = [
    viewed("p1", messageId="m1", timestamp="2026-05-01T10:00:00.123456Z"),
    viewed("straße \u20ac 🛒", 'a "quoted" \\ id, {with} commas', messageId="m2", userId="c'1"),
    viewed("p3", None, messageId="m3", userId="c2", timestamp="1990-01-02T00:00:00Z"),
    viewed("p4", messageId="m4", properties={"product_id": "p4", "price": 1e-7, "big": 12345678901234567890, "none": None}),
    viewed("p5", messageId="m5", context={"locale": "de-DE", "page": {"url": "https://shop.example/?q=1"}}),
    viewed("p1", messageId="m1"),
    order_completed("o1", messageId="m6"),
    {"type": "identify", "userId": "c1", "anonymousId": "anon-1", "messageId": "m7", "traits": {"plan": "gold"}},
    {"type": "page", "name": "Start", "anonymousId": "anon-1", "messageId": "m8"},
]  # fmt: skip


@pytest.mark.parametrize("few", [len(MESSAGES) + 1, 0], ids=["in one statement", "by way of a table"])
def test_rows_are_the_same_either_way(few: int, monkeypatch) -> None:
    monkeypatch.setattr(writing, "_FEW", few)
    store = StoreFactory()
    key, _ = make_key(store)
    arrival = Arrival(Source.of(key), datetime(2026, 5, 2, 12, 0, 0, 654321, tzinfo=UTC))
    [tally] = committer.commit([[draft_of_fields(message, arrival) for message in MESSAGES]])
    assert (tally.stored, tally.duplicates, tally.quarantined, tally.discarded) == (8, 1, 0, 0)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT message_id, event.type, event.name, visitor.anonymous_id, customer.external_id, product_id, occurred_at::text,
                   received_at::text, purposes, event.is_bot, is_trusted, properties::text, context::text, api_key_id = %s,
                   xact_id = pg_current_xact_id()::text::bigint
              FROM tracking_event event
              LEFT JOIN accounts_visitor visitor ON visitor.id = event.visitor_id
              LEFT JOIN accounts_customer customer ON customer.id = event.customer_id
             WHERE event.store_id = %s ORDER BY message_id
            """,
            [key.pk, store.pk],
        )
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    assert sorted(rows) == [f"m{n}" for n in range(1, 9)]
    assert rows["m1"][2:7] == (
        "anon-1", None, "p1", "2026-05-01 10:00:00.123456+00", "2026-05-02 12:00:00.654321+00",
    )  # fmt: skip
    assert rows["m2"][2:5] == ('a "quoted" \\ id, {with} commas', "c'1", "straße \u20ac 🛒")
    assert rows["m3"][2:6] == (None, "c2", "p3", "1990-01-02 00:00:00+00")
    assert (
        rows["m4"][10]
        == '{"big": 12345678901234567890, "none": null, "price": 0.0000001, "product_id": "p4"}'
    )
    assert rows["m5"][11] == '{"page": {"url": "https://shop.example/"}, "locale": "de-DE"}'
    assert rows["m6"][1] == "Order Completed"
    assert rows["m7"][10] == '{"traits": ["plan"]}'
    assert all(row[8] is False and row[9] is True and row[12:] == (True, True) for row in rows.values())


@pytest.mark.parametrize("texts", [[], ["a"], ["", "ö", "🛒", "a\"b'c\\d,{}", "x" * 5000], ["same", "same"]])
def test_lists_of_text_reach_the_server_as_they_are(texts: list[str]) -> None:
    cursor = ServerCursors().cursor()
    cursor.execute("SELECT %s::text[]", [texts])
    assert cursor.fetchone() == (texts,)


def test_lists_of_other_things_do_too() -> None:
    cursor = ServerCursors().cursor()
    cursor.execute("SELECT %s::bigint[], %s::text[]", [[1, 2**40], ["a", None]])
    assert cursor.fetchone() == ([1, 2**40], ["a", None])


def test_who_is_not_asked_for_is_not_given() -> None:
    """What was found of more visitors than turned out to be permitted is passed over."""
    store, now = StoreFactory(), datetime.now(UTC)
    known = visitor_get_or_create(store=store, anonymous_id="known", at=now)
    other = visitor_get_or_create(store=store, anonymous_id="other", at=now)
    found = [(visitor.anonymous_id, visitor.pk, now, now, False) for visitor in (known, other)]
    with connection.cursor() as cursor:
        ids = visitors_get_or_create(cursor, store.pk, [SeenVisitor("known", now, now), SeenVisitor("new", now, now)], found)  # fmt: skip
    new = Visitor.objects.for_store(store).get(anonymous_id="new")
    assert ids == {"known": known.pk, "new": new.pk}
