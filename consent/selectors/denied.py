"""Who does not permit a purpose now: the last of the three moments at which permission must hold.

What stands in the log was permitted when it happened and when it came. Training, segments and exports read it later, and
leave out whoever has said no since. Who pauses personalisation permits no profiling meanwhile: nothing is learned from them either.
"""

from __future__ import annotations

from collections.abc import Iterable
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
opted_out AS (
    SELECT customer_id, subject
      FROM consent_optout
     WHERE store_id = %(store)s AND ended_at IS NULL AND withheld & %(purpose)s <> 0
),
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
            OR (%(is_profiling)s AND customer.has_objected_to_profiling)
            OR (%(is_pause_a_no)s AND customer.is_personalisation_paused)
            OR customer.id IN (SELECT customer_id FROM opted_out WHERE customer_id IS NOT NULL))
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
    SELECT visitor.id
      FROM opted_out JOIN accounts_visitor visitor ON visitor.anonymous_id = substr(opted_out.subject, 3)
     WHERE visitor.store_id = %(store)s AND opted_out.customer_id IS NULL
     UNION
    SELECT link.visitor_id
      FROM accounts_identitylink link JOIN denied_customer ON denied_customer.id = link.customer_id
     WHERE link.store_id = %(store)s AND link.undone_at IS NULL
)
"""


# The same, of a few people: reads what stands about them and about the other records of theirs, and nothing of anybody else.
_DENIED_AMONG: Final = """
WITH opted_out AS (
    SELECT customer_id, subject
      FROM consent_optout
     WHERE store_id = %(store)s AND ended_at IS NULL AND withheld & %(purpose)s <> 0
       AND subject = ANY(%(subjects)s)
),
newest_decision AS (
    SELECT DISTINCT ON (subject) subject, granted
      FROM consent_consentstate WHERE store_id = %(store)s AND subject = ANY(%(subjects)s)
     ORDER BY subject, valid_from DESC
),
denied_record AS (
    SELECT customer.id
      FROM accounts_customer customer
      LEFT JOIN newest_decision decision ON decision.subject = 'c:' || customer.external_id
      LEFT JOIN accounts_personrecord record ON record.customer_id = customer.id
      LEFT JOIN LATERAL (
            SELECT state.granted
              FROM accounts_personrecord kin
              JOIN accounts_customer other ON other.id = kin.customer_id
              JOIN consent_consentstate state ON state.store_id = %(store)s AND state.subject = 'c:' || other.external_id
             WHERE kin.person_id = record.person_id AND state.valid_from > kin.since
             ORDER BY state.valid_from DESC LIMIT 1) person ON true
     WHERE customer.store_id = %(store)s AND customer.external_id = ANY(%(customer_ids)s)
       AND (COALESCE(person.granted, decision.granted) & %(purpose)s = 0
            OR customer.is_processing_restricted
            OR (%(is_profiling)s AND customer.has_objected_to_profiling)
            OR (%(is_pause_a_no)s AND customer.is_personalisation_paused)
            OR customer.id IN (SELECT customer_id FROM opted_out WHERE customer_id IS NOT NULL))
),
denied_customer AS (
    SELECT id FROM denied_record
     UNION
    SELECT kin.customer_id
      FROM denied_record
      JOIN accounts_personrecord record ON record.customer_id = denied_record.id
      JOIN accounts_personrecord kin ON kin.person_id = record.person_id
)
SELECT id, false FROM denied_customer
 UNION ALL
SELECT visitor.id, true
  FROM accounts_visitor visitor JOIN newest_decision decision ON decision.subject = 'v:' || visitor.anonymous_id
 WHERE visitor.store_id = %(store)s AND visitor.anonymous_id = ANY(%(anonymous_ids)s) AND decision.granted & %(purpose)s = 0
 UNION
SELECT visitor.id, true
  FROM opted_out JOIN accounts_visitor visitor ON visitor.anonymous_id = substr(opted_out.subject, 3)
 WHERE visitor.store_id = %(store)s AND opted_out.customer_id IS NULL
 UNION
SELECT link.visitor_id, true
  FROM accounts_identitylink link JOIN denied_customer ON denied_customer.id = link.customer_id
 WHERE link.store_id = %(store)s AND link.undone_at IS NULL
"""


def denied_now_parameters(
    store: Store | int, purpose: Purpose, *, with_pauses: bool = True
) -> dict[str, Any]:
    """Parameters that DENIED_NOW_CTE needs: store, purpose, is_profiling, is_pause_a_no.

    Without pauses: who has laid personalisation aside for a while takes back nothing of what is kept about them.
    """
    is_profiling = purpose == Purpose.PERSONALISATION
    return {
        "store": store if isinstance(store, int) else store.pk,
        "purpose": int(purpose),
        "is_profiling": is_profiling,
        "is_pause_a_no": is_profiling and with_pauses,
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

    def __bool__(self) -> bool:
        return bool(self.visitor_ids or self.customer_ids)


def denied_now(store: Store | int, purpose: Purpose, *, with_pauses: bool = True) -> DeniedNow:
    """The same as sets, for readers that filter in memory."""
    query = f"""WITH {DENIED_NOW_CTE}
        SELECT id, true FROM denied_visitor UNION ALL SELECT id, false FROM denied_customer"""
    return _read(query, denied_now_parameters(store, purpose, with_pauses=with_pauses))


def denied_among(
    store: Store | int, purpose: Purpose, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]
) -> DeniedNow:
    """Of these people (anonymous ids, external ids) those who do not permit the purpose now, with all records and browsers of the
    customers among them. Its cost follows from how many are asked for, not from how large the store is."""
    anonymous, customers = list(anonymous_ids), list(customer_ids)
    asked = {
        "subjects": [*(f"v:{value}" for value in anonymous), *(f"c:{value}" for value in customers)],
        "anonymous_ids": anonymous,
        "customer_ids": customers,
    }
    return _read(_DENIED_AMONG, {**denied_now_parameters(store, purpose), **asked})


def _read(query: str, parameters: dict[str, Any]) -> DeniedNow:
    """Rows of (id, whether it is a visitor's)."""
    visitor_ids: set[int] = set()
    customer_ids: set[int] = set()
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        for identifier, is_visitor in cursor.fetchall():
            (visitor_ids if is_visitor else customer_ids).add(identifier)
    return DeniedNow(frozenset(visitor_ids), frozenset(customer_ids))
