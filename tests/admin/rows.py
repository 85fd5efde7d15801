"""Rows of everything that the admin lists, `n` of each."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

from django.utils import timezone

from accounts import auditing
from accounts.models import Customer, IdentityLink, Store
from accounts.services.api_keys import api_key_create
from accounts.services.merges import customers_keep_apart, customers_merge
from consent.models import DataSubjectRequest, RegionMode, RequestPart, Suppression
from consent.purposes import Purpose
from consent.services.decisions import Decision, decision_record
from consent.services.notices import notices_install
from recommendations.models import EventWeight, MerchandisingRule, ModelVersion, TrainingRun
from recommendations.services.store_defaults import store_defaults_create
from segments.models import Segment, SegmentMembership
from tests.factories import (
    BrandFactory,
    CategoryFactory,
    CustomerFactory,
    MembershipFactory,
    ProductFactory,
    UserFactory,
    VisitorFactory,
)
from tracking.models import (
    DiscardCount,
    Event,
    EventMapping,
    EventType,
    Finding,
    ImportRun,
    Order,
    OrderLine,
    QuarantinedEvent,
    QuarantineJob,
    Session,
)

FAULTY = b'{"type": "track", "event": "Product Viewed", "anonymousId": "secret-visitor"}'
METRICS = {
    "cases": 900,
    "blend": {"ndcg@10": 0.2, "recall@10": 0.3, "coverage@10": 0.5},
    "strategies": {"popular": {"ndcg@10": 0.05, "recall@10": 0.1, "coverage@10": 0.02}},
    "unseen": {
        "blend": {"ndcg@10": 0.12, "recall@10": 0.2, "coverage@10": 0.6},
        "popular": {"ndcg@10": 0.04, "recall@10": 0.1, "coverage@10": 0.02},
    },
    "interval": {"estimate": 0.12, "low": 0.1, "high": 0.14},
    "by_density": {"5+": 0.2, "0": 0.01, "2-4": 0.1, "1": 0.05},
}


def fill(store: Store, n: int) -> None:
    """`n` more rows of each kind; called twice it makes twice as many."""
    store_defaults_create(store=store)
    notices_install(store=store)
    now = timezone.now()
    key, _ = api_key_create(store=store, name="Shop", scopes=["write:secret"])
    for number in range(n):
        mark = uuid.uuid4().hex[:8]
        MembershipFactory(store=store)
        product = ProductFactory(
            store=store, category=CategoryFactory(store=store), brand=BrandFactory(store=store)
        )
        visitor, customer = (
            VisitorFactory(store=store),
            CustomerFactory(store=store, city="Köln", country="DE"),
        )
        IdentityLink.objects.create(
            store=store, visitor=visitor, customer=customer, valid_from=now, source="identify"
        )
        _judged(store, customer)
        _shopping(store, visitor, customer, product.external_id, key, mark)
        segment = Segment.objects.create(
            store=store,
            slug=mark,
            name=f"Segment {mark}",
            rules={"all": [{"field": "orders_total", "operator": "gte", "value": 1}]},
        )
        SegmentMembership.objects.create(store=store, segment=segment, customer=customer, since=now)
        MerchandisingRule.objects.create(
            store=store,
            name=f"Boost {mark}",
            action="boost",
            brand=product.brand,
            product=product,
            category=product.category,
        )
        EventWeight.all_stores.get_or_create(
            store=store,
            event_name=["Product Shared", "Product Reviewed", "Product Clicked"][number % 3],
            defaults={"weight": 1},
        )
        newest = (
            ModelVersion.objects.for_store(store).order_by("-number").values_list("number", flat=True).first()
            or 0
        )
        version = ModelVersion.objects.create(
            store=store,
            number=newest + 1,
            state="retired",
            folder="nowhere",
            published_at=now,
            metrics=METRICS,
        )
        TrainingRun.objects.create(
            store=store, state="failed", error="It broke.", version=version, finished_at=now
        )
        _privacy(store, visitor, customer, mark)
        auditing.record(store=store, actor="user:1", action="test.row", target=f"row:{mark}")


def _judged(store: Store, customer: Customer) -> None:
    """A customer who was merged with another, and apart from a third."""
    actor = UserFactory()
    merged, other = CustomerFactory(store=store, city="Köln"), CustomerFactory(store=store, city="Köln")
    customers_merge(kept=customer, merged=merged, actor=actor, reason="Same person")
    customers_keep_apart(one=customer, other=other, actor=actor)


def _shopping(
    store: Store, visitor: object, customer: object, product_id: str, key: object, mark: str
) -> None:
    now = timezone.now()
    Event.objects.create(
        store=store, id=uuid.uuid4(), message_id=mark, type=EventType.TRACK, name="Product Viewed", visitor=visitor, customer=customer,
        product_id=product_id, occurred_at=now, received_at=now, purposes=7, xact_id=1, api_key=key, properties={"product_id": product_id},
    )  # fmt: skip
    Session.objects.create(
        store=store, id=uuid.uuid4(), visitor=visitor, customer=customer, started_at=now - timedelta(minutes=1),
        ended_at=now + timedelta(minutes=1), event_count=1, product_view_count=1,
    )  # fmt: skip
    order = Order.objects.create(
        store=store, order_id=mark, visitor=visitor, customer=customer, status="completed", placed_at=now, currency="EUR",
        total_minor_units=1999, purposes=7,
    )  # fmt: skip
    OrderLine.objects.create(
        store=store, order=order, position=0, product_id=product_id, quantity=1, unit_price_minor_units=1999
    )
    QuarantinedEvent.objects.create(
        store=store, raw=FAULTY, digest=mark, event_name="Product Viewed", reason="missing_product_id",
        detail="`properties.product_id` is missing.", api_key=key,
    )  # fmt: skip
    Finding.objects.create(
        store=store, kind="payment_missing", key=f"order:{mark}", summary=f"Order {mark} has no payment.",
        evidence=[f"order:{mark}", f"product:{product_id}"], fingerprint="f",
    )  # fmt: skip
    QuarantineJob.objects.create(store=store, deed="replay", total=2, stored=1, actor=UserFactory())
    EventMapping.objects.create(
        store=store,
        source_event=f"custom_{mark}",
        target_event="Product Viewed",
        properties={"product_id": "a.b"},
    )
    DiscardCount.objects.create(
        store=store, api_key=key, day=date(2026, 1, 1), event_name=f"Event {mark}", reason="no_consent", count=3
    )  # fmt: skip
    ImportRun.objects.create(
        store=store, api_key=key, file_name=f"{mark}.csv", file_format="csv", content_digest=mark, options_digest=mark,
        started_by="ada@shop.example", rows_read=5, stored=4, quarantined=1, faults={"unreadable": 1},
    )  # fmt: skip


def _privacy(store: Store, visitor: object, customer: object, mark: str) -> None:
    decision_record(
        store=store,
        decision=Decision(
            granted=Purpose.ANALYTICS, method="save", anonymous_id=visitor.anonymous_id, customer=customer
        ),
    )  # type: ignore[attr-defined]
    request = DataSubjectRequest.objects.create(
        store=store, kind="access", customer=customer, due_at=timezone.now() + timedelta(days=3)
    )
    RequestPart.objects.create(store=store, request=request, processor="accounts", state="done")
    Suppression.objects.create(store=store, kind="email", digest=mark, suppressed_until=timezone.now())
    RegionMode.objects.create(
        store=store, region=f"US-{mark[-3:]}", mechanism="opt_out", granted=["analytics"]
    )
