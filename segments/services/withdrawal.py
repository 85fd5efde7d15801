"""Who says no to personalisation leaves their segments at once, not with the next computation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import structlog
from django.db import Error, connection

from consent.purposes import Purpose
from segments.services.memberships import memberships_forget

log = structlog.get_logger(__name__)

# The same conditions as consent.selectors.denied, for a few people instead of all: a decision against it, an objection, a
# restriction or a pause of the customer, also for the browsers that are linked to them.
_DENIED: Final = """
WITH newest_decision AS (
    SELECT DISTINCT ON (subject) subject, granted
      FROM consent_consentstate WHERE store_id = %(store)s AND subject = ANY(%(subjects)s)
     ORDER BY subject, valid_from DESC
),
denied_record AS (
    SELECT customer.id
      FROM accounts_customer customer
      LEFT JOIN newest_decision decision ON decision.subject = 'c:' || customer.external_id
     WHERE customer.store_id = %(store)s AND customer.external_id = ANY(%(customer_ids)s)
       AND (decision.granted & %(purpose)s = 0 OR customer.is_processing_restricted OR customer.has_objected_to_profiling
            OR customer.is_personalisation_paused)
),
denied_customer AS (
    SELECT id FROM denied_record
     UNION
    SELECT kin.customer_id
      FROM denied_record
      JOIN accounts_personrecord record ON record.customer_id = denied_record.id
      JOIN accounts_personrecord kin ON kin.person_id = record.person_id
)
SELECT id, true FROM denied_customer
 UNION ALL
SELECT visitor.id, false
  FROM accounts_visitor visitor JOIN newest_decision decision ON decision.subject = 'v:' || visitor.anonymous_id
 WHERE visitor.store_id = %(store)s AND visitor.anonymous_id = ANY(%(anonymous_ids)s) AND decision.granted & %(purpose)s = 0
 UNION ALL
SELECT link.visitor_id, false
  FROM accounts_identitylink link JOIN denied_customer ON denied_customer.id = link.customer_id
 WHERE link.store_id = %(store)s AND link.undone_at IS NULL
"""


def forget_who_denies(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Listens to `accounts.shopper_changes`: ids of people whose permissions may have changed. Never raises a database error."""
    anonymous, customers = list(anonymous_ids), list(customer_ids)
    parameters: dict[str, Any] = {
        "store": store_id,
        "purpose": int(Purpose.PERSONALISATION),
        "subjects": [*(f"v:{value}" for value in anonymous), *(f"c:{value}" for value in customers)],
        "anonymous_ids": anonymous,
        "customer_ids": customers,
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(_DENIED, parameters)
            denied = cursor.fetchall()
        if denied:
            memberships_forget(
                store_id=store_id,
                customer_ids=[identifier for identifier, is_customer in denied if is_customer],
                visitor_ids=[identifier for identifier, is_customer in denied if not is_customer],
            )
    except Error:
        log.exception("segments.withdrawal_not_carried_out", store_id=store_id)
