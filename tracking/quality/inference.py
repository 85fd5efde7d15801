"""What a customer's visits suggest about them: the device and the country they come from most, and the language of their browser.

A guess with its confidence, never more: declared values and those of the shop's systems outrank it (`ProfileSource`). Only events
that may be used for personalisation are read, of people who permit it now. A customer with several records is left out: whose
visits these are is a matter of a merge that may be undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import Error, connection
from django.db.models import Q
from django.utils import timezone

from accounts.models import Customer, IdentityLink, ProfileSource, Store
from accounts.selectors.persons import kin_ids
from accounts.services.customers import customers_upsert
from consent.purposes import Purpose
from consent.selectors.denied import DENIED_NOW_CTE, denied_now_parameters, permitted_now_sql
from consent.withdrawal import Withdrawal
from tracking.quality.forgetting import forget_all_of, forget_outdated

log = structlog.get_logger(__name__)

DAYS: Final = 90
# Fewer days of visits than this are no habit, and a smaller share of them is no answer.
LEAST_DAYS: Final = 3
LEAST_CONFIDENCE: Final = 0.6
ORIGIN: Final = f"visits of the last {DAYS} days"
FIELDS: Final = ("device", "country", "language")

_DAYS_SEEN: Final = f"""
WITH {DENIED_NOW_CTE},
link AS (
    SELECT visitor_id, min(customer_id) AS customer_id
      FROM accounts_identitylink
     WHERE store_id = %(store)s AND undone_at IS NULL AND valid_until IS NULL
     GROUP BY visitor_id HAVING count(DISTINCT customer_id) = 1
),
seen AS (
    SELECT DISTINCT COALESCE(e.customer_id, link.customer_id) AS customer_id, e.visitor_id, e.occurred_at::date AS day,
           lower(left(e.context ->> 'locale', 2)) AS language
      FROM tracking_event e LEFT JOIN link ON link.visitor_id = e.visitor_id
     WHERE e.store_id = %(store)s AND e.purposes & %(purpose)s <> 0 AND NOT e.is_bot AND e.visitor_id IS NOT NULL
       AND e.occurred_at > %(since)s AND e.occurred_at <= %(now)s AND {permitted_now_sql("e")}
)
SELECT customer.external_id, visitor.device, visitor.country, COALESCE(seen.language, ''), count(DISTINCT seen.day)
  FROM seen
  JOIN accounts_visitor visitor ON visitor.id = seen.visitor_id
  JOIN accounts_customer customer ON customer.id = seen.customer_id
 WHERE NOT EXISTS (SELECT 1 FROM accounts_personrecord record WHERE record.customer_id = customer.id)
   AND customer.id NOT IN (SELECT id FROM denied_customer) AND NOT customer.is_personalisation_paused
 GROUP BY 1, 2, 3, 4
"""


def infer_profiles(store: Store, now: datetime | None = None) -> int:
    """Write what the visits suggest, where it is clear enough, and take back what they no longer do or may no longer be used
    for. Gives how many profiles changed; safe to repeat."""
    moment = now or timezone.now()
    guesses: dict[str, dict[str, str]] = {}
    confidence: dict[str, dict[str, float]] = {}
    for customer, days in _days_seen(store, moment).items():
        for name, counts in days.items():
            guess = _guess(counts)
            if guess is not None:
                guesses.setdefault(customer, {})[name] = guess[0]
                confidence.setdefault(customer, {})[name] = guess[1]
    written = (
        customers_upsert(
            store=store,
            profiles=guesses,
            source=ProfileSource.INFERRED,
            at=moment,
            origin=ORIGIN,
            confidence=confidence,
        )
        if guesses
        else 0
    )
    # Last, so that a refusal that came meanwhile counts.
    since = moment - timedelta(days=DAYS)
    return written + forget_outdated(store, guesses, fields=FIELDS, origin=ORIGIN, since=since)


def forget_on_withdrawal(withdrawal: Withdrawal) -> None:
    """At once: guesses about the customer in all records, and about whoever the browser was linked to. What other browsers of
    theirs still permit is guessed anew the next night."""
    if Purpose.PERSONALISATION not in withdrawal.purposes:
        return
    store = withdrawal.store
    links = IdentityLink.objects.for_store(store).filter(
        visitor__anonymous_id__in=withdrawal.anonymous_ids, undone_at=None
    )
    named = [withdrawal.customer_external_id] if withdrawal.customer_external_id is not None else []
    customers = Customer.objects.for_store(store).filter(
        Q(external_id__in=kin_ids(store.pk, named)) | Q(pk__in=links.values("customer_id"))
    )
    forget_all_of(customers, store, FIELDS, ORIGIN)


def forget_on_objection(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Listens to `accounts.shopper_changes`, which an objection is told to. Never raises a database error: the nightly run
    catches up."""
    try:
        customers = Customer.objects.for_store(store_id).filter(external_id__in=list(customer_ids))
        if objecting := list(
            customers.filter(has_objected_to_profiling=True).values_list("external_id", flat=True)
        ):
            everybody = Customer.objects.for_store(store_id).filter(
                external_id__in=kin_ids(store_id, objecting)
            )
            forget_all_of(everybody, Store.objects.get(pk=store_id), FIELDS, ORIGIN)
    except Error:
        log.exception("quality.guesses_not_forgotten", store_id=store_id)


def _days_seen(store: Store, now: datetime) -> dict[str, dict[str, dict[str, int]]]:
    """{customer's external id: {field: {value: days on which it was seen}}}."""
    parameters: dict[str, Any] = {
        **denied_now_parameters(store, Purpose.PERSONALISATION, with_pauses=False),
        "since": now - timedelta(days=DAYS),
        "now": now,
    }
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    with connection.cursor() as cursor:
        cursor.execute(_DAYS_SEEN, parameters)
        for customer, *values, days in cursor.fetchall():
            for name, value in zip(FIELDS, values, strict=True):
                if value:
                    found[customer][name][value] += days
    return found


def _guess(days: Mapping[str, int]) -> tuple[str, float] | None:
    """The value of most days with its share of them; None where it is too little to tell."""
    total = sum(days.values())
    value, most = max(days.items(), key=lambda entry: (entry[1], entry[0]))
    share = most / total
    return (value, share) if total >= LEAST_DAYS and share >= LEAST_CONFIDENCE else None
