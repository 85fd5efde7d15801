"""The pages of data sources, imports and what the data can carry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse

from accounts.models import Role, Store
from tests.admin.conftest import Staff
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, viewed
from tracking.admin.sources import day_chart
from tracking.ingestion.importing import ingest_messages
from tracking.models import ImportRun

SOURCES = "admin:tracking_sources"
AUDIT = "admin:recommendations_data_audit"


def page(staff: Staff, name: str, query: str = "") -> str:
    response = staff.client.get(reverse(name) + query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_store_without_sources_is_told_how_to_get_one(merchandiser: Staff):
    html = page(merchandiser, SOURCES)
    assert "No source of data yet" in html
    assert "import_events" in html


@pytest.mark.parametrize("days", ["7", "28", "90", "all", "rubbish"])
def test_a_source_is_shown_with_its_basis(merchandiser: Staff, store: Store, days: str):
    key, _ = make_key(store, declared_purposes=["analytics"])
    ingest_messages(store, key, [viewed("")])
    html = page(merchandiser, SOURCES, f"?days={days}")
    for text in (
        "test",
        "Declared: analytics",
        "Consent",
        "Nothing stored yet",
        "Product Viewed",
        "every personal shelf",
    ):
        assert text.lower() in html.lower(), text


def test_sources_of_another_store_are_not_shown(merchandiser: Staff):
    make_key(StoreFactory())
    assert "No source of data yet" in page(merchandiser, SOURCES)


def test_an_import_is_shown_with_what_became_of_it(merchandiser: Staff, store: Store):
    key, _ = make_key(store)
    run = ImportRun.objects.for_store(store).create(
        store=store, api_key=key, file_name="orders.csv", file_format="csv", content_digest="abc", options_digest="d",
        started_by="ada@shop.example", rows_read=12345, stored=12000, quarantined=345, faults={"invalid_time": 345},
        options={"zone": "UTC"},
    )  # fmt: skip
    html = page(merchandiser, "admin:tracking_importrun_changelist")
    assert "orders.csv" in html
    assert "12,345" in html
    response = merchandiser.client.get(reverse("admin:tracking_importrun_change", args=[run.pk]))
    html = response.content.decode()
    for text in ("345 invalid time", "ada@shop.example", "abc", "&quot;zone&quot;"):
        assert text in html, text


def test_what_the_data_can_carry(merchandiser: Staff):
    html = page(merchandiser, AUDIT, "?fresh=1")
    assert "The catalogue is empty" in html
    assert "Bought together" in html
    assert "Not yet" in html


def test_who_may_not_read_models_or_data_quality_is_refused(at_work: Callable[..., Staff], store: Store):
    officer = at_work(store, Role.PRIVACY_OFFICER)
    assert officer.client.get(reverse(AUDIT)).status_code == 403
    assert officer.client.get(reverse(SOURCES)).status_code == 200
    stranger = at_work(StoreFactory(), Role.ADMINISTRATOR)
    make_key(store)
    assert "No source of data yet" in page(stranger, SOURCES)


def test_many_days_are_points_of_several():
    from datetime import date, timedelta

    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(200)]
    chart = day_chart("Events", days, [1] * 200)
    # 200 days on at most 92 points: three days each, the newest whole, the oldest what is left over.
    assert len(chart.labels) == 67
    assert list(chart.series[0].values) == [2.0] + [3.0] * 66
    assert chart.labels[-1] == "17 Jul 2026 – 19 Jul 2026"
    assert sum(value or 0 for value in chart.series[0].values) == 200
    assert day_chart("Events", days[:7], [1] * 7).labels[0] == "1 Jan 2026"
