"""The review list in the admin: read by those who read data quality, closed by those who mend it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse
from django.utils import timezone

from accounts.models import Store
from consent.models import AuditEntry, AuditPayload
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, ProductFactory, StoreFactory
from tracking.admin.volume_history import events_link, volume_chart
from tracking.models import Event, EventType, Finding, FindingKind, HourlyCount, Order
from tracking.quality.detection import detect_anomalies
from tracking.quality.rollup import rollup_new_events
from tracking.services.findings import FindingDraft, findings_report

LIST = "admin:tracking_finding_changelist"


def report(store: Store, key: str = "order:A-1", *evidence: str, **details: object) -> Finding:
    draft = FindingDraft(
        FindingKind.PAYMENT_MISSING, key, f"{key} has no payment.", details=details, evidence=evidence
    )
    findings_report(store=store, findings=[draft])
    return Finding.objects.for_store(store).get(key=key)


def page(finding: Finding) -> str:
    return reverse("admin:tracking_finding_change", args=[finding.pk])


def test_a_page_says_what_since_when_and_what_to_do_with_links(administrator: Staff, store: Store) -> None:
    order = Order.objects.create(store=store, order_id="A-1", status="completed", placed_at=timezone.now())
    event = Event.objects.create(
        store=store, id=uuid.uuid4(), message_id="m", type=EventType.TRACK, name="Order Completed",
        occurred_at=timezone.now(), purposes=1, xact_id=1,
    )  # fmt: skip
    product = ProductFactory(store=store, external_id="P1")
    finding = report(
        store, "order:A-1", "order:A-1", f"event:{event.pk}", "product:P1", "order:gone", "event:no-uuid", minor_units=1999
    )  # fmt: skip
    html = administrator.client.get(page(finding)).content.decode()
    assert "Look the order up at the payment provider" in html
    assert "1,999" in html
    for url_name, pk in (
        ("tracking_order", order.pk),
        ("tracking_event", event.pk),
        ("catalog_product", product.pk),
    ):
        assert reverse(f"admin:{url_name}_change", args=[pk]) in html
    assert html.count("not here, or no longer") == 2


def test_evidence_of_another_store_is_not_linked(administrator: Staff, store: Store) -> None:
    other = Order.objects.create(
        store=StoreFactory(), order_id="A-1", status="completed", placed_at=timezone.now()
    )
    html = administrator.client.get(page(report(store, "order:A-1", "order:A-1"))).content.decode()
    assert reverse("admin:tracking_order_change", args=[other.pk]) not in html


def test_reading_about_people_is_recorded(merchandiser: Staff, store: Store) -> None:
    customer = CustomerFactory(store=store)
    merchandiser.client.get(page(report(store, "order:A-1", "order:A-1")))
    assert not AuditEntry.objects.for_store(store).filter(action="finding.read").exists()
    merchandiser.client.get(page(report(store, "pair", f"customer:{customer.pk}")))
    assert AuditEntry.objects.for_store(store).filter(action="finding.read").count() == 1


def test_one_is_resolved_and_opened_again(administrator: Staff, store: Store) -> None:
    finding = report(store)
    close = reverse("admin:tracking_finding_close", args=[finding.pk])
    assert administrator.client.get(close).status_code == 405
    administrator.client.post(close, {"state": "nonsense"})
    finding.refresh_from_db()
    assert finding.state == "open"
    administrator.client.post(close, {"state": "resolved", "note": "Paid by transfer."})
    finding.refresh_from_db()
    assert (finding.state, finding.note, finding.resolved_by) == (
        "resolved",
        "Paid by transfer.",
        administrator.user,
    )
    assert "Paid by transfer." in administrator.client.get(page(finding)).content.decode()
    administrator.client.post(reverse("admin:tracking_finding_reopen", args=[finding.pk]))
    finding.refresh_from_db()
    assert finding.state == "open"


@pytest.mark.parametrize("action", ["resolve_chosen", "dismiss_chosen"])
def test_a_merchandiser_reads_and_closes_nothing(merchandiser: Staff, store: Store, action: str) -> None:
    finding = report(store)
    assert "order:A-1 has no payment." in merchandiser.client.get(page(finding)).content.decode()
    close = reverse("admin:tracking_finding_close", args=[finding.pk])
    assert merchandiser.client.post(close, {"state": "dismissed"}).status_code == 403
    chosen = {"action": action, ACTION_CHECKBOX_NAME: [finding.pk], "index": 0, "confirmed": "1"}
    merchandiser.client.post(reverse(LIST), chosen)
    finding.refresh_from_db()
    assert finding.state == "open"


def test_everything_that_is_filtered_is_dismissed_with_one_note(administrator: Staff, store: Store) -> None:
    for number in range(60):
        report(store, f"order:{number}")
    other = report(StoreFactory(), "order:1")
    url = reverse(LIST) + "?q=order%3A1"  # order:1 and order:10 to order:19
    first = Finding.objects.for_store(store).get(key="order:1")
    chosen = {"action": "dismiss_chosen", ACTION_CHECKBOX_NAME: [first.pk], "index": 0, "select_across": 1}
    html = administrator.client.post(url, chosen).content.decode()
    assert "Dismiss 11 findings?" in html
    assert not Finding.objects.for_store(store).exclude(state="open").exists()
    administrator.client.post(url, {**chosen, "confirmed": "1", "reason": "Test orders."})
    closed = Finding.objects.for_store(store).filter(state="dismissed")
    assert {row.key for row in closed} == {"order:1", *(f"order:{number}" for number in range(10, 20))}
    assert {row.note for row in closed} == {"Test orders."}
    told = AuditPayload.objects.for_store(store).get(entry__action="finding.dismissed")
    assert len(told.details["findings"]) == 11
    other.refresh_from_db()
    assert other.state == "open"


def test_the_home_page_counts_what_is_open(administrator: Staff, store: Store) -> None:
    report(store)
    html = administrator.client.get(reverse("admin:index")).content.decode()
    assert "Findings to review" in html
    badge = administrator.client.get(reverse(LIST)).content.decode()
    assert reverse(LIST) in badge


def test_a_drop_is_drawn_beside_what_is_usual(
    administrator: Staff, merchandiser: Staff, store: Store
) -> None:
    """Three weeks of 100 an hour, then two hours of none: the chart says what was counted, and leads to the events."""
    rollup_new_events(store)
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    HourlyCount.all_stores.bulk_create(
        HourlyCount(
            store=store, hour=now - timedelta(hours=back), event_name=name, count=0 if back in (5, 6) and name == "Product Viewed" else 100
        )
        for back in range(1, 28 * 24)
        for name in ("Product Viewed", "Product Added")
    )  # fmt: skip
    detect_anomalies(store, at=now + timedelta(minutes=30))
    finding = Finding.objects.for_store(store).get()
    assert finding.first_seen_at == now - timedelta(hours=6)
    html = administrator.client.get(page(finding)).content.decode()
    assert "Product Viewed, by hour" in html
    with timezone.override(store.time_zone):  # that of whoever looks
        link = events_link(finding)
        local = timezone.localtime(finding.first_seen_at)
    assert link.replace("&", "&amp;") in html
    assert administrator.client.get(link).status_code == 200
    assert f"occurred_at_from_0={local:%Y-%m-%d}" in link
    assert "name=Product+Viewed" in link
    assert volume_chart(report(store)) is None
