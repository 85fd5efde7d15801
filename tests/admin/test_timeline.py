"""A shopper's timeline: visits with everything in them, in order; who reads it is recorded; others see nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Customer, IdentityLink, Role, Store, Visitor
from consent.models import AuditEntry, AuditPayload
from consent.purposes import OPTIONAL, Purpose
from recommendations.models import Impression, ImpressionClick
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, ProductFactory, StoreFactory, VisitorFactory
from tests.tracking.conftest import permit
from tracking.admin.timeline import Block, _stretch, blocks_of
from tracking.ingestion.uuid7 import uuid7s
from tracking.models import Event, EventType, Order, Session

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def event(
    visitor: Visitor | None, name: str, minutes: float, customer: Customer | None = None, **values: Any
) -> Event:
    store_id = visitor.store_id if visitor else customer.store_id  # type: ignore[union-attr]
    key = uuid7s(1)[0]
    fields: dict[str, Any] = {
        "type": EventType.TRACK,
        "purposes": 6,
        "xact_id": 1,
        "product_id": "",
        **values,
    }
    return Event.all_stores.create(
        id=key, store_id=store_id, message_id=str(key), name=name, visitor=visitor, customer=customer,
        occurred_at=at(minutes), received_at=at(minutes), **fields,
    )  # fmt: skip


def session(
    visitor: Visitor, begin: float, end: float, customer: Customer | None = None, **values: Any
) -> Session:
    return Session.all_stores.create(
        id=uuid.uuid4(), store_id=visitor.store_id, visitor=visitor, customer=customer,
        started_at=at(begin), ended_at=at(end), **values,
    )  # fmt: skip


def impression(
    visitor: Visitor, request_id: uuid.UUID, product_id: str, rank: int, minutes: float
) -> Impression:
    return Impression.all_stores.create(
        store_id=visitor.store_id, request_id=request_id, placement="home", product_id=product_id, rank=rank,
        strategy="als", variant="personalised", model_version=3, visitor=visitor, seen_at=at(minutes),
    )  # fmt: skip


def blocks(subject: Customer | Visitor, only: str = "") -> list[Block]:
    return blocks_of(_stretch(subject.store, subject, None)[0], only)


def titles(block: Block) -> list[str]:
    return [moment.title for moment in block.moments]


@pytest.fixture
def visitor(store: Store) -> Visitor:
    return VisitorFactory(store=store, anonymous_id="anon-1")


def test_a_visit_tells_everything_in_order(visitor: Visitor) -> None:
    ProductFactory(store=visitor.store, external_id="tent", name="Ridge tent")
    request_id = uuid.uuid4()
    shown = {"request_id": str(request_id), "placement": "home"}
    permit(visitor.store, "anon-1", OPTIONAL, at(-1))
    session(visitor, 0, 10)
    event(visitor, "Home", 0, type=EventType.PAGE)
    event(visitor, "Recommendation Viewed", 1, product_id="tent", properties=shown)
    event(visitor, "Recommendation Viewed", 1, product_id="mug", properties=shown)
    event(visitor, "Recommendation Clicked", 2, product_id="tent", properties=shown)
    event(visitor, "Product Viewed", 3, product_id="tent")
    event(visitor, "Order Completed", 9, properties={"order_id": "A-1"})
    impression(visitor, request_id, "mug", 2, 1)
    impression(visitor, request_id, "tent", 1, 1)
    ImpressionClick.all_stores.create(
        store=visitor.store, request_id=request_id, placement="home", product_id="tent", visitor=visitor
    )
    Order.all_stores.create(
        store=visitor.store, order_id="A-1", visitor=visitor, status="completed", placed_at=at(9), currency="EUR",
        total_minor_units=19900,
    )  # fmt: skip
    [visit] = blocks(visitor)
    assert titles(visit) == [
        "Consent: chose",
        "page Home",
        "Saw the shelf home",
        "Recommendation Clicked",
        "Product Viewed",
        "Order A-1",
    ], "the shelf tells its views, the order its event: neither is told twice"
    shelf = visit.moments[2]
    assert [(product.rank, product.name, product.is_clicked) for product in shelf.products] == [
        (1, "Ridge tent", True),
        (2, "", False),
    ]
    assert shelf.detail == "personalised, model version 3"
    assert visit.moments[0].detail == "permits analytics, personalisation, marketing, sharing"
    assert "€199.00" in visit.moments[-1].detail


def test_views_that_no_impression_tells_stay_events(visitor: Visitor) -> None:
    """Not folded yet, or without permission for analytics."""
    session(visitor, 0, 10)
    event(visitor, "Recommendation Viewed", 1, product_id="tent", properties={"request_id": "r"})
    assert titles(blocks(visitor)[0]) == ["Recommendation Viewed"]


def test_visits_are_newest_first_and_the_rest_lies_between(visitor: Visitor) -> None:
    session(visitor, 0, 10)
    session(visitor, 300, 310)
    event(visitor, "Product Viewed", 1)
    event(visitor, "Product Viewed", 301)
    permit(visitor.store, "anon-1", Purpose(0), at(100))
    found = blocks(visitor)
    assert [block.at for block in found] == [at(300), at(100), at(0)]
    assert found[1].session is None
    assert found[1].moments[0].detail == "permits only what is necessary"


def test_of_a_customer_what_their_devices_and_the_server_told(store: Store, visitor: Visitor) -> None:
    customer = CustomerFactory(store=store)
    phone, stranger = VisitorFactory(store=store), VisitorFactory(store=store)
    IdentityLink.all_stores.create(
        store=store, visitor=visitor, customer=customer, valid_from=at(5), source="login"
    )
    session(visitor, 0, 10, customer)
    session(phone, 200, 205, customer)
    session(stranger, 201, 206)
    event(visitor, "Product Viewed", 1)
    event(phone, "Product Viewed", 201)
    event(stranger, "Product Added", 202)
    event(None, "Order Refunded", 500, customer)
    found = blocks(customer)
    assert [titles(block) for block in found] == [
        ["Order Refunded"],
        ["Product Viewed"],
        ["Product Viewed", "Recognised on a browser"],
    ]


def test_of_a_shared_browser_each_customer_sees_their_own_part_of_a_visit(
    store: Store, visitor: Visitor
) -> None:
    """One visit of half an hour: Ann until minute 10, then Bob. Some events name who it was, others nobody."""
    ann, bob = CustomerFactory(store=store), CustomerFactory(store=store)
    for customer, since, until in ((ann, 0, at(10)), (bob, 10, None)):
        IdentityLink.all_stores.create(
            store=store, visitor=visitor, customer=customer, valid_from=at(since), valid_until=until, source="login"
        )  # fmt: skip
    visit = session(visitor, 0, 20)
    event(visitor, "Named Ann", 1, ann)
    event(visitor, "Silent Ann", 2)
    event(visitor, "Named Bob", 11, bob)
    event(visitor, "Silent Bob", 12)
    event(visitor, "Ann Came Late", 13, ann)
    permit(store, "anon-1", OPTIONAL, at(3))
    permit(store, "anon-1", Purpose(0), at(14))
    told = []
    for who in (ann, bob):
        # A visit is filed under one of them.
        Session.all_stores.filter(pk=visit.pk).update(customer=who)
        seen = [title for block in blocks(who) for title in titles(block)]
        told.append([title for title in seen if "Recognised" not in title])
    assert told == [
        ["Named Ann", "Silent Ann", "Consent: chose", "Ann Came Late"],
        ["Named Bob", "Silent Bob", "Consent: rejected all"],
    ]
    assert len([title for block in blocks(visitor) for title in titles(block)]) == 9


def test_one_kind_alone(visitor: Visitor) -> None:
    session(visitor, 0, 10)
    session(visitor, 300, 310)
    event(visitor, "Product Viewed", 1)
    impression(visitor, uuid.uuid4(), "mug", 1, 301)
    [visit] = blocks(visitor, "shelf")
    assert visit.at == at(300)
    assert titles(visit) == ["Saw the shelf home"]


def test_pages_meet_without_a_gap_and_without_overlap(visitor: Visitor) -> None:
    for number in range(23):
        session(visitor, 100 * number, 100 * number + 5)
        event(visitor, f"Event {number}", 100 * number + 1)
        event(visitor, f"Loose {number}", 100 * number + 60)
    seen: list[str] = []
    before = None
    pages = 0
    while pages == 0 or before:
        stretch, before = _stretch(visitor.store, visitor, before)
        seen += [title for block in blocks_of(stretch) for title in titles(block)]
        pages += 1
    assert pages == 3
    assert len(seen) == 46
    assert set(seen) == {f"{kind} {number}" for number in range(23) for kind in ("Event", "Loose")}


def test_reading_is_recorded(merchandiser: Staff, visitor: Visitor) -> None:
    session(visitor, 0, 10)
    event(visitor, "Product Viewed", 1, product_id="tent")
    answer = merchandiser.client.get(reverse("admin:tracking_timeline", args=["visitor", visitor.pk]))
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "Product Viewed" in html
    assert "no-store" in answer.headers["Cache-Control"]
    entry = AuditPayload.objects.for_store(visitor.store).get(entry__action="timeline.read")
    assert entry.target == f"visitor:{visitor.pk}"
    assert entry.actor == f"user:{merchandiser.user.pk}"


def test_others_see_nothing(at_work: Callable[..., Staff], visitor: Visitor) -> None:
    stranger, outsider = at_work(StoreFactory(), Role.ADMINISTRATOR), at_work(None)
    url = reverse("admin:tracking_timeline", args=["visitor", visitor.pk])
    assert stranger.client.get(url).status_code == 404
    assert outsider.client.get(url).status_code == 403
    assert not AuditEntry.all_stores.filter(action="timeline.read").exists()


def test_nonsense_is_refused(merchandiser: Staff, visitor: Visitor) -> None:
    for kind, pk in (("visitor", 10**9), ("shopper", visitor.pk)):
        assert merchandiser.client.get(reverse("admin:tracking_timeline", args=[kind, pk])).status_code == 404
    url = reverse("admin:tracking_timeline", args=["visitor", visitor.pk])
    assert merchandiser.client.get(url, {"before": "yesterday"}).status_code == 400
    assert (
        merchandiser.client.get(url, {"before": "2026-05-04T12:00:00+00:00", "only": "x"}).status_code == 200
    )


def test_a_page_asks_few_questions(
    merchandiser: Staff, visitor: Visitor, django_assert_max_num_queries: Any
) -> None:
    for number in range(9):
        session(visitor, 100 * number, 100 * number + 50)
        for minute in range(6):
            event(visitor, "Product Viewed", 100 * number + minute, product_id="tent")
            impression(visitor, uuid.uuid4(), "mug", 1, 100 * number + minute)
    with django_assert_max_num_queries(40):
        merchandiser.client.get(reverse("admin:tracking_timeline", args=["visitor", visitor.pk]))


def test_visits_and_events_lead_to_it(merchandiser: Staff, visitor: Visitor) -> None:
    url = reverse("admin:tracking_timeline", args=["visitor", visitor.pk])
    for name, row in (("session", session(visitor, 0, 10)), ("event", event(visitor, "Product Viewed", 1))):
        page = merchandiser.client.get(reverse(f"admin:tracking_{name}_change", args=[row.pk]))
        assert url in page.content.decode()


def test_the_profile_leads_to_it(merchandiser: Staff, visitor: Visitor) -> None:
    session(visitor, 0, 10)
    html = merchandiser.client.get(
        reverse("admin:accounts_visitor_change", args=[visitor.pk])
    ).content.decode()
    assert reverse("admin:tracking_timeline", args=["visitor", visitor.pk]) in html
