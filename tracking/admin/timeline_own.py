"""The sources of a timeline that tracking knows by itself: events, orders, consent, identity."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.urls import reverse

from accounts.display.money import money
from accounts.models import Customer, IdentityLink, Visitor
from consent.models import ConsentChoice, ConsentPayload, ConsentState
from consent.policy import customer_subject, visitor_subject
from consent.purposes import OPTIONAL, Purpose
from tracking.admin.timeline_sources import LEAD, MOST, Key, Moment, Source, Stretch, register
from tracking.debugging.calls import shown_name
from tracking.models import Event, Order

# What an event is about, the first that it has.
_SUBJECTS: Final = ("name", "query", "order_id", "title", "path", "list_id", "category")


def _events(stretch: Stretch) -> list[Moment]:
    # Of a customer, what the shop's server told without a browser; of a browser, what no visit is made of yet.
    own = (
        Q(customer__in=stretch.customers, visitor=None)
        if stretch.customers
        else Q(visitor=stretch.subject.pk)
    )
    rows = Event.objects.for_store(stretch.store).filter(
        stretch.in_visits("occurred_at") | own & stretch.in_time("occurred_at")
    )
    return [
        Moment(
            at=event.occurred_at,
            kind="event",
            title=shown_name(event.get_type_display(), event.name),
            detail=_about(event.properties, event.product_id),
            url=reverse("admin:tracking_event_change", args=[event.pk]),
            visitor_id=event.visitor_id,
            key=_key(event),
        )
        for event in rows.order_by("-occurred_at", "-id").defer("context")[:MOST]
    ]


def _about(properties: dict[str, Any], product_id: str) -> str:
    texts = [str(properties[name])[:80] for name in _SUBJECTS if properties.get(name)][:1]
    return " · ".join(dict.fromkeys([*texts, product_id] if product_id else texts))


def _key(event: Event) -> Key:
    subject = event.properties.get("order_id") or event.product_id
    return (event.name, str(subject), str(event.properties.get("request_id") or ""))


def _orders(stretch: Stretch) -> list[Moment]:
    own = Q(customer__in=stretch.customers) if stretch.customers else Q(visitor=stretch.subject.pk)
    rows = Order.objects.for_store(stretch.store).filter(
        stretch.in_visits("placed_at") | own & stretch.in_time("placed_at")
    )
    return [
        Moment(
            at=order.placed_at,
            kind="order",
            title=f"Order {order.order_id}",
            detail=f"{money(order.total_minor_units, order.currency)}, {order.get_status_display().lower()}",
            url=reverse("admin:tracking_order_change", args=[order.pk]),
            tone="good",
            visitor_id=order.visitor_id,
            tells=frozenset({("Order Completed", order.order_id, "")}),
        )
        for order in rows.order_by("-placed_at")[:MOST]
    ]


def _consent(stretch: Stretch) -> list[Moment]:
    """Decisions of the customer, and those that were taken on the browsers of the visits, in their time."""
    decided = Q(
        subject__in=[customer_subject(customer.external_id) for customer in stretch.customers]
    ) & stretch.in_time("valid_from")
    visitors = Visitor.objects.for_store(stretch.store).filter(pk__in=stretch.visitor_ids)
    ids = {visitor.pk: visitor_subject(visitor.anonymous_id) for visitor in visitors}
    if isinstance(stretch.subject, Visitor):
        ids[stretch.subject.pk] = visitor_subject(stretch.subject.anonymous_id)
        decided |= Q(subject=ids[stretch.subject.pk]) & stretch.in_time("valid_from")
    for session in stretch.sessions:
        if session.visitor_id in ids:
            decided |= stretch.in_own_time(session.visitor_id, "valid_from") & Q(
                subject=ids[session.visitor_id],
                valid_from__gte=session.started_at - LEAD,
                valid_from__lte=session.ended_at,
            )
    visitor_of = {subject: pk for pk, subject in ids.items()}
    states = list(
        ConsentState.objects.for_store(stretch.store).filter(decided).order_by("-valid_from")[:MOST]
    )
    methods = dict(
        ConsentPayload.objects.for_store(stretch.store)
        .filter(record__in={state.record_id for state in states})
        .values_list("record_id", "method")
    )
    # A decision counts for the browser and for the customer: it is one moment.
    found: dict[int, Moment] = {}
    for state in states:
        moment = _decision(state, methods.get(state.record_id, ""), visitor_of.get(state.subject))
        if state.record_id not in found or moment.visitor_id is not None:
            found[state.record_id] = moment
    return list(found.values())


def _decision(state: ConsentState, method: str, visitor_id: int | None) -> Moment:
    granted = [purpose.slug for purpose in Purpose(state.granted) & OPTIONAL]
    how = dict(ConsentChoice.choices).get(method, "Decided")
    return Moment(
        at=state.valid_from,
        kind="consent",
        title=f"Consent: {how.lower()}",
        detail=f"permits {', '.join(granted)}" if granted else "permits only what is necessary",
        tone="info",
        visitor_id=visitor_id,
    )


def _identity(stretch: Stretch) -> list[Moment]:
    who = Q(customer__in=stretch.customers) if stretch.customers else Q(visitor=stretch.subject.pk)
    links = (
        IdentityLink.objects.for_store(stretch.store)
        .filter(who, stretch.in_time("valid_from") | stretch.in_visits("valid_from", LEAD))
        .select_related("customer", "visitor")
    )
    is_customer = isinstance(stretch.subject, Customer)
    return [
        Moment(
            at=link.valid_from,
            kind="identity",
            title="Recognised on a browser" if is_customer else f"Recognised as customer {link.customer}",
            detail=", ".join(
                part
                for part in (
                    f"{link.visitor.anonymous_id[:12]}…" if is_customer else "",
                    f"by {link.source}",
                    "undone since" if link.undone_at else "",
                )
                if part
            ),
            url=reverse("admin:accounts_visitor_change", args=[link.visitor_id])
            if is_customer
            else reverse("admin:accounts_customer_change", args=[link.customer_id]),
            tone="info",
            visitor_id=link.visitor_id,
        )
        for link in links.order_by("-valid_from")[:MOST]
    ]


register(Source("event", "Events", 10, _events))
register(Source("order", "Purchases", 30, _orders))
register(Source("consent", "Consent", 40, _consent))
register(Source("identity", "Identity", 50, _identity))
