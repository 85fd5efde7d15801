"""What consent adds to a shopper's page: what they permit now, and how that came."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.admin.panels import Panel, register
from accounts.models import Customer, Visitor
from accounts.permissions import Ability
from accounts.selectors.persons import merged_view, records_of
from consent.gate import allowed_purposes
from consent.models import ConsentState
from consent.policy import customer_subject, visitor_subject
from consent.purposes import OPTIONAL, Purpose

DECISIONS = 5


def _permissions(request: HttpRequest, subject: Customer | Visitor) -> dict[str, Any]:
    records = records_of(subject) if isinstance(subject, Customer) else []
    keys = [customer_subject(record.external_id) for record in records] or [
        visitor_subject(getattr(subject, "anonymous_id", ""))
    ]
    states = list(
        ConsentState.objects.for_store(subject.store_id)
        .filter(subject__in=keys)
        .order_by("-valid_from")[:DECISIONS]
    )
    now = Purpose(states[0].granted) if states else Purpose(0)
    if len(records) > 1 and isinstance(subject, Customer):
        # Of merged records all must permit: ask who knows.
        now = allowed_purposes(subject.store_id, customer=subject)
        subject = merged_view(records)
    return {
        "decided": bool(states),
        "purposes": [(purpose.slug.capitalize(), purpose in now) for purpose in OPTIONAL],
        "states": [
            (state, [purpose.slug for purpose in Purpose(state.granted) & OPTIONAL]) for state in states
        ],
        "subject": subject,
    }


register(Panel("consent", 10, Ability.READ_SHOPPERS, "admin/consent/panel.html", _permissions))
