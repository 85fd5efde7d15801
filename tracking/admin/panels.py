"""What tracking adds to a shopper's page: their visits and orders, newest first."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from accounts.admin.panels import Panel, register
from accounts.models import Customer, Visitor
from accounts.permissions import Ability
from accounts.selectors.persons import record_ids_of
from tracking.models import Event, Order, Session

SESSIONS = 15
EVENTS_PER_SESSION = 40
ORDERS = 10


def _owned_by(subject: Customer | Visitor) -> Q:
    """Sessions of the subject: folded with the customer known then, in any record of theirs, or of a visitor who never was anybody's."""
    if isinstance(subject, Visitor):
        return Q(visitor=subject)
    return Q(customer__in=record_ids_of(subject))


def _timeline(request: HttpRequest, subject: Customer | Visitor) -> dict[str, Any]:
    sessions = list(
        Session.objects.for_store(subject.store_id)
        .filter(_owned_by(subject))
        .order_by("-started_at")[:SESSIONS]
    )
    visits = []
    for session, events in zip(sessions, _events_of(subject.store_id, sessions), strict=True):
        visits.append(
            {
                "session": session,
                "events": events[:EVENTS_PER_SESSION],
                "more": max(0, len(events) - EVENTS_PER_SESSION),
            }
        )
    kind = "customer" if isinstance(subject, Customer) else "visitor"
    return {"visits": visits, "most": SESSIONS, "subject": subject, "subject_kind": kind}


def _events_of(store_id: int, sessions: list[Session]) -> list[list[Event]]:
    """Events of each session, oldest first, in one query."""
    if not sessions:
        return []
    within = Q()
    for session in sessions:
        within |= Q(
            visitor=session.visitor_id, occurred_at__gte=session.started_at, occurred_at__lte=session.ended_at
        )
    found: list[list[Event]] = [[] for _ in sessions]
    rows = Event.objects.for_store(store_id).filter(within).order_by("occurred_at", "id").defer("context")
    for event in rows[: SESSIONS * EVENTS_PER_SESSION * 4]:
        for index, session in enumerate(sessions):
            if (
                event.visitor_id == session.visitor_id
                and session.started_at <= event.occurred_at <= session.ended_at
            ):
                found[index].append(event)
                break
    return found


def _orders(request: HttpRequest, subject: Customer | Visitor) -> dict[str, Any] | None:
    orders = list(
        Order.objects.for_store(subject.store_id).filter(_owned_by(subject)).order_by("-placed_at")[:ORDERS]
    )
    return {"orders": orders} if orders else None


register(Panel("orders", 20, Ability.READ_SHOPPERS, "admin/tracking/panel_orders.html", _orders))
register(Panel("timeline", 50, Ability.READ_SHOPPERS, "admin/tracking/panel_timeline.html", _timeline))
