"""Every list: it opens, its queries do not grow with its rows, it says what to do when empty, it exports what is filtered."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import vault
from accounts.admin.scoped import ScopedAdmin
from accounts.models import Customer, Store
from consent.models import AuditPayload, RequestPolicy
from tests.admin.conftest import Staff
from tests.admin.rows import fill
from tests.factories import CategoryFactory, ProductFactory
from tracking.models import Finding

# One row each: their list sends to it.
SINGLE = {Store, RequestPolicy}
LISTS = sorted(
    (
        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        for model, model_admin in admin.site._registry.items()
        if isinstance(model_admin, ScopedAdmin) and model not in SINGLE
    ),
)
# Session, user, stores, roles, badges of the sidebar; then count, rows, what belongs to them, and choices of filters.
MOST_QUERIES = 24


@pytest.fixture
def root(store: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(None, is_superuser=True)


def _queries(staff: Staff, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert staff.client.get(url).status_code == 200
    return len(queries)


def test_queries_do_not_grow_with_the_rows(root: Staff, store: Store) -> None:
    fill(store, 2)
    few = {name: _queries(root, reverse(name)) for name in LISTS}
    fill(store, 4)
    many = {name: _queries(root, reverse(name)) for name in LISTS}
    assert {name: (few[name], many[name]) for name in LISTS if many[name] > few[name]} == {}
    assert {name: count for name, count in many.items() if count > MOST_QUERIES} == {}


def test_an_empty_list_says_what_to_do(root: Staff) -> None:
    for name in LISTS:
        html = root.client.get(reverse(name)).content.decode()
        model_admin = _admin_of(name)
        assert model_admin.empty_title, name
        assert model_admin.empty_text, name
        assert 'class="empty-state"' not in html or model_admin.empty_title in html, name


def test_a_search_without_results_offers_all_rows(root: Staff, full_store: Store) -> None:
    html = root.client.get(
        reverse("admin:catalog_product_changelist") + "?q=nothing-like-it"
    ).content.decode()
    assert "Nothing matches" in html
    assert "Show all" in html


def _admin_of(name: str) -> ScopedAdmin:
    for model, model_admin in admin.site._registry.items():
        if name == f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist":
            assert isinstance(model_admin, ScopedAdmin)
            return model_admin
    raise AssertionError(name)


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_searched_filtered_and_exported(name: str) -> None:
    model_admin = _admin_of(name)
    assert model_admin.export_columns
    assert model_admin.search_fields
    assert model_admin.list_display != ("__str__",)


def test_exports_hold_a_header_and_every_row(root: Staff, full_store: Store) -> None:
    for name in LISTS:
        shown = root.client.get(reverse(name)).context["cl"].result_list
        rows = _export(root, name)
        assert rows[0] == list(_admin_of(name).export_columns), name
        # The audit log grows by the exports of people that came before.
        assert len(rows) - 1 >= len(shown) > 0, name


def _export(staff: Staff, name: str, query: str = "") -> list[list[str]]:
    answer = staff.client.get(reverse(name.replace("_changelist", "_export")) + query)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_an_export_is_of_what_is_filtered(root: Staff, store: Store) -> None:
    ProductFactory(store=store, name="Green tent")
    ProductFactory(store=store, name="Kettle")
    rows = _export(root, "admin:catalog_product_changelist", "?q=tent")
    assert [row[2] for row in rows[1:]] == ["Green tent"]


def test_an_export_makes_formulas_harmless(root: Staff, store: Store) -> None:
    ProductFactory(
        store=store, name='=HYPERLINK("https://evil.example")', external_id="P1", price_minor_units=1999
    )
    row = _export(root, "admin:catalog_product_changelist")[1]
    assert row[2] == '\'=HYPERLINK("https://evil.example")'
    assert row[5] == "1999"


def test_an_export_of_people_holds_no_direct_identifier_and_is_recorded(
    root: Staff, full_store: Store
) -> None:
    customer = Customer.objects.for_store(full_store).first()
    assert customer is not None
    vault.put(customer, "email", "anna@shop.example")
    rows = _export(root, "admin:accounts_customer_changelist")
    assert not any("anna" in cell or "@" in cell for row in rows for cell in row)
    payload = AuditPayload.objects.for_store(full_store).get(entry__action="admin.export")
    everybody = Customer.objects.for_store(full_store).count()
    assert payload.details == {"rows": everybody, "filters": []}
    assert payload.actor == f"user:{root.user.pk}"


def test_an_export_is_denied_with_the_list(privacy_officer: Staff, full_store: Store) -> None:
    assert privacy_officer.client.get(reverse("admin:catalog_product_export")).status_code == 403


def test_filters_offer_what_the_store_has(root: Staff, full_store: Store) -> None:
    other = ProductFactory()
    CategoryFactory(store=other.store, name="Sold elsewhere")
    CategoryFactory(store=full_store, name="Sold here")
    html = root.client.get(reverse("admin:catalog_product_changelist")).content.decode()
    assert "Sold here" in html
    assert "Sold elsewhere" not in html
    for query in ("?stock_state=out", "?is_active__exact=1", "?stock_state=nonsense"):
        assert root.client.get(reverse("admin:catalog_product_changelist") + query).status_code == 200


def test_times_of_a_filter_are_those_of_the_viewer(root: Staff, store: Store) -> None:
    """Half past eleven in the evening UTC is half past midnight of the next day in Berlin."""
    at = datetime(2026, 1, 10, 23, 30, tzinfo=UTC)
    Finding.objects.create(store=store, kind="went_silent", key="x", fingerprint="x", last_seen_at=at)
    url = reverse("admin:tracking_finding_changelist")

    def count(**query: str) -> int:
        asked = {f"last_seen_at_{name}": value for name, value in query.items()}
        return root.client.get(url, asked).context["cl"].result_count

    assert count(from_0="2026-01-11", from_1="00:15:00", to_0="2026-01-11", to_1="00:45:00") == 1
    assert count(from_0="2026-01-10", from_1="23:15:00", to_0="2026-01-10", to_1="23:45:00") == 0
    assert count(from_0="2026-01-11") == count(from_0="2026-01-11", to_0="2026-01-11") == 1
    assert count(to_0="2026-01-10") == 0
    assert count(from_0="nonsense", from_1="25:99") == 1
