"""The live tail of the log: filters, rights, and a cursor that neither misses nor repeats, whoever commits when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db.models import Q
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import keys
from accounts.admin.looks import SAME_LOOK_SECONDS
from accounts.models import Role, Store
from consent.models import AuditPayload
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, StoreFactory, VisitorFactory
from tests.servers import SERVERS, database_name
from tests.tracking.conftest import Sender, make_key, viewed
from tracking.ingestion.uuid7 import uuid7s
from tracking.models import Event
from tracking.selectors.tail import LOOK_BACK, MOST, tail

PAGE = "admin:tracking_tail"
EVENTS = "admin:tracking_tail_events"


@pytest.fixture
def sender(store: Store) -> Sender:
    keys.forget_all()
    return Sender(Client(), make_key(store)[1])


def settle(xact_id: int = 3) -> None:
    """As if what this test's transaction wrote had been committed by an old one."""
    Event.all_stores.update(xact_id=xact_id)


def _events(staff: Staff, after: int | str = 0, **asked: str) -> dict[str, Any]:
    answer = staff.client.get(reverse(EVENTS), {"after": after, **asked})
    assert answer.status_code == 200
    return answer.json()


def test_the_page_shows_the_last_hour_and_a_poll_what_came_after(
    merchandiser: Staff, store: Store, sender: Sender
) -> None:
    sender.batch(viewed("tent-1", messageId="m1"))
    settle()
    html = merchandiser.client.get(reverse(PAGE)).content.decode()
    assert html.count('class="call"') == 1
    assert "tent-1" in html
    cursor = int(html.split('data-cursor="')[1].split('"')[0])
    assert cursor > 3
    assert _events(merchandiser, cursor)["count"] == 0
    answer = _events(merchandiser, 3)
    assert (answer["count"], answer["is_cut"]) == (1, False)


def test_what_is_not_committed_everywhere_is_not_shown_yet(merchandiser: Staff, sender: Sender) -> None:
    sender.batch(viewed(messageId="m1"))
    assert _events(merchandiser)["count"] == 0


def test_filters(merchandiser: Staff, store: Store, sender: Sender) -> None:
    other_key, secret = make_key(store)
    sender.batch(
        viewed("p1", "anon-1", messageId="m1"), {"type": "page", "anonymousId": "anon-2", "name": "Home"}
    )
    Sender(Client(), secret).batch(viewed("p2", "anon-3", userId="customer-9", messageId="m3"))
    settle()
    found = {
        asked: _events(merchandiser, 0, **dict([asked]))["count"]
        for asked in (
            ("event", "Product Viewed"),
            ("event", "page"),
            ("key", str(other_key.pk)),
            ("who", "anon-2"),
            ("who", "customer-9"),
            ("who", "nobody"),
            ("event", "Nothing Such"),
        )
    }
    assert list(found.values()) == [2, 1, 1, 1, 1, 0, 0]


def test_another_store_sees_nothing(at_work: Callable[..., Staff], sender: Sender) -> None:
    stranger, outsider = at_work(StoreFactory(), Role.ADMINISTRATOR), at_work(None)
    sender.batch(viewed(messageId="m1"))
    settle()
    assert _events(stranger)["count"] == 0
    assert 'class="call"' not in stranger.client.get(reverse(PAGE)).content.decode()
    for name in (PAGE, EVENTS):
        assert outsider.client.get(reverse(name)).status_code == 403


def test_watching_one_shopper_is_recorded(merchandiser: Staff, store: Store) -> None:
    customer, visitor = CustomerFactory(store=store), VisitorFactory(store=store)
    for who in (customer.external_id, visitor.anonymous_id, "nobody", ""):
        assert merchandiser.client.get(reverse(PAGE), {"who": who}).status_code == 200
    rows = AuditPayload.objects.for_store(store).filter(entry__action="timeline.watched").order_by("pk")
    assert [row.target for row in rows] == [f"customer:{customer.public_id}", f"visitor:{visitor.pk}"]


def test_polls_that_watch_one_shopper_are_recorded_once_in_a_while(merchandiser: Staff, store: Store) -> None:
    def targets() -> list[str]:
        rows = AuditPayload.objects.for_store(store).filter(entry__action="timeline.watched")
        return list(rows.order_by("pk").values_list("target", flat=True))

    customer, visitor = CustomerFactory(store=store), VisitorFactory(store=store)
    first, second = f"customer:{customer.public_id}", f"visitor:{visitor.pk}"
    for _ in range(3):
        _events(merchandiser, 0, who=customer.external_id)
    _events(merchandiser, 0, who="nobody")
    _events(merchandiser)
    assert targets() == [first]
    merchandiser.client.get(reverse(PAGE), {"who": visitor.anonymous_id})
    _events(merchandiser, 0, who=visitor.anonymous_id)
    assert targets() == [first, second]
    session = merchandiser.client.session
    looks = session["etalage_looks"]
    session["etalage_looks"] = {name: at - SAME_LOOK_SECONDS for name, at in looks.items()}
    session.save()
    _events(merchandiser, 0, who=customer.external_id)
    assert targets() == [first, second, first]


def test_an_old_cursor_reads_the_last_hour_alone(merchandiser: Staff, store: Store, sender: Sender) -> None:
    sender.batch(viewed(messageId="old"), viewed(messageId="new"))
    settle()
    before = timezone.now() - LOOK_BACK - timedelta(minutes=1)
    Event.objects.for_store(store).filter(message_id="old").update(
        id=UUID(int=int(before.timestamp() * 1000) << 80)
    )
    assert [event.message_id for event in tail(store, Q(), 0).events] == ["new"]
    assert _events(merchandiser, 0)["count"] == 1


def test_a_cursor_that_is_none_is_refused(merchandiser: Staff) -> None:
    for after in ("", "x", "-1", "9" * 30):
        assert merchandiser.client.get(reverse(EVENTS), {"after": after}).status_code == 400


def test_a_flood_is_cut_to_the_newest(store: Store, sender: Sender) -> None:
    sender.batch(*(viewed(messageId=f"m{number:03}") for number in range(MOST + 5)))
    settle()
    found = tail(store, Q(), 3)
    assert found.is_cut
    assert len(found.events) == MOST
    assert found.events[0].pk == max(Event.objects.for_store(store).values_list("pk", flat=True))


def _write(connection: psycopg.Connection[Any], store: Store, message_id: str) -> None:
    connection.execute(
        "INSERT INTO tracking_event (id, store_id, message_id, type, name, product_id, occurred_at, received_at, purposes, "
        "is_bot, is_trusted, properties, context, xact_id) "
        "VALUES (%s, %s, %s, 1, 'x', '', now(), now(), 2, false, false, '{}', '{}', pg_current_xact_id()::text::bigint)",
        [uuid7s(1)[0], store.pk, message_id],
    )


@pytest.mark.django_db(transaction=True)
def test_what_commits_late_is_neither_missed_nor_repeated() -> None:
    """One transaction begins first and commits last: a reader of "ids above the last" would never see its row."""
    store = StoreFactory()
    address = SERVERS.database_url(database_name()).replace("postgres://", "postgresql://")
    seen: list[str] = []
    cursor: int | None = None

    def look() -> None:
        nonlocal cursor
        found = tail(store, Q(), cursor)
        seen.extend(reversed([event.message_id for event in found.events]))
        cursor = found.cursor

    with psycopg.connect(address) as slow, psycopg.connect(address, autocommit=True) as quick:
        look()
        _write(slow, store, "slow")
        _write(quick, store, "quick")
        look()
        look()
        assert "slow" not in seen
        slow.commit()
        look()
        _write(quick, store, "after")
        look()
        look()
    assert sorted(seen) == ["after", "quick", "slow"]
