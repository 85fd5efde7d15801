"""Record a decision: its proof in the ledger, and what it permits from then on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from ipaddress import ip_address, ip_network
from operator import or_
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from django.db import transaction
from django.utils import timezone

from accounts import shopper_changes
from accounts.models import Customer, Store
from accounts.selectors.identity import visitors_of
from consent.ledger import CONSENT, Entry, append
from consent.models import (
    ConsentChoice,
    ConsentMechanism,
    ConsentRecord,
    ConsentState,
    Notice,
    OptOut,
    Suppression,
)
from consent.policy import GPC_WITHHELD, customer_subject, visitor_subject
from consent.pseudonyms import IdentifierKind, pseudonym, pseudonyms
from consent.purposes import ALL, NONE, RECOGNITION, Purpose, slugs
from consent.withdrawal import Withdrawal, announce

_IP_PREFIX: Final = {4: 24, 6: 48}
_TICK: Final = timedelta(microseconds=1)
# Ways of choosing that name purposes one by one: they stand although the browser sends Global Privacy Control.
_EXPLICIT: Final = frozenset({ConsentChoice.SAVE, ConsentChoice.API})


@dataclass(frozen=True)
class Decision:
    """What somebody decided, and the circumstances that prove it.

    `granted`: optional purposes that were said yes to. `anonymous_id`: the browser's tracking id, where it has or gets
    one. `customer`: who is logged in, or an external id that the shop vouches for. `source`: the certified platform whose answer
    this is (tcf, gpp). `at`: for imports of older decisions.
    `opted_out`: what a standing opt-out takes away, whatever is said yes to.
    """

    granted: Purpose
    method: str
    anonymous_id: str | None = None
    customer: Customer | str | None = None
    notice: Notice | None = None
    receipt_id: uuid.UUID = field(default_factory=uuid.uuid4)
    served_notice_id: uuid.UUID = field(default_factory=uuid.uuid4)
    mechanism: str = ConsentMechanism.OPT_IN
    gpc: bool = False
    page_url: str = ""
    region: str = ""
    ip: str = ""
    user_agent: str = ""
    at: datetime | None = None
    opted_out: Purpose = NONE
    source: str = ""

    @property
    def user_id(self) -> str | None:
        return self.customer.external_id if isinstance(self.customer, Customer) else self.customer

    @property
    def effective(self) -> Purpose:
        """What is granted in the end: always what is necessary, and without an explicit choice not what GPC withholds."""
        granted = self.granted & ALL | Purpose.NECESSARY
        if self.gpc and not self._is_explicit:
            granted &= ~Purpose(GPC_WITHHELD)
        return granted & ~self.opted_out

    @property
    def overrides_gpc(self) -> bool:
        return self.gpc and self._is_explicit and bool(self.effective & Purpose(GPC_WITHHELD))

    @property
    def _is_explicit(self) -> bool:
        """Did they name our purposes one by one? Who answered a platform named its purposes, not ours."""
        return self.method in _EXPLICIT and not self.source


@dataclass(frozen=True)
class RecordedDecision:
    """`granted` is what now holds, NECESSARY included; `receipt_id` proves it."""

    receipt_id: uuid.UUID
    granted: Purpose
    record: ConsentRecord


def truncated_ip(address: str) -> str:
    """The network of an address: 24 bits of IPv4, 48 of IPv6. Empty for what is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((ip, _IP_PREFIX[ip.version]), strict=False).network_address)


def bare_url(url: str) -> str:
    """The page without query and fragment, in which shops carry e-mail addresses and searches."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:500]


def _payload(store: Store, decision: Decision) -> dict[str, object]:
    granted = decision.effective
    notice = decision.notice
    return {
        "receipt_id": decision.receipt_id,
        "notice_version": notice.version if notice else None,
        "notice_hash": notice.content_hash if notice else "",
        "language": notice.language if notice else "",
        "mechanism": str(decision.mechanism),
        "method": str(decision.method),
        "granted": slugs(granted),
        "denied": slugs(ALL & ~granted),
        "served_notice_id": decision.served_notice_id,
        "gpc": decision.gpc,
        "page_url": bare_url(decision.page_url),
        "region": decision.region[:8],
        "visitor_pseudonym": _pseudonym(store, IdentifierKind.ANONYMOUS_ID, decision.anonymous_id),
        "customer_pseudonym": _pseudonym(store, IdentifierKind.USER_ID, decision.user_id),
        "customer": decision.customer if isinstance(decision.customer, Customer) else None,
        "ip_truncated": truncated_ip(decision.ip),
        "user_agent": decision.user_agent.replace("\0", "")[:400],
        "source": decision.source,
    }


def _pseudonym(store: Store, kind: IdentifierKind, value: str | None) -> str:
    return pseudonym(store.pk, kind, value) if value else ""


def _newest(store: Store, subjects: Iterable[str]) -> dict[str, ConsentState]:
    states = (
        ConsentState.objects.for_store(store)
        .filter(subject__in=set(subjects))
        .order_by("subject", "-valid_from")
    )
    return {state.subject: state for state in states.distinct("subject")}


def _other_browsers(decision: Decision) -> list[str]:
    """Anonymous ids of the customer's other browsers, which a narrowing decision reaches too."""
    if not isinstance(decision.customer, Customer) or decision.effective == ALL:
        return []
    linked = visitors_of(decision.customer, decision.at or timezone.now())
    return [visitor.anonymous_id for visitor in linked if visitor.anonymous_id != decision.anonymous_id]


def _states(
    store: Store, decisions: Sequence[Decision], records: Sequence[ConsentRecord]
) -> list[ConsentState]:
    """One state a subject and decision. Two at one moment are moved apart, so that the later one in order wins."""
    others = [_other_browsers(decision) for decision in decisions]
    subjects = {subject for decision in decisions for subject in _subjects(decision)}
    newest = _newest(
        store, subjects | {visitor_subject(anonymous_id) for ids in others for anonymous_id in ids}
    )
    taken = {(subject, state.valid_from) for subject, state in newest.items()}
    states = []
    for decision, record, other_ids in zip(decisions, records, others, strict=True):
        wanted = dict.fromkeys(_subjects(decision), decision.effective)
        for subject in map(visitor_subject, other_ids):
            before = newest.get(subject)
            if before is not None and before.granted & ~decision.effective:
                wanted[subject] = Purpose(before.granted) & decision.effective
        for subject, granted in wanted.items():
            moment = decision.at or record.recorded_at
            last = newest.get(subject)
            if decision.at is None and last is not None and last.valid_from >= moment:
                moment = last.valid_from + _TICK
            while (subject, moment) in taken:
                moment += _TICK
            taken.add((subject, moment))
            state = ConsentState(
                store=store,
                subject=subject,
                granted=int(granted),
                valid_from=moment,
                overrides_gpc=decision.overrides_gpc,
                record=record,
            )
            if last is None or moment > last.valid_from:
                newest[subject] = state
            states.append(state)
    return states


def _subjects(decision: Decision) -> list[str]:
    subjects = [visitor_subject(decision.anonymous_id)] if decision.anonymous_id else []
    return [*subjects, customer_subject(decision.user_id)] if decision.user_id else subjects


def _without_opted_out(store: Store, decisions: Sequence[Decision], now: datetime) -> list[Decision]:
    """The decisions less what standing opt-outs of the browser or the customer take away: no button of a banner ends those."""
    subjects = {subject for decision in decisions for subject in _subjects(decision)}
    standing = OptOut.objects.for_store(store).filter(subject__in=subjects, ended_at=None)
    rows = list(standing.values_list("subject", "since", "withheld"))
    if not rows:
        return list(decisions)
    return [
        replace(
            decision,
            opted_out=decision.opted_out
            | reduce(
                or_,
                (
                    Purpose(withheld)
                    for subject, since, withheld in rows
                    if subject in _subjects(decision) and since <= (decision.at or now)
                ),
                NONE,
            ),
        )
        for decision in decisions
    ]


def _readmit(store: Store, decisions: Iterable[Decision], now: datetime) -> None:
    """A fresh consent of somebody who was erased: what they do from now on may be stored again."""
    if not Suppression.objects.for_store(store).filter(readmitted_at=None).exists():
        return
    digests: dict[str, datetime] = {}
    for decision in decisions:
        if decision.effective & RECOGNITION:
            for kind, value in (
                (IdentifierKind.ANONYMOUS_ID, decision.anonymous_id),
                (IdentifierKind.USER_ID, decision.user_id),
            ):
                digests |= (
                    dict.fromkeys(pseudonyms(store.pk, kind, value), decision.at or now) if value else {}
                )
    for digest, moment in digests.items():
        suppressions = Suppression.objects.for_store(store).filter(
            digest=digest, readmitted_at=None, suppressed_until__lt=moment
        )
        suppressions.update(readmitted_at=moment)


def _withdrawals(
    store: Store,
    decisions: Sequence[Decision],
    before: dict[str, ConsentState],
    states: Sequence[ConsentState],
) -> list[Withdrawal]:
    lost: dict[str, Purpose] = {}
    for state in states:
        had = before.get(state.subject)
        if had is not None and had.granted & ~state.granted:
            lost[state.subject] = lost.get(state.subject, NONE) | (
                Purpose(had.granted) & ~Purpose(state.granted)
            )
    return [
        Withdrawal(
            store,
            purposes,
            anonymous_ids=(subject[2:],) if subject.startswith("v:") else (),
            customer_external_id=subject[2:] if subject.startswith("c:") else None,
        )
        for subject, purposes in lost.items()
    ]


@transaction.atomic
def decisions_record(*, store: Store, decisions: Sequence[Decision]) -> list[RecordedDecision]:
    """Record decisions in order: proof, state, readmission of the erased, and word to whoever must stop.

    Raises ValueError for a method that does not exist, with nothing recorded.
    """
    for decision in decisions:
        if decision.method not in ConsentChoice.values:
            raise ValueError(
                f"{decision.method!r} is no way to decide: use one of {', '.join(ConsentChoice.values)}."
            )
    if not decisions:
        return []
    now = timezone.now()
    decisions = _without_opted_out(store, decisions, now)
    _readmit(store, decisions, now)
    entries = [Entry(_payload(store, decision), recorded_at=decision.at) for decision in decisions]
    records = append(CONSENT, store, entries)
    # Read behind the ledger's lock: two decisions of one person cannot miss each other.
    subjects = [subject for decision in decisions for subject in _subjects(decision)]
    linked = [
        visitor_subject(anonymous_id) for decision in decisions for anonymous_id in _other_browsers(decision)
    ]
    before = _newest(store, [*subjects, *linked])
    states = _states(store, decisions, records)
    ConsentState.all_stores.bulk_create(states, batch_size=1000)
    shopper_changes.changed(
        store.pk,
        anonymous_ids=[state.subject[2:] for state in states if state.subject.startswith("v:")],
        customer_ids=[state.subject[2:] for state in states if state.subject.startswith("c:")],
    )
    for withdrawal in _withdrawals(store, decisions, before, states):
        transaction.on_commit(partial(announce, withdrawal))
    return [
        RecordedDecision(decision.receipt_id, decision.effective, record)
        for decision, record in zip(decisions, records, strict=True)
    ]


def decision_record(*, store: Store, decision: Decision) -> RecordedDecision:
    """The same for one."""
    return decisions_record(store=store, decisions=[decision])[0]


def states_of(
    store: Store, *, anonymous_id: str | None = None, user_id: str | None = None
) -> dict[str, ConsentState]:
    """The newest state of a browser and of a customer, by subject; who has not decided is not in it."""
    subjects = ([visitor_subject(anonymous_id)] if anonymous_id else []) + (
        [customer_subject(user_id)] if user_id else []
    )
    return _newest(store, subjects)
