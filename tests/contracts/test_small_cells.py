"""Wherever figures about people leave, nine people are too few and ten are enough."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, Scope, Store, Visitor
from accounts.services.api_keys import api_key_create
from consent.purposes import ALL
from consent.services.decisions import Decision, decisions_record
from recommendations.models import Density, Impression, ImpressionClick
from segments.models import Segment, SegmentMembership
from tests.admin.conftest import at_work  # noqa: F401 (a fixture)
from tests.factories import CustomerFactory, ProductFactory, StoreFactory, VisitorFactory
from tracking.models import DiscardCount, Event, EventType

MakeStaff = Callable[..., Any]


@pytest.fixture
def store(db: None) -> Store:
    cache.clear()
    return StoreFactory(slug="shop")


def rows_of(client: Client, url: str) -> list[dict[str, str]]:
    answer = client.get(url)
    assert answer.status_code == 200
    content = b"".join(answer) if answer.streaming else answer.content
    return list(csv.DictReader(io.StringIO(content.decode())))


def segment_of(store: Store, people: int) -> Segment:
    segment = Segment.objects.create(
        store=store, slug=f"s{people}", name=f"Of {people}", rules={"all": []}, member_count=people
    )
    for _ in range(people):
        SegmentMembership.objects.create(
            store=store, segment=segment, customer=CustomerFactory(store=store), since=timezone.now()
        )
    return segment


def test_sizes_of_segments_leave_from_ten_people_on(store: Store, at_work: MakeStaff) -> None:  # noqa: F811
    for people in (0, 9, 10):
        segment_of(store, people)
    staff = at_work(store, Role.MERCHANDISER)
    file = rows_of(staff.client, reverse("admin:segments_segment_export"))
    assert {row["slug"]: row["members"] for row in file} == {"s0": "0", "s9": "", "s10": "10"}
    _, secret = api_key_create(store=store, name="server", scopes=[Scope.MANAGE])
    answer = Client().get("/api/v1/segments/", headers={"Authorization": f"Bearer {secret}"})
    assert {row["slug"]: row["size"] for row in answer.json()["results"]} == {"s0": 0, "s9": None, "s10": 10}


@pytest.mark.parametrize(("people", "told"), [(9, None), (10, 10)])
def test_a_computation_of_segments_tells_programmes_no_small_size(
    store: Store, people: int, told: int | None
) -> None:
    customers = [CustomerFactory(store=store, country="DE") for _ in range(people)]
    decisions_record(
        store=store, decisions=[Decision(ALL, "accept", customer=customer) for customer in customers]
    )
    rules = {"all": [{"field": "country", "operator": "eq", "value": "DE"}]}
    Segment.objects.create(store=store, slug="germans", name="Germans", rules=rules)
    out = io.StringIO()
    call_command("recompute_segments", "--store", store.slug, "--json", stdout=out, stderr=io.StringIO())
    report = json.loads(out.getvalue().splitlines()[-1])
    assert (report["sizes"]["germans"], report["shoppers"]) == (told, told)


def shown_to(store: Store, people: int, clickers: int) -> list[Visitor]:
    """Each person saw two products an hour ago; the first `clickers` of them clicked both."""
    products = [ProductFactory(store=store).external_id for _ in range(2)]
    at = timezone.now() - timedelta(minutes=1)
    visitors = [VisitorFactory(store=store) for _ in range(people)]
    for number, visitor in enumerate(visitors):
        for rank, product in enumerate(products, start=1):
            request_id = uuid.uuid4()
            shared = {"store": store, "visitor": visitor, "placement": "home", "product_id": product,
                      "rank": rank, "request_id": request_id, "variant": "personalised"}  # fmt: skip
            Impression.objects.create(seen_at=at, **shared)
            if number < clickers:
                ImpressionClick.objects.create(clicked_at=at, **shared)
    return visitors


@pytest.mark.parametrize(
    ("people", "clickers", "seen", "clicks"),
    [(9, 9, None, None), (10, 10, 20, 20), (20, 9, 40, None), (20, 10, 40, 20), (19, 10, 38, None)],
)
def test_what_shelves_showed_leaves_from_ten_people_on(
    store: Store,
    at_work: MakeStaff,  # noqa: F811
    people: int,
    clickers: int,
    seen: int | None,
    clicks: int | None,
) -> None:
    """Ten of nineteen who clicked leave nine who did not."""
    shown_to(store, people, clickers)
    staff = at_work(store, Role.MERCHANDISER)
    for form in ("json", "csv"):
        urls = {
            table: reverse("admin:recommendations_quality_export", args=[table, form]) + "?days=7"
            for table in ("exposure", "clicks")
        }
        if form == "json":
            days = staff.client.get(urls["exposure"]).json()["exposure"]
            groups = staff.client.get(urls["clicks"]).json()["clicks"]
            assert sum(day["impressions"] or 0 for day in days) == (seen or 0)
            assert [(row["shoppers"], row["clicks"]) for row in groups] == (
                [(people, clicks)] if seen else []
            )
        else:
            of_days, of_groups = (rows_of(staff.client, url) for url in urls.values())
            assert {row["impressions"] for row in of_days} <= {"0", "", str(seen)}
            assert [row["clicks"] for row in of_groups] == (
                ["" if clicks is None else str(clicks)] if seen else []
            )


@pytest.mark.parametrize(("people", "told"), [(9, None), (10, 10)])
def test_what_few_saw_is_not_the_difference_of_what_all_and_the_others_saw(
    store: Store,
    at_work: MakeStaff,  # noqa: F811
    people: int,
    told: int | None,
) -> None:
    """Of thirty shoppers nothing is known, of the others much: they saw half of two products a person."""
    shown_to(store, 30, 0)
    knowing = shown_to(store, people, 0)
    at = timezone.now() - timedelta(days=1)
    Event.all_stores.bulk_create(
        Event(
            store=store, id=uuid.uuid4(), message_id=f"{visitor.pk}-{n}", type=EventType.TRACK, name="Product Viewed", visitor=visitor,
            product_id="p", occurred_at=at, received_at=at, purposes=7, xact_id=1, properties={},
        )
        for visitor in knowing
        for n in range(40)
    )  # fmt: skip
    staff = at_work(store, Role.MERCHANDISER)
    url = reverse("admin:recommendations_quality_export", args=["clicks", "json"]) + "?days=7"
    rows = {row["key"]: row["shoppers"] for row in staff.client.get(url).json()["clicks"]}
    if told is None:
        assert rows == {str(Density.NOTHING): None}
    else:
        assert rows == {str(Density.NOTHING): 30, str(Density.MUCH): told}


def test_counts_of_discarded_events_leave_from_ten_on(store: Store, at_work: MakeStaff) -> None:  # noqa: F811
    for count in (9, 10):
        DiscardCount.objects.create(
            store=store,
            day=timezone.now().date(),
            event_name=f"e{count}",
            reason="consent refused",
            count=count,
        )
    staff = at_work(store, Role.ADMINISTRATOR)
    file = rows_of(staff.client, reverse("admin:tracking_discardcount_export"))
    assert {row["event"]: row["count"] for row in file} == {"e9": "", "e10": "10"}
