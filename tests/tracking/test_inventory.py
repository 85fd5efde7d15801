"""The inventory of sources: counted from the log, each event once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Scope, Store
from catalog.models import Product
from tests.factories import ProductFactory, StoreFactory
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages
from tracking.inventory.coverage import IMPORTANT, coverage_of
from tracking.inventory.kinds import kind_of
from tracking.inventory.report import catalogue_facts, inventory_of
from tracking.inventory.rollup import READER, sources_rebuild, sources_roll_up
from tracking.models import DiscardCount, ImportRun, LogPosition, SourceDay

# The rollup reads what is committed for everybody: below the oldest transaction that still runs, of the whole server.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture
def store(transactional_db: None) -> Store:
    return StoreFactory(slug="shop", currency="EUR")


def today(hour: int = 0) -> datetime:
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=hour)


def rows(store: Store) -> dict[tuple[date, str], SourceDay]:
    return {(row.day, row.event_name): row for row in SourceDay.objects.for_store(store)}


def test_what_a_source_says_is_counted(store):
    key, _ = make_key(store)
    now = today()
    ingest_messages(
        store,
        key,
        [
            viewed("p1", timestamp=now, properties={"product_id": "p1", "price": 5, "currency": "EUR"}),
            viewed("p2", timestamp=now, userId="u1"),
            viewed("p3", None, timestamp=now, context={"userAgent": GOOGLEBOT}),
            order_completed("o1", timestamp=now),
            order_completed(
                "o2",
                timestamp=now,
                properties={"products": [{"product_id": "p", "price": 1}, {"product_id": "q"}]},
            ),
            {"type": "track", "event": "Quiz of ann", "anonymousId": "v", "timestamp": now},
            {"type": "page", "anonymousId": "v", "timestamp": now},
            viewed("p4", timestamp=now - timedelta(days=400)),
        ],
    )
    assert sources_roll_up(store)
    found = rows(store)
    assert sorted(name for day, name in found if day == now.date()) == [
        "(other)",
        "Order Completed",
        "Product Viewed",
        "page",
    ]
    views = found[now.date(), "Product Viewed"]
    counts = (views.events, views.bots, views.with_visitor, views.with_customer, views.with_person)
    assert counts == (3, 1, 2, 1, 2)
    assert (views.with_product, views.with_price, views.with_currency) == (3, 1, 1)
    assert (views.for_analytics, views.for_personalisation, views.for_marketing) == (3, 3, 0)
    orders = found[now.date(), "Order Completed"]
    assert (orders.with_product, orders.with_price, orders.with_currency) == (2, 1, 2)
    assert abs((orders.last_stored_at - timezone.now()).total_seconds()) < 60
    assert found[(now - timedelta(days=400)).date(), "Product Viewed"].events == 1


def test_each_event_counts_once(store):
    key, _ = make_key(store)
    for batch in range(3):
        ingest_messages(store, key, [viewed(f"p{batch}", timestamp=today())])
        sources_roll_up(store)
        sources_roll_up(store)
    assert rows(store)[today().date(), "Product Viewed"].events == 3
    sources_rebuild(store)
    assert rows(store)[today().date(), "Product Viewed"].events == 3
    LogPosition.objects.for_store(store).update(xact_id=0)
    sources_roll_up(store)
    assert rows(store)[today().date(), "Product Viewed"].events == 3


def test_counting_stops_when_its_time_is_up_and_goes_on(store, monkeypatch):
    monkeypatch.setattr("tracking.inventory.rollup.CHUNK_EVENTS", 1)
    key, _ = make_key(store)
    for n in range(4):
        ingest_messages(store, key, [viewed(f"p{n}", timestamp=today())])
    assert not sources_roll_up(store, budget_seconds=0)
    assert rows(store)[today().date(), "Product Viewed"].events < 4
    assert sources_roll_up(store)
    assert rows(store)[today().date(), "Product Viewed"].events == 4


def test_the_inventory_of_a_store(store):
    server, _ = make_key(store)
    other, _ = make_key(store, Scope.WRITE_PUBLIC, consent_source="ledger", declared_purposes=[])
    now = today()
    ingest_messages(
        store,
        server,
        [
            viewed("p1", timestamp=now),
            viewed("p2", timestamp=now - timedelta(days=1)),
            viewed("", timestamp=now),
            viewed("p3", timestamp=now - timedelta(days=30)),
        ],
        received_at=timezone.now(),
    )
    ingest_messages(store, other, [viewed("p1", timestamp=now)] * 2, received_at=timezone.now())
    sources_roll_up(store)
    inventory = inventory_of(store, 7)
    assert inventory.days == [now.date() - timedelta(days=back) for back in range(6, -1, -1)]
    by_key = {source.key.pk: source for source in inventory.sources}
    first = by_key[server.pk]
    assert (first.kind.name, first.events, first.quarantined, first.discarded, first.received) == (
        "server",
        2,
        1,
        0,
        3,
    )
    assert first.by_day == [0, 0, 0, 0, 0, 1, 1]
    assert (first.ever, first.first_day, first.last_day) == (3, now.date() - timedelta(days=30), now.date())
    assert [
        (facts.name, facts.events, facts.with_product, facts.with_price) for facts in first.event_facts
    ] == [("Product Viewed", 2, 1.0, 0.0)]
    second = by_key[other.pk]
    assert (second.kind.name, second.events, second.discarded, second.last_stored_at) == (
        "browser",
        0,
        2,
        None,
    )
    assert inventory.events == 2
    assert list(inventory.coverage.present) == ["Product Viewed"]
    everything = inventory_of(store, None)
    assert (len(everything.days), everything.events) == (31, 3)


def test_discards_are_counted_by_the_key_that_sent_them(store):
    keys = [make_key(store, consent_source="ledger", declared_purposes=[])[0] for _ in range(2)]
    for key in (keys[0], keys[1], keys[1]):
        ingest_messages(store, key, [viewed()])
    counts = dict(DiscardCount.objects.for_store(store).values_list("api_key_id", "count"))
    assert counts == {keys[0].pk: 1, keys[1].pk: 2}


def test_queries_do_not_grow_with_the_sources(store):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            inventory_of(store, 28)
        return len(captured)

    for _ in range(2):
        ingest_messages(store, make_key(store)[0], [viewed(timestamp=today())])
    sources_roll_up(store)
    few = queries()
    for _ in range(5):
        ingest_messages(store, make_key(store)[0], [viewed(timestamp=today())])
    sources_roll_up(store)
    assert queries() == few <= 9


def test_another_stores_sources_are_not_ours(store):
    theirs = StoreFactory()
    ingest_messages(theirs, make_key(theirs)[0], [viewed(timestamp=today())])
    sources_roll_up(theirs)
    sources_roll_up(store)
    assert inventory_of(store, 28).sources == []


def test_kinds_of_sources(store):
    def named(name: str, *scopes: str) -> str:
        key, _ = make_key(store, *scopes)
        key.name = name
        return kind_of(key, has_imports=False).name

    assert named("Web shop") == "server"
    assert named("Tag", Scope.WRITE_PUBLIC) == "browser"
    assert named("Import of online_retail") == "dataset"
    assert named("Simulator") == "simulator"
    assert kind_of(make_key(store)[0], has_imports=True).name == "file"
    assert kind_of(None, has_imports=False).name == "unknown"


def test_a_file_is_a_source_before_anything_of_it_is_stored(store):
    key, _ = make_key(store, Scope.RECOMMENDATIONS_READ)
    assert inventory_of(store, 28).sources == []  # a key that may not send is no source
    ImportRun.objects.for_store(store).create(
        store=store, api_key=key, file_name="a.csv", file_format="csv", content_digest="a", options_digest="b"
    )
    [source] = inventory_of(store, 28).sources
    assert (source.kind.name, source.imports, source.is_silent) == ("file", 1, True)


def test_coverage_names_what_is_missing_and_why():
    coverage = coverage_of({"Product Viewed": 5, "Order Completed": 9, "Cart Viewed": 0, "(other)": 1})
    assert list(coverage.present) == ["Order Completed", "Product Viewed", "(other)"]
    assert set(coverage.missing) == set(IMPORTANT) - {"Order Completed", "Product Viewed"}
    assert "Cart Viewed" in coverage.unused
    assert coverage.share == pytest.approx(2 / len(IMPORTANT))


def test_what_the_catalogue_says_of_products_on_sale(store):
    ProductFactory(store=store, image_url="https://shop.example/a.jpg", stock=3, tags=["new"])
    ProductFactory(store=store, image_url="", stock=None)
    ProductFactory(store=store, is_active=False, image_url="")
    facts = catalogue_facts(store)
    assert (facts.products, facts.active) == (3, 2)
    assert (facts.fill["image"], facts.fill["stock"], facts.fill["tags"]) == (0.5, 0.5, 0.5)
    assert facts.updated_at == Product.objects.for_store(store).order_by("-updated_at").first().updated_at
    assert set(catalogue_facts(StoreFactory()).fill.values()) == {0.0}


def test_the_worker_counts_along(store):
    from tracking.tasks import fold_all_stores

    ingest_messages(store, make_key(store)[0], [viewed(timestamp=today())])
    fold_all_stores()
    assert rows(store)[today().date(), "Product Viewed"].events == 1
    assert fold_new_events(store)["sessions"] == 0


def test_the_worker_counts_a_long_log_a_little_at_a_time(store, monkeypatch):
    from tracking import tasks

    monkeypatch.setattr("tracking.inventory.rollup.CHUNK_EVENTS", 1)
    monkeypatch.setattr(tasks, "COUNTING_SECONDS", 0.0)
    key, _ = make_key(store)
    for n in range(4):
        ingest_messages(store, key, [viewed(f"p{n}", timestamp=today())])
    tasks.fold_all_stores()
    assert sum(row.events for row in rows(store).values()) < 4
    assert sources_roll_up(store)
    assert rows(store)[today().date(), "Product Viewed"].events == 4


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_another_process_that_counts():
    store = StoreFactory()
    sources_roll_up(store)
    other = connections["default"].copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM tracking_logposition WHERE store_id = %s AND reader = %s FOR UPDATE",
                [store.pk, READER],
            )
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        assert not sources_roll_up(store, budget_seconds=60)
        other.rollback()
        assert sources_roll_up(store, budget_seconds=60)
    finally:
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


def test_days_are_those_of_utc(store):
    late = datetime(2026, 5, 4, 23, 30, tzinfo=UTC)
    ingest_messages(store, make_key(store)[0], [viewed(timestamp=late.isoformat())])
    sources_roll_up(store)
    assert [day for day, _ in rows(store)] == [date(2026, 5, 4)]
