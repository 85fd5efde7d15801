"""The gate: what may be stored, and for whom may be personalised. It always reads the newest decision.

Nothing is cached between requests: the one indexed read costs less than a millisecond, and a person who withdraws is
obeyed by the next page, whichever process serves it. What cannot be read is not permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from django.db import Error, connection
from django.utils import timezone

from accounts.selectors.persons import records_of
from consent.policy import (
    LEDGER,
    DiscardReason,
    Facts,
    GateEvent,
    Kin,
    Person,
    SourcePolicy,
    StateAt,
    Suppressed,
    Verdict,
    Veto,
    customer_subject,
    decide,
    visitor_subject,
)
from consent.pseudonyms import IdentifierKind, pseudonyms_of_many
from consent.purposes import ALL, Purpose

if TYPE_CHECKING:
    from accounts.models import Customer, Store

__all__ = [
    "LEDGER",
    "DiscardReason",
    "GateEvent",
    "Inquiry",
    "SourcePolicy",
    "Verdict",
    "allowed_purposes",
    "ask_permissions",
    "lock_against_erasure",
    "may_personalise",
    "permissions_for_batch",
    "personal_purposes",
]

log = structlog.get_logger(__name__)

ERASURE_LOCK: Final = 4_543_564  # first half of the advisory lock's key; the second is the store's id

_STATE, _SUPPRESSION, _FLAG, _KIN, _OPT_OUT = 0, 1, 2, 3, 4

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
   AND visitor.store_id = %(store)s AND visitor.anonymous_id = ANY(%(anonymous_ids)s)
UNION ALL
SELECT 3, 'c:' || customer.external_id, record.person_id, record.since, NULL, false
  FROM accounts_personrecord record JOIN accounts_customer customer ON customer.id = record.customer_id
 WHERE record.store_id = %(store)s AND customer.store_id = %(store)s AND customer.external_id = ANY(%(user_ids)s)
UNION ALL
SELECT 3, 'v:' || visitor.anonymous_id, record.person_id, record.since, NULL, false
  FROM accounts_personrecord record
  JOIN accounts_identitylink link
    ON link.customer_id = record.customer_id AND link.valid_until IS NULL AND link.undone_at IS NULL
  JOIN accounts_visitor visitor ON visitor.id = link.visitor_id
 WHERE record.store_id = %(store)s AND visitor.store_id = %(store)s AND visitor.anonymous_id = ANY(%(anonymous_ids)s)
UNION ALL
SELECT 4, subject, withheld, since, ended_at, false
  FROM consent_optout
 WHERE store_id = %(store)s AND subject = ANY(%(subjects)s)
UNION ALL
SELECT 4, 'v:' || visitor.anonymous_id, asked.withheld, asked.since, asked.ended_at, false
  FROM consent_optout asked
  JOIN accounts_identitylink link
    ON link.customer_id = asked.customer_id AND link.valid_until IS NULL AND link.undone_at IS NULL
  JOIN accounts_visitor visitor ON visitor.id = link.visitor_id
 WHERE asked.store_id = %(store)s AND visitor.store_id = %(store)s AND visitor.anonymous_id = ANY(%(anonymous_ids)s)
"""

# What the other records of merged customers say: asked only where somebody is one of them.
_KIN_FACTS: Final = """
SELECT 3, 'c:' || customer.external_id, record.person_id, NULL::timestamptz, NULL::timestamptz, false
  FROM accounts_personrecord record JOIN accounts_customer customer ON customer.id = record.customer_id
 WHERE record.store_id = %(store)s AND record.person_id = ANY(%(persons)s)
UNION ALL
SELECT 0, state.subject, state.granted::int, state.valid_from, NULL, state.overrides_gpc
  FROM accounts_personrecord record
  JOIN accounts_customer customer ON customer.id = record.customer_id
  JOIN consent_consentstate state
    ON state.store_id = %(store)s AND state.subject = 'c:' || customer.external_id
 WHERE record.store_id = %(store)s AND record.person_id = ANY(%(persons)s)
UNION ALL
SELECT 2, 'c:' || customer.external_id,
       customer.is_processing_restricted::int + 2 * customer.has_objected_to_profiling::int, NULL, NULL, false
  FROM accounts_personrecord record JOIN accounts_customer customer ON customer.id = record.customer_id
 WHERE record.store_id = %(store)s AND record.person_id = ANY(%(persons)s)
   AND (customer.is_processing_restricted OR customer.has_objected_to_profiling)
UNION ALL
SELECT 4, asked.subject, asked.withheld, asked.since, asked.ended_at, false
  FROM accounts_personrecord record JOIN consent_optout asked ON asked.customer_id = record.customer_id
 WHERE record.store_id = %(store)s AND asked.store_id = %(store)s AND record.person_id = ANY(%(persons)s)
"""


class Cursor(Protocol):
    """A cursor of psycopg or of Django."""

    def execute(self, query: Any, params: Any = None) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Cursors(Protocol):
    """A connection of Django, or what else gives cursors within one transaction."""

    def cursor(self) -> Any: ...


def _digests(
    store_id: int, kind: str, subject_of: Callable[[str], str], ids: Iterable[str]
) -> dict[str, str]:
    return pseudonyms_of_many(store_id, kind, {value: subject_of(value) for value in ids})


def _ask_facts(
    cursor: Cursor, store_id: int, anonymous_ids: Sequence[str], user_ids: Sequence[str]
) -> Mapping[str, str]:
    """Put the question. Gives {digest: subject}, which the answer is read with."""
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
    return digests


def _facts_of(cursor: Cursor, store_id: int, digests: Mapping[str, str]) -> Facts:
    histories: dict[str, list[StateAt]] = {}
    suppressed: dict[str, Suppressed] = {}
    flags: dict[str, int] = {}
    people: dict[str, tuple[int, datetime]] = {}
    opt_outs: dict[str, list[Veto]] = {}
    for kind, key, number, moment, second_moment, overrides_gpc in cursor.fetchall():
        if kind == _STATE:
            histories.setdefault(key, []).append(StateAt(moment, number, overrides_gpc))
        elif kind == _SUPPRESSION:
            suppressed[digests[key]] = Suppressed(moment, second_moment)
        elif kind == _KIN:
            people[key] = (number, moment)
        elif kind == _OPT_OUT:
            opt_outs.setdefault(key, []).append(Veto(moment, second_moment, number))
        else:
            flags[key] = flags.get(key, 0) | number
    kin = _kin_of(cursor, store_id, people, histories, flags, opt_outs) if people else {}
    for history in histories.values():
        if len(history) > 1:
            history.sort()
    return Facts(histories, flags, suppressed, kin, opt_outs)


def _kin_of(
    cursor: Cursor,
    store_id: int,
    people: Mapping[str, tuple[int, datetime]],
    histories: dict[str, list[StateAt]],
    flags: dict[str, int],
    opt_outs: dict[str, list[Veto]],
) -> dict[str, Kin]:
    """The records of merged customers, by who was asked for; what they have decided is added to histories, flags and opt-outs."""
    persons = list({person for person, _ in people.values()})
    cursor.execute(_KIN_FACTS, {"store": store_id, "persons": persons})
    records: dict[int, list[str]] = {}
    told: dict[str, list[StateAt]] = {}
    for kind, key, number, moment, second_moment, overrides_gpc in cursor.fetchall():
        if kind == _STATE:
            told.setdefault(key, []).append(StateAt(moment, number, overrides_gpc))
        elif kind == _OPT_OUT:
            opt_outs.setdefault(key, []).append(Veto(moment, second_moment, number))
        elif kind == _FLAG:
            flags[key] = flags.get(key, 0) | number
        else:
            records.setdefault(number, []).append(key)
    histories.update(told)
    return {key: Kin(tuple(records[person]), since) for key, (person, since) in people.items()}


def lock_against_erasure(cursor: Cursor, store_id: int) -> None:
    """Hold the store's erasures off until this transaction ends: they see all of its rows, or it sees their suppression."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", (ERASURE_LOCK, store_id))


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What was asked about the people of some events; the answer may still be on its way."""

    events: Sequence[GateEvent]
    store_id: int
    cursor: Cursor
    digests: Mapping[str, str]

    def verdicts(self, now: datetime | None = None) -> list[Verdict]:
        """A verdict for each event, in order. `now` is the moment of receipt (default: this one)."""
        return decide(self.events, _facts_of(self.cursor, self.store_id, self.digests), now or timezone.now())


def ask_permissions(cursors: Cursors, store_id: int, events: Sequence[GateEvent]) -> Inquiry:
    """Ask in the caller's transaction, in one read; see `permissions_for_batch`.

    Without waiting for the answer where `cursors` sends statements in a pipeline, so that others travel with it.
    """
    anonymous_ids = list({event.anonymous_id for event in events if event.anonymous_id})
    user_ids = list({event.user_id for event in events if event.user_id})
    # A statement of its own: the read must see what was committed while it waited for the lock.
    lock_against_erasure(cursors.cursor(), store_id)
    cursor = cursors.cursor()
    return Inquiry(events, store_id, cursor, _ask_facts(cursor, store_id, anonymous_ids, user_ids))


def permissions_for_batch(
    connection: Cursors, store_id: int, events: Sequence[GateEvent], now: datetime | None = None
) -> list[Verdict]:
    """A verdict for each event, in order, in one read inside the caller's transaction.

    Takes the erasure lock shared until the transaction ends, so that the verdicts still hold when the rows are written.
    `now` is the moment of receipt (default: this one); imports of history give the message's own.
    An event whose verdict holds none of `purposes.RECOGNITION` must be stored without its visitor and context.
    """
    return ask_permissions(connection, store_id, events).verdicts(now) if events else []


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
        digests = _ask_facts(
            cursor, store_id, [anonymous_id] if anonymous_id else [], [user_id] if user_id else []
        )
        facts = _facts_of(cursor, store_id, digests)
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

    Honours refusal, withdrawal, opt-out, objection, restriction, Global Privacy Control and the pause that a customer sets.
    """
    return bool(
        personal_purposes(store, anonymous_id=anonymous_id, customer=customer, source=source, gpc=gpc)
    )


def personal_purposes(
    store: Store | int,
    *,
    anonymous_id: str | None = None,
    customer: Customer | None = None,
    source: SourcePolicy = LEDGER,
    gpc: bool = False,
) -> Purpose:
    """What this person permits now beside a shelf of their own; empty where none may be made for them (see `may_personalise`)."""
    if anonymous_id is None and customer is None:
        return Purpose(0)
    try:
        if customer is not None and any(record.is_personalisation_paused for record in records_of(customer)):
            return Purpose(0)
        permitted = allowed_purposes(
            store, anonymous_id=anonymous_id, customer=customer, source=source, gpc=gpc
        )
    except Error:
        log.warning("consent.unreadable", exc_info=True)
        return Purpose(0)
    return permitted if Purpose.PERSONALISATION in permitted else Purpose(0)
