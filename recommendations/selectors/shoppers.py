"""What the database says of a shopper, in at most seven queries; three for somebody who does not permit personalisation."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from accounts.models import Customer, Store, Visitor
from accounts.selectors.persons import merged_view, records_of
from catalog.money import currency_digits
from consent.gate import personal_purposes
from consent.purposes import Purpose
from profiles.reading import who_is
from recommendations.models import ForgottenProduct, StatedTaste
from recommendations.serving.known import NOBODY_KNOWN, KnownShopper
from recommendations.shelf import Shopper
from recommendations.training.customer_features import customer_features
from segments.selectors import segments_of
from segments.spending import DAYS as SPENDING_DAYS
from segments.spending import spending_bounds, spending_share
from tracking.models import Order, OrderLine

PURCHASES_REMEMBERED = 500
PURCHASES_DAYS = 730


def read_known_shopper(store: Store, shopper: Shopper) -> KnownShopper:
    """NOBODY_KNOWN for ids that no row has (yet).

    A visitor with an open link to a customer is that customer: purchases, segments and history of both count."""
    store_id = store.pk
    visitor = _visitor(store_id, shopper.anonymous_id)
    customer = _customer(store_id, shopper.customer_id, visitor)
    if visitor is None and customer is None:
        return NOBODY_KNOWN
    permitted = personal_purposes(
        store_id,
        anonymous_id=shopper.anonymous_id,
        customer=customer,
        source=shopper.source,
        gpc=shopper.sends_gpc,
    )
    visitor_id = visitor.pk if visitor else None
    if not permitted:
        return KnownShopper(visitor_id=visitor_id)
    records = records_of(customer) if customer else []
    record_ids = tuple(record.pk for record in records)
    who = who_is(store_id, visitor_id, customer.pk if customer else None, record_ids=record_ids)
    person = merged_view(records) if len(records) > 1 else customer
    # Of a device that others used too only the time that was this person's counts; segments and orders know persons, not times.
    visitor_ids = tuple({stretch.visitor_id for stretch in who.stretches if math.isinf(stretch.since)})
    return KnownShopper(
        may_personalise=True,
        may_be_measured=Purpose.ANALYTICS in permitted,
        key=f"c:{record_ids[0]}" if records else f"v:{visitor_id}",
        visitor_id=visitor_id,
        customer_pk=customer.pk if customer else None,
        records=record_ids,
        stretches=tuple((stretch.visitor_id, stretch.since, stretch.until) for stretch in who.stretches),
        segments=tuple(
            segment.pk for segment in segments_of(store, customer, visitor, record_ids=record_ids)
        ),
        purchased=_purchased(store_id, visitor_ids, record_ids),
        forgotten=_forgotten(store_id, visitor_ids, record_ids),
        features=customer_features(person) if person else (),
        interests=tuple(
            dict.fromkeys(_interests([*(person.interests if person else ()), *_stated(visitor, visitor_ids)]))
        ),
        value=_value(store, visitor_ids, record_ids),
    )


def _visitor(store_id: int, anonymous_id: str | None) -> Visitor | None:
    if anonymous_id is None:
        return None
    stated = StatedTaste.objects.for_store(store_id).filter(visitor=OuterRef("pk")).values("interests")
    visitors = Visitor.objects.for_store(store_id).annotate(stated_interests=Subquery(stated))
    return visitors.filter(anonymous_id=anonymous_id).first()


def _customer(store_id: int, customer_id: str | None, visitor: Visitor | None) -> Customer | None:
    customers = Customer.objects.for_store(store_id).select_related("person_record")
    if customer_id is not None:
        return customers.filter(external_id=customer_id).first()
    if visitor is None:
        return None
    return (
        customers.filter(links__visitor=visitor, links__valid_until=None, links__undone_at=None)
        .order_by("-links__valid_from")
        .first()
    )


def _is_person(visitor_ids: tuple[int, ...], record_ids: tuple[int, ...]) -> Q:
    person = Q(visitor_id__in=visitor_ids)
    return person | Q(customer_id__in=record_ids) if record_ids else person


def _purchased(store_id: int, visitor_ids: tuple[int, ...], record_ids: tuple[int, ...]) -> tuple[str, ...]:
    since = timezone.now() - timedelta(days=PURCHASES_DAYS)
    orders = _orders(store_id, visitor_ids, record_ids, since)
    lines = OrderLine.objects.for_store(store_id).filter(
        order__in=orders, quantity__gt=F("refunded_quantity")
    )
    newest = lines.order_by("-order__placed_at").values_list("product_id", flat=True)[:PURCHASES_REMEMBERED]
    return tuple(dict.fromkeys(newest))


def _orders(
    store_id: int, visitor_ids: tuple[int, ...], record_ids: tuple[int, ...], since: datetime
) -> QuerySet[Order]:
    orders: QuerySet[Order] = (
        Order.objects.for_store(store_id)
        .filter(_is_person(visitor_ids, record_ids), is_blocked=False)
        .filter(placed_at__gte=since)
        .exclude(status__in=[Order.Status.CANCELLED, Order.Status.REFUNDED])
        .annotate(permitted=F("purposes").bitand(int(Purpose.PERSONALISATION)))
        .filter(permitted__gt=0)
    )
    return orders


def _value(store: Store, visitor_ids: tuple[int, ...], record_ids: tuple[int, ...]) -> float | None:
    """Where their spending of a year stands among those who bought, 0 to 1; None where that says nothing."""
    bounds = spending_bounds(store.pk)
    if bounds is None:
        return None
    since = timezone.now() - timedelta(days=SPENDING_DAYS)
    spent = _orders(store.pk, visitor_ids, record_ids, since).aggregate(
        total=Sum(F("total_minor_units") - F("refunded_minor_units"))
    )["total"]
    return spending_share((spent or 0) / 10 ** currency_digits(store.currency), bounds)


def _forgotten(store_id: int, visitor_ids: tuple[int, ...], record_ids: tuple[int, ...]) -> tuple[str, ...]:
    rows = ForgottenProduct.objects.for_store(store_id).filter(_is_person(visitor_ids, record_ids))
    return tuple(rows.order_by("-forgotten_at").values_list("product_id", flat=True)[:PURCHASES_REMEMBERED])


def _stated(visitor: Visitor | None, visitor_ids: tuple[int, ...]) -> list[dict[str, str]]:
    """What was said in the quiz on this browser, unless others sat at it too: then nobody knows whose words they are."""
    if visitor is None or visitor.pk not in visitor_ids:
        return []
    return getattr(visitor, "stated_interests", None) or []


def _interests(stated: list[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((entry["kind"], entry["value"]) for entry in stated if "kind" in entry and "value" in entry)
