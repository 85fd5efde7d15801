"""What segments add to a shopper's page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.admin.panels import Panel, register
from accounts.models import Customer, Visitor
from accounts.permissions import Ability
from accounts.selectors.persons import record_ids_of
from segments.models import SegmentMembership


def _memberships(request: HttpRequest, subject: Customer | Visitor) -> dict[str, Any]:
    rows = (
        SegmentMembership.objects.for_store(subject.store_id)
        .select_related("segment")
        .order_by("segment__priority")
    )
    mine = (
        rows.filter(customer__in=record_ids_of(subject))
        if isinstance(subject, Customer)
        else rows.filter(visitor=subject)
    )
    return {"memberships": mine}


register(Panel("segments", 30, Ability.READ_SEGMENTS, "admin/segments/panel.html", _memberships))
