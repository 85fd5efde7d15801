"""What the log holds about a person, how they get it, and how it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from accounts.personal_data import (
    Classification,
    ErasureReport,
    ExportTable,
    Kept,
    Processor,
    Subject,
    classify,
    register,
)
from consent.pseudonyms import IdentifierKind, pseudonyms
from consent.purposes import Purpose, slugs
from tracking.models import (
    ClockSkew,
    DiscardCount,
    Event,
    EventMapping,
    Finding,
    HourlyCount,
    ImportRun,
    LogPosition,
    ObservedPrice,
    Order,
    OrderLine,
    OrderPayment,
    QuarantinedEvent,
    QuarantineJob,
    Session,
    SettledPayment,
    SourceDay,
)
from tracking.retention import (
    DISCARD_COUNT_DAYS,
    FINDING_DAYS,
    QUARANTINE_DAYS,
    ROLLUP_DAYS,
    expire_blocked_orders,
    expire_discard_counts,
    expire_events,
    expire_findings,
    expire_quarantine,
    expire_rollups,
    expire_sessions,
    expire_settled_payments,
    retention_days,
)

PROCESSOR: Final = "tracking"
_KEPT_BY_LAW: Final = gettext_noop("Commercial and tax law make the shop keep its records of sales.")


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable(
        "events", "Everything the shop told us about your visits, as we keep it.", _event_rows(subject)
    )
    yield ExportTable("sessions", "Your visits, put together from the events.", _session_rows(subject))
    yield ExportTable("orders", "Your orders, as told by events.", _order_rows(subject))
    yield ExportTable("order_lines", "What was in your orders.", _order_line_rows(subject))
    yield ExportTable("order_payments", "How your orders were paid.", _order_payment_rows(subject))
    yield ExportTable(
        "settled_payments",
        "What the shop's payment provider settled for your orders.",
        _settled_payment_rows(subject),
    )
    yield ExportTable(
        "quarantined_events",
        "Events about you that were faulty and wait for a person to look at them.",
        _quarantine_rows(subject),
    )
    yield ExportTable(
        "findings", "What checks of the data noted about you or your orders.", _finding_rows(subject)
    )


def erase(subject: Subject) -> ErasureReport:
    """Events, sessions, quarantined events and findings go; confirmed orders are unlinked and blocked, others go. May
    be run again."""
    with transaction.atomic():
        # First, while the orders still say whose they are.
        findings = _delete(_findings(subject))
        kept, orders = _release_orders(subject)
        deleted = {
            "events": _delete(_events(subject)),
            "sessions": _delete(_sessions(subject)),
            "orders": orders,
            "quarantined events": _delete(_quarantined(subject)),
            "findings": findings,
        }
    return ErasureReport(deleted=deleted, kept=kept)


def _delete(rows: QuerySet[Any]) -> int:
    # Nothing hangs on these rows: no need to collect them first.
    return int(rows._raw_delete(rows.db) or 0)


def _release_orders(subject: Subject) -> tuple[tuple[Kept, ...], int]:
    orders = _orders(subject)
    unconfirmed = orders.filter(status=Order.Status.UNCONFIRMED)
    count = unconfirmed.count()
    unconfirmed.delete()
    term = timedelta(days=retention_days(subject.store)[Purpose.NECESSARY])
    kept = list(orders.exclude(status=Order.Status.UNCONFIRMED).select_for_update())
    for order in kept:
        order.customer = order.visitor = None
        order.is_blocked = True
        order.blocked_until = order.placed_at + term
        order.purposes = int(Purpose.NECESSARY)
    Order.all_stores.bulk_update(
        kept, ["customer", "visitor", "is_blocked", "blocked_until", "purposes"], batch_size=500
    )
    if not kept:
        return (), count
    until = max(order.blocked_until for order in kept if order.blocked_until is not None)
    told = [Kept("orders", len(kept), _KEPT_BY_LAW, until)]
    settled = SettledPayment.objects.for_store(subject.store).filter(
        order_id__in=[order.order_id for order in kept]
    )
    if payments := settled.count():
        told.append(Kept("settled payments", payments, _KEPT_BY_LAW, until))
    return tuple(told), count


def _theirs(subject: Subject, time_field: str) -> Q:
    """Rows of the customer, of devices that were only theirs, and of their own stretches of shared ones."""
    theirs = Q(visitor_id__in=subject.visitor_ids)
    theirs |= Q(customer_id__in=subject.customer_ids)
    for visit in subject.shared_visits:
        stretch = Q(visitor_id=visit.visitor_id, **{f"{time_field}__gte": visit.valid_from})
        if visit.valid_until is not None:
            stretch &= Q(**{f"{time_field}__lt": visit.valid_until})
        theirs |= stretch & (Q(customer_id=None) | Q(customer_id__in=subject.customer_ids))
    return theirs


def _events(subject: Subject) -> QuerySet[Event]:
    return Event.objects.for_store(subject.store).filter(_theirs(subject, "occurred_at"))


def _sessions(subject: Subject) -> QuerySet[Session]:
    return Session.objects.for_store(subject.store).filter(_theirs(subject, "started_at"))


def _orders(subject: Subject) -> QuerySet[Order]:
    return Order.objects.for_store(subject.store).filter(_theirs(subject, "placed_at"), is_blocked=False)


def _quarantined(subject: Subject) -> QuerySet[QuarantinedEvent]:
    named = [(IdentifierKind.ANONYMOUS_ID, value) for value in subject.anonymous_ids]
    named += [(IdentifierKind.USER_ID, value) for value in subject.user_ids]
    digests = [digest for kind, value in named for digest in pseudonyms(subject.store.pk, kind, value)]
    rows = QuarantinedEvent.objects.for_store(subject.store)
    return rows.filter(subject_pseudonyms__overlap=digests) if digests else rows.none()


def _findings(subject: Subject) -> QuerySet[Finding]:
    """Those that name the customer, one of the devices or an order. A finding about an order that is kept comes again
    with the next check, and names nobody then."""
    named = [f"visitor:{visitor_id}" for visitor_id in subject.visitor_ids]
    named += [f"customer:{customer_id}" for customer_id in subject.customer_ids]
    named += [f"order:{order_id}" for order_id in _orders(subject).values_list("order_id", flat=True)]
    rows = Finding.objects.for_store(subject.store)
    return rows.filter(evidence__overlap=named) if named else rows.none()


def _event_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    for event in _events(subject).order_by("occurred_at", "id").iterator(chunk_size=2000):
        yield {
            "id": event.id,
            "message_id": event.message_id,
            "type": event.get_type_display(),
            "event": event.name,
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
            "product_id": event.product_id,
            "purposes": slugs(event.purposes),
            "properties": event.properties,
            "context": event.context,
        }


_SESSION_FIELDS: Final = (
    "started_at", "ended_at", "event_count", "product_view_count", "search_count", "cart_add_count", "order_count",
    "revenue_minor_units", "dwell_seconds", "device", "country",
)  # fmt: skip
_ORDER_FIELDS: Final = (
    "order_id", "status", "placed_at", "currency", "total_minor_units", "subtotal_minor_units", "shipping_minor_units", "tax_minor_units",
    "discount_minor_units", "refunded_minor_units", "payment_method", "coupon",
)  # fmt: skip
_LINE_FIELDS: Final = (
    "position", "product_id", "name", "quantity", "refunded_quantity", "unit_price_minor_units", "discount_minor_units",
)  # fmt: skip


def _session_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    yield from _sessions(subject).order_by("started_at").values(*_SESSION_FIELDS).iterator(chunk_size=2000)


def _order_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    yield from _orders(subject).order_by("placed_at").values(*_ORDER_FIELDS).iterator(chunk_size=2000)


def _order_line_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    lines = (
        OrderLine.objects.for_store(subject.store)
        .filter(order__in=_orders(subject))
        .order_by("order__placed_at", "position")
    )
    for row in lines.values("order__order_id", *_LINE_FIELDS).iterator(chunk_size=2000):
        yield {"order_id": row.pop("order__order_id"), **row}


def _order_payment_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    payments = (
        OrderPayment.objects.for_store(subject.store)
        .filter(order__in=_orders(subject))
        .select_related("order")
        .order_by("order__placed_at", "position")
    )
    for payment in payments.iterator(chunk_size=2000):
        yield {
            "order_id": payment.order.order_id,
            "method": payment.method,
            "amount_minor_units": payment.amount_minor_units,
            "instalments": payment.instalments,
        }


def _settled_payment_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    settled = SettledPayment.objects.for_store(subject.store).filter(
        order_id__in=_orders(subject).values("order_id")
    )
    for payment in settled.order_by("settled_at").iterator(chunk_size=2000):
        yield {
            "provider": payment.provider,
            "reference": payment.reference,
            "kind": payment.kind,
            "order_id": payment.order_id,
            "amount_minor_units": payment.amount_minor_units,
            "currency": payment.currency,
            "settled_at": payment.settled_at,
        }


def _quarantine_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    for event in _quarantined(subject).order_by("received_at", "pk").iterator(chunk_size=500):
        yield {
            "event": event.event_name,
            "received_at": event.received_at,
            "reason": event.reason,
            "state": event.state,
            "raw": bytes(event.raw).decode("utf-8", "replace"),
        }


def _finding_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    for finding in _findings(subject).order_by("first_seen_at", "pk").iterator(chunk_size=500):
        yield {
            "what": finding.get_kind_display(),
            "summary": finding.summary,
            "first_seen_at": finding.first_seen_at,
            "last_seen_at": finding.last_seen_at,
            "state": finding.state,
        }


def register_all() -> None:
    register(Processor(PROCESSOR, "Tracking: events, visits, orders", export, erase))
    ours = Classification.PROCESSED_BY(PROCESSOR)

    def ours_for(days: int) -> Classification:
        return Classification.PROCESSED_BY(PROCESSOR, expires_days=days)

    terms: list[tuple[type[Any], Classification, str, Callable[..., int] | None]] = [
        (Event, ours, "What a visitor or customer did, for as long as the notice says.", expire_events),
        (Session, ours, "A visitor's visits, folded from the events; they leave with them.", expire_sessions),
        (
            Order,
            ours,
            "A customer's orders; kept without them where the law wants the sale on record.",
            expire_blocked_orders,
        ),
        (OrderLine, ours, "What was in a customer's order; goes with it.", None),
        (OrderPayment, ours, "How a customer's order was paid; goes with it.", None),
        (
            SettledPayment,
            ours,
            "What the payment provider settled for an order: kept as long as the law wants the sale on record.",
            expire_settled_payments,
        ),
        (
            HourlyCount,
            Classification.EXPIRES(ROLLUP_DAYS),
            "Events an hour, by names of our own vocabulary: nobody can be told from them.",
            partial(expire_rollups, HourlyCount, "hour"),
        ),
        (
            ObservedPrice,
            Classification.EXPIRES(ROLLUP_DAYS),
            "Prices that events told of products.",
            partial(expire_rollups, ObservedPrice, "last_seen_at"),
        ),
        (
            ClockSkew,
            Classification.EXPIRES(ROLLUP_DAYS),
            "How far the clocks of keys were off, in counts an hour.",
            partial(expire_rollups, ClockSkew, "hour"),
        ),
        (
            QuarantinedEvent,
            ours_for(QUARANTINE_DAYS),
            "Raw events that could not be stored, found by keyed hashes of their ids.",
            expire_quarantine,
        ),
        (
            DiscardCount,
            Classification.EXPIRES(DISCARD_COUNT_DAYS),
            "Counts a day of what was not stored, by names of our own vocabulary: nobody can be told from them.",
            expire_discard_counts,
        ),
        (
            Finding,
            ours_for(FINDING_DAYS),
            "What checks of the data found; one that names a customer or their order goes with them.",
            expire_findings,
        ),
        (
            ImportRun,
            Classification.STAFF,
            "Which files were taken in, and which member of staff did it.",
            None,
        ),
        (
            SourceDay,
            Classification.NO_PERSONAL_DATA,
            "Events a source and day, by names of our own vocabulary: nobody can be told from them.",
            None,
        ),
        (
            QuarantineJob,
            Classification.STAFF,
            "What a member of staff did to many quarantined events: counts, and which field was changed.",
            None,
        ),
        (LogPosition, Classification.NO_PERSONAL_DATA, "How far readers have followed the log.", None),
        (EventMapping, Classification.STAFF, "What names in a data layer mean, and who said so.", None),
    ]
    for model, classification, why, expire in terms:
        classify(model._meta.label, classification, why, expire=expire)
