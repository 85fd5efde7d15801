"""The gate: what may be stored, and for whom may be personalised. It always reads the newest decision.

Nothing is cached between requests: the one indexed read costs less than a millisecond, and a person who withdraws is
obeyed by the next page, whichever process serves it. What cannot be read is not permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from django.db import Error, connection
from django.utils import timezone

from consent.policy import (
    LEDGER,
    DiscardReason,
    Facts,
    GateEvent,
    Person,
    SourcePolicy,
    StateAt,
    Suppressed,
    Verdict,
    customer_subject,
    decide,
    visitor_subject,
)
from consent.pseudonyms import IdentifierKind, pseudonyms
from consent.purposes import ALL, Purpose

if TYPE_CHECKING:
    import psycopg

    from accounts.models import Customer, Store

__all__ = [
    "LEDGER",
    "DiscardReason",
    "GateEvent",
    "SourcePolicy",
    "Verdict",
    "allowed_purposes",
    "lock_against_erasure",
    "may_personalise",
    "permissions_for_batch",
]

log = structlog.get_logger(__name__)

ERASURE_LOCK: Final = 4_543_564  # first half of the advisory lock's key; the second is the store's id

_STATE, _SUPPRESSION, _FLAG = 0, 1, 2

_FACTS: Final = """
SELECT 0, subject, granted::int, valid_from, NULL::timestamptz, overrides_gpc
  FROM consent_consentstate
 WHERE store_id = %(store)s AND subject = ANY(%(subjects)s)
UNION ALL
SELECT 1, digest, 0, suppressed_until, readmitted_at, false
  FROM consent_suppression
 WHERE store_id = %(store)s AND digest = ANY(%(digests)s)
UNION ALL
SELECT 2, 'c:' || external_id, is_processing_restricted::int + 2 * has_objected_to_profiling::int, NULL, NULL, false
  FROM accounts_customer
 WHERE store_id = %(store)s AND external_id = ANY(%(user_ids)s)
   AND (is_processing_restricted OR has_objected_to_profiling)
UNION ALL
SELECT 2, 'v:' || visitor.anonymous_id,
       customer.is_processing_restricted::int + 2 * customer.has_objected_to_profiling::int, NULL, NULL, false
  FROM accounts_customer customer
  JOIN accounts_identitylink link
    ON link.customer_id = customer.id AND link.valid_until IS NULL AND link.undone_at IS NULL
  JOIN accounts_visitor visitor ON visitor.id = link.visitor_id
 WHERE customer.store_id = %(store)s AND (customer.is_processing_restricted OR customer.has_objected_to_profiling)
   AND visitor.anonymous_id = ANY(%(anonymous_ids)s)
"""


class Cursor(Protocol):
    """A cursor of psycopg or of Django."""

    def execute(self, query: Any, params: Any = None) -> Any: ...
    def fetchall(self) -> list[Any]: ...


def _digests(
    store_id: int, kind: str, subject_of: Callable[[str], str], ids: Iterable[str]
) -> dict[str, str]:
    return {digest: subject_of(value) for value in ids for digest in pseudonyms(store_id, kind, value)}


def _read_facts(
    cursor: Cursor, store_id: int, anonymous_ids: Sequence[str], user_ids: Sequence[str]
) -> Facts:
    digests = {
        **_digests(store_id, IdentifierKind.ANONYMOUS_ID, visitor_subject, anonymous_ids),
        **_digests(store_id, IdentifierKind.USER_ID, customer_subject, user_ids),
    }
    cursor.execute(
        _FACTS,
        {
            "store": store_id,
            "subjects": [*map(visitor_subject, anonymous_ids), *map(customer_subject, user_ids)],
            "digests": list(digests),
            "anonymous_ids": list(anonymous_ids),
            "user_ids": list(user_ids),
        },
    )
    histories: dict[str, list[StateAt]] = {}
    suppressed: dict[str, Suppressed] = {}
    flags: dict[str, int] = {}
    for kind, key, number, moment, second_moment, overrides_gpc in cursor.fetchall():
        if kind == _STATE:
            histories.setdefault(key, []).append(StateAt(moment, number, overrides_gpc))
        elif kind == _SUPPRESSION:
            suppressed[digests[key]] = Suppressed(moment, second_moment)
        else:
            flags[key] = flags.get(key, 0) | number
    for history in histories.values():
        history.sort()
    return Facts(histories, flags, suppressed)


def lock_against_erasure(cursor: Cursor, store_id: int) -> None:
    """Hold the store's erasures off until this transaction ends: they see all of its rows, or it sees their suppression."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", (ERASURE_LOCK, store_id))


def permissions_for_batch(
    connection: psycopg.Connection[Any],
    store_id: int,
    events: Sequence[GateEvent],
    now: datetime | None = None,
) -> list[Verdict]:
    """A verdict for each event, in order, in one read inside the caller's transaction.

    Takes the erasure lock shared until the transaction ends, so that the verdicts still hold when the rows are written.
    `now` is the moment of receipt (default: this one); imports of history give the message's own.
    An event whose verdict holds none of `purposes.RECOGNITION` must be stored without its visitor and context.
    """
    if not events:
        return []
    anonymous_ids = list({event.anonymous_id for event in events if event.anonymous_id})
    user_ids = list({event.user_id for event in events if event.user_id})
    with connection.cursor() as cursor:
        lock_against_erasure(cursor, store_id)
        facts = _read_facts(cursor, store_id, anonymous_ids, user_ids)
    return decide(events, facts, now or timezone.now())


def allowed_purposes(
    store: Store | int,
    *,
    anonymous_id: str | None = None,
    customer: Customer | str | None = None,
    at: datetime | None = None,
    source: SourcePolicy = LEDGER,
    client_consent: int | None = None,
    gpc: bool = False,
) -> Purpose:
    """What this person permits now, and permitted `at` (default: now). `customer` is a Customer or a trusted external id.

    NECESSARY is in it, but for what an erased person did before the erasure, where the set is empty.
    Raises django.db.Error where it cannot be read.
    """
    store_id = store if isinstance(store, int) else store.pk
    user_id = customer if isinstance(customer, str) or customer is None else customer.external_id
    now = timezone.now()
    event = GateEvent(anonymous_id, user_id, int(ALL), at or now, source, client_consent, gpc)
    with connection.cursor() as cursor:
        facts = _read_facts(
            cursor, store_id, [anonymous_id] if anonymous_id else [], [user_id] if user_id else []
        )
    return Purpose(Person(facts, anonymous_id, user_id).permitted(event, now).purposes)


def may_personalise(
    store: Store | int,
    *,
    anonymous_id: str | None = None,
    customer: Customer | None = None,
    source: SourcePolicy = LEDGER,
    gpc: bool = False,
) -> bool:
    """Whether a shelf may be made for this person now. False where nobody is known, or it cannot be read.

    Honours refusal, withdrawal, objection, restriction, Global Privacy Control and the pause that a customer sets.
    """
    if anonymous_id is None and customer is None:
        return False
    if customer is not None and customer.is_personalisation_paused:
        return False
    try:
        permitted = allowed_purposes(
            store, anonymous_id=anonymous_id, customer=customer, source=source, gpc=gpc
        )
    except Error:
        log.warning("consent.unreadable", exc_info=True)
        return False
    return Purpose.PERSONALISATION in permitted
