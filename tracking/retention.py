"""How long what is collected is kept: per purpose, as the store's notice promises.

An event serves several purposes: its row leaves when the longest of their terms has ended, and each reader
goes back only as far as the term of its own purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from accounts.models import Store
from consent.models import PurposeText
from consent.purposes import ALL, Purpose
from tracking.models import (
    ClockSkew,
    DiscardCount,
    Finding,
    HourlyCount,
    ObservedPrice,
    Order,
    QuarantinedEvent,
    Session,
    SettledPayment,
)

# Where no notice is published yet.
DEFAULT_DAYS: Final[Mapping[Purpose, int]] = {
    Purpose.NECESSARY: 3650,
    Purpose.ANALYTICS: 425,
    Purpose.PERSONALISATION: 425,
    Purpose.MARKETING: 730,
    Purpose.SHARING: 90,
}
QUARANTINE_DAYS: Final = 90
DISCARD_COUNT_DAYS: Final = 730
FINDING_DAYS: Final = 730
ROLLUP_DAYS: Final = 425
DELETE_ROWS: Final = 10_000

# The block range index on `received_at` leaves only the oldest end of the table to look at.
_DELETE_EVENTS: Final = """
DELETE FROM tracking_event WHERE ctid = ANY(ARRAY(
    SELECT event.ctid
      FROM tracking_event event
      JOIN unnest(%(masks)s::smallint[], %(befores)s::timestamptz[]) AS term(purposes, before) USING (purposes)
     WHERE event.store_id = %(store)s AND event.received_at < term.before AND event.received_at < %(latest)s
     LIMIT %(rows)s
))
"""


def retention_days(store: Store | int) -> dict[Purpose, int]:
    """Days per purpose, of the newest published notice; the longest where its languages differ."""
    store_id = store if isinstance(store, int) else store.pk
    published = PurposeText.objects.for_store(store_id).exclude(notice__published_at=None)
    newest = published.order_by("-notice__version").values_list("notice__version", flat=True).first()
    days = dict(DEFAULT_DAYS)
    if newest is not None:
        told: dict[Purpose, int] = {}
        for slug, term in published.filter(notice__version=newest).values_list("purpose", "retention_days"):
            purpose = Purpose.from_slug(slug)
            told[purpose] = max(term, told.get(purpose, 0))
        days |= told
    return days


def kept_since(store: Store | int, purpose: Purpose, now: datetime | None = None) -> datetime:
    """The earliest moment of which something may still be used for the purpose."""
    return (now or timezone.now()) - timedelta(days=retention_days(store)[purpose])


def expire_events(now: datetime) -> int:
    """Delete events of every store whose last purpose has ended since they came, in batches, each its own
    statement. Gives the number."""
    deleted = 0
    for store in Store.objects.all():
        days = retention_days(store)
        befores = {
            mask: now - timedelta(days=max(days[purpose] for purpose in Purpose(mask)))
            for mask in range(1, int(ALL) + 1)
        }
        parameters = {
            "store": store.pk,
            "masks": list(befores),
            "befores": list(befores.values()),
            "latest": max(befores.values()),
            "rows": DELETE_ROWS,
        }
        deleted += _delete_in_batches(_DELETE_EVENTS, parameters)
    return deleted


def _delete_in_batches(statement: str, parameters: dict[str, Any]) -> int:
    deleted = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(statement, parameters)
            deleted += cursor.rowcount
            if cursor.rowcount < DELETE_ROWS:
                return deleted


def expire_sessions(now: datetime) -> int:
    """Sessions are analytics, and leave with the events that they were folded from."""
    return sum(
        Session.objects.for_store(store)
        .filter(ended_at__lt=kept_since(store, Purpose.ANALYTICS, now))
        .delete()[0]
        for store in Store.objects.all()
    )


def expire_quarantine(now: datetime) -> int:
    return QuarantinedEvent.all_stores.filter(received_at__lt=now - timedelta(days=QUARANTINE_DAYS)).delete()[
        0
    ]


def expire_discard_counts(now: datetime) -> int:
    return DiscardCount.all_stores.filter(day__lt=(now - timedelta(days=DISCARD_COUNT_DAYS)).date()).delete()[
        0
    ]


def expire_findings(now: datetime) -> int:
    return Finding.all_stores.filter(last_seen_at__lt=now - timedelta(days=FINDING_DAYS)).delete()[0]


def expire_rollups(model: type[HourlyCount | ObservedPrice | ClockSkew], field: str, now: datetime) -> int:
    """Rows of the model whose `field` is older than what the checks look back to."""
    return model.all_stores.filter(**{f"{field}__lt": now - timedelta(days=ROLLUP_DAYS)}).delete()[0]


def expire_settled_payments(now: datetime) -> int:
    """They leave with the term of the orders that they are of."""
    return sum(
        SettledPayment.objects.for_store(store)
        .filter(settled_at__lt=kept_since(store, Purpose.NECESSARY, now))
        .delete()[0]
        for store in Store.objects.all()
    )


def expire_blocked_orders(now: datetime) -> int:
    """Orders that were kept for the law alone, when the law lets them go. Gives orders and lines."""
    return Order.all_stores.filter(is_blocked=True, blocked_until__lt=now).delete()[0]
