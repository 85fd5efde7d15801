"""Who does not permit a purpose now: the last of the three moments at which permission must hold.

What stands in the log was permitted when it happened and when it came. Training, segments and exports read it later, and
leave out whoever has said no since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from accounts.models import Store
from consent.purposes import Purpose

# Common table expressions `denied_customer(id)` and `denied_visitor(id)`. A person who has never decided is not in them:
# their events came from a source that declared its own basis. A visitor counts for every customer that they were linked
# to, so that one customer's withdrawal may hide a shared device's anonymous events, and never the other way round. Of
# merged customers all records must permit; what one of them decided after the merge counts for all.
DENIED_NOW_CTE: Final = """
newest_decision AS (
    SELECT DISTINCT ON (subject) subject, granted
      FROM consent_consentstate WHERE store_id = %(store)s
     ORDER BY subject, valid_from DESC
),
person_decision AS (
    SELECT DISTINCT ON (record.person_id) record.person_id, state.granted
      FROM accounts_personrecord record
      JOIN accounts_customer customer ON customer.id = record.customer_id
      JOIN consent_consentstate state
        ON state.store_id = %(store)s AND state.subject = 'c:' || customer.external_id AND state.valid_from > record.since
     WHERE record.store_id = %(store)s
     ORDER BY record.person_id, state.valid_from DESC
),
denied_record AS (
    SELECT customer.id
      FROM accounts_customer customer
      LEFT JOIN newest_decision decision ON decision.subject = 'c:' || customer.external_id
      LEFT JOIN accounts_personrecord record ON record.customer_id = customer.id
      LEFT JOIN person_decision ON person_decision.person_id = record.person_id
     WHERE customer.store_id = %(store)s
       AND (COALESCE(person_decision.granted, decision.granted) & %(purpose)s = 0
            OR customer.is_processing_restricted
            OR (%(is_profiling)s AND customer.has_objected_to_profiling))
),
denied_customer AS (
    SELECT id FROM denied_record
     UNION
    SELECT kin.customer_id
      FROM denied_record
      JOIN accounts_personrecord record ON record.customer_id = denied_record.id
      JOIN accounts_personrecord kin ON kin.person_id = record.person_id
),
denied_visitor AS (
    SELECT visitor.id
      FROM accounts_visitor visitor
      JOIN newest_decision decision ON decision.subject = 'v:' || visitor.anonymous_id
     WHERE visitor.store_id = %(store)s AND decision.granted & %(purpose)s = 0
     UNION
    SELECT link.visitor_id
      FROM accounts_identitylink link JOIN denied_customer ON denied_customer.id = link.customer_id
     WHERE link.store_id = %(store)s AND link.undone_at IS NULL
)
"""


def denied_now_parameters(store: Store | int, purpose: Purpose) -> dict[str, Any]:
    """Parameters that DENIED_NOW_CTE needs: store, purpose, is_profiling."""
    return {
        "store": store if isinstance(store, int) else store.pk,
        "purpose": int(purpose),
        "is_profiling": purpose == Purpose.PERSONALISATION,
    }


def permitted_now_sql(alias: str) -> str:
    """A condition on rows with `visitor_id` and `customer_id` under `alias`, in a statement that begins with the CTE.

    `WITH {DENIED_NOW_CTE} SELECT … FROM tracking_event e WHERE e.purposes & %(purpose)s <> 0 AND {permitted_now_sql("e")}`
    """
    return (
        f"({alias}.visitor_id IS NULL OR {alias}.visitor_id NOT IN (SELECT id FROM denied_visitor))"
        f" AND ({alias}.customer_id IS NULL OR {alias}.customer_id NOT IN (SELECT id FROM denied_customer))"
    )


@dataclass(frozen=True)
class DeniedNow:
    """Ids of those who do not permit the purpose any more."""

    visitor_ids: frozenset[int]
    customer_ids: frozenset[int]


def denied_now(store: Store | int, purpose: Purpose) -> DeniedNow:
    """The same as sets, for readers that filter in memory."""
    query = f"""WITH {DENIED_NOW_CTE}
        SELECT id, true FROM denied_visitor UNION ALL SELECT id, false FROM denied_customer"""
    visitor_ids: set[int] = set()
    customer_ids: set[int] = set()
    with connection.cursor() as cursor:
        cursor.execute(query, denied_now_parameters(store, purpose))
        for identifier, is_visitor in cursor.fetchall():
            (visitor_ids if is_visitor else customer_ids).add(identifier)
    return DeniedNow(frozenset(visitor_ids), frozenset(customer_ids))
