"""Who says no to personalisation leaves their segments at once, not with the next computation."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from django.db import Error

from consent.purposes import Purpose
from consent.selectors.denied import denied_among
from segments.services.memberships import memberships_forget

log = structlog.get_logger(__name__)


def forget_who_denies(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Listens to `accounts.shopper_changes`: ids of people whose permissions may have changed. Never raises a database error."""
    try:
        denied = denied_among(
            store_id, Purpose.PERSONALISATION, anonymous_ids=anonymous_ids, customer_ids=customer_ids
        )
        if denied:
            memberships_forget(
                store_id=store_id, customer_ids=denied.customer_ids, visitor_ids=denied.visitor_ids
            )
    except Error:
        log.exception("segments.withdrawal_not_carried_out", store_id=store_id)
