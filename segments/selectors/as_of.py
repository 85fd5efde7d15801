from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max

from accounts.models import Store
from tracking.models import Order, Session

# A log that ended longer ago than this is a history that was imported, not a shop that is open.
OPEN_SHOP_DAYS: Final = 30


def as_of(store: Store, now: datetime) -> datetime:
    """The moment that a store's shoppers are judged at: now, or the end of its log where that is a history.

    Seen from today everybody in a data set of 2011 has churned, which tells nothing about them.
    """
    ends = [
        Order.objects.for_store(store)
        .filter(placed_at__lte=now)
        .aggregate(newest=Max("placed_at"))["newest"],
        Session.objects.for_store(store)
        .filter(started_at__lte=now)
        .aggregate(newest=Max("started_at"))["newest"],
    ]
    newest = max((end for end in ends if end is not None), default=now)
    return newest if now - newest > timedelta(days=OPEN_SHOP_DAYS) else now
