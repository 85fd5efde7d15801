"""The rule of permission, without a database: facts about people in, a verdict for each event out.

An event is stored with those of its purposes that were permitted when it happened and are permitted when it comes.
Where a browser and a customer have both decided, both must permit. Nobody who has not decided has permitted anything.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntFlag, StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from consent.purposes import ALL, Purpose, mask

if TYPE_CHECKING:
    from accounts.models import ApiKey

# Plain integers: the committer asks for every event, and operations on enum flags are ten times slower.
_NECESSARY: Final = int(Purpose.NECESSARY)
_ALL: Final = int(ALL)
_PROFILING: Final = int(Purpose.PERSONALISATION)

# What Global Privacy Control withholds, unless the person chose purpose by purpose although it was on. Who opts out of sale
# and sharing says the same for good; who limits sensitive data wants nothing concluded from it and nothing of it passed on.
GPC_WITHHELD: Final = int(Purpose.PERSONALISATION | Purpose.MARKETING | Purpose.SHARING)
LIMIT_WITHHELD: Final = int(Purpose.PERSONALISATION | Purpose.SHARING)


class DiscardReason(StrEnum):
    """Why an event was not stored; the words appear in the admin's count of discarded events."""

    NO_CONSENT = "no consent recorded"
    REFUSED = "consent refused"
    NOT_YET = "happened before consent"
    SOURCE = "not permitted by the key or the message"
    SIGNAL = "Global Privacy Control"
    RESTRICTED = "processing restricted or profiling objected to"
    OPTED_OUT = "opted out"
    SUPPRESSED = "erased person"


class SourcePolicy(NamedTuple):
    """Why what a key or an import sends may be stored. `declared` is a mask of purposes."""

    consent_source: str = "ledger"
    legal_basis: str = "consent"
    declared: int = 0

    @classmethod
    def of(cls, api_key: ApiKey) -> SourcePolicy:
        """Raises ValueError where the key declares a purpose that does not exist."""
        return cls(api_key.consent_source, api_key.legal_basis, int(mask(api_key.declared_purposes)))


LEDGER: Final = SourcePolicy()


class GateEvent(NamedTuple):
    """What the gate has to know of an event.

    `purposes`: `int(purposes_of(type, name))`. `user_id` only where it is trusted (secret key or signature).
    `client_consent`: mask from `client_consent.read(context)`. `gpc`: the request carried `Sec-GPC: 1`.
    `received_at`: only where somebody else took it before us, as in an import: permission must have held then too.
    """

    anonymous_id: str | None
    user_id: str | None
    purposes: int
    occurred_at: datetime
    source: SourcePolicy = LEDGER
    client_consent: int | None = None
    gpc: bool = False
    received_at: datetime | None = None


class Verdict(NamedTuple):
    """`purposes` is 0 where the event must not be stored, and `reason` says why; else `reason` is empty."""

    purposes: int
    reason: str = ""


class Flag(IntFlag):
    RESTRICTED = 1
    OBJECTED = 2


_RESTRICTED: Final = int(Flag.RESTRICTED)
_OBJECTED: Final = int(Flag.OBJECTED)


class StateAt(NamedTuple):
    """From `valid_from` on the subject grants `granted`, until the next state."""

    valid_from: datetime
    granted: int
    overrides_gpc: bool = False


class Veto(NamedTuple):
    """A standing opt-out: from `since` on, until `ended_at` where it was taken back, `withheld` is not permitted."""

    since: datetime
    ended_at: datetime | None
    withheld: int

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment and (self.ended_at is None or moment < self.ended_at)


class Suppressed(NamedTuple):
    until: datetime
    readmitted_at: datetime | None


class Kin(NamedTuple):
    """The records of a person whom staff merged, and since when they are one."""

    subjects: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says about the people of a batch.

    Keys are subjects, `v:<anonymous id>` and `c:<external id>`; histories are in order of time. `kin` is there only for
    customers with several records, and for browsers that are linked to one.
    """

    histories: Mapping[str, Sequence[StateAt]] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)
    suppressed: Mapping[str, Suppressed] = field(default_factory=dict)
    kin: Mapping[str, Kin] = field(default_factory=dict)
    opt_outs: Mapping[str, Sequence[Veto]] = field(default_factory=dict)


def visitor_subject(anonymous_id: str) -> str:
    return f"v:{anonymous_id}"


def customer_subject(external_id: str) -> str:
    return f"c:{external_id}"


def subjects_of(anonymous_id: str | None, user_id: str | None) -> list[str]:
    subjects = [visitor_subject(anonymous_id)] if anonymous_id else []
    return [*subjects, customer_subject(user_id)] if user_id else subjects


class Person:
    """One browser and customer as they stand in the facts, folded once for all events of theirs in a batch."""

    __slots__ = ("_flags", "_granted", "_histories", "_steps", "_suppressions", "_vetoes")

    def __init__(self, facts: Facts, anonymous_id: str | None, user_id: str | None) -> None:
        subjects = subjects_of(anonymous_id, user_id)
        if facts.kin:
            subjects, histories = _with_kin(facts, subjects)
        else:
            histories = [history for subject in subjects if (history := facts.histories.get(subject))]
        self._histories = histories
        self._steps, self._granted = _merge(histories)
        self._flags = 0
        # Hardly anybody has either, and this is done for every person of every batch.
        if facts.flags:
            for subject in subjects:
                self._flags |= facts.flags.get(subject, 0)
        self._vetoes = (
            [veto for subject in subjects for veto in facts.opt_outs.get(subject, ())]
            if facts.opt_outs
            else []
        )
        self._suppressions = (
            [facts.suppressed[subject] for subject in subjects if subject in facts.suppressed]
            if facts.suppressed
            else []
        )

    @property
    def _overrides_gpc(self) -> bool:
        latest = max(
            (history[-1] for history in self._histories), key=lambda state: state.valid_from, default=None
        )
        return latest is not None and latest.overrides_gpc

    def granted_at(self, moment: datetime) -> int | None:
        """Mask in force at the moment, None where nobody had decided yet."""
        position = bisect_right(self._steps, moment)
        return self._granted[position - 1] if position else None

    def _granted_at_receipt(self, event: GateEvent, now: datetime) -> int | None:
        """Mask that was in force when somebody else took the event, and is now that we do."""
        at_receipt = self.granted_at(now)
        before = self.granted_at(event.received_at) if event.received_at is not None else None
        return at_receipt if at_receipt is None or before is None else at_receipt & before

    def _withheld(self, event: GateEvent, now: datetime) -> int:
        """What opt-outs take away that held when it happened, when somebody else took it, or hold now."""
        moments = (event.occurred_at, event.received_at or now, now)
        withheld = 0
        for veto in self._vetoes:
            if any(map(veto.holds, moments)):
                withheld |= veto.withheld
        return withheld

    def permitted(self, event: GateEvent, now: datetime) -> Verdict:
        """What any event of this person may be used for, whatever its kind: at least necessary, or suppressed."""
        for suppression in self._suppressions:
            if event.occurred_at <= suppression.until:
                return Verdict(0, DiscardReason.SUPPRESSED)
            if suppression.readmitted_at is None:
                return Verdict(_NECESSARY, DiscardReason.SUPPRESSED)
        return _permitted(
            bool(self._histories),
            self.granted_at(event.occurred_at),
            self._granted_at_receipt(event, now),
            event.source,
            event.client_consent,
            event.gpc and not self._overrides_gpc,
            self._flags,
            self._withheld(event, now) if self._vetoes else 0,
        )


# Of all the events of a shop, few differ in what is asked here.
@lru_cache(maxsize=4096)
def _permitted(
    is_known: bool,
    at_event: int | None,
    at_receipt: int | None,
    source: SourcePolicy,
    client_consent: int | None,
    obeys_gpc: bool,
    flags: int,
    withheld: int = 0,
) -> Verdict:
    purposes, reason = _by_source(is_known, at_event, at_receipt, source, client_consent)
    if purposes & withheld:
        purposes, reason = purposes & ~withheld, DiscardReason.OPTED_OUT
    if obeys_gpc and purposes & GPC_WITHHELD:
        purposes, reason = purposes & ~GPC_WITHHELD, DiscardReason.SIGNAL
    if flags & _RESTRICTED:
        purposes, reason = _NECESSARY, DiscardReason.RESTRICTED
    elif flags & _OBJECTED and purposes & _PROFILING:
        purposes, reason = purposes & ~_PROFILING, DiscardReason.RESTRICTED
    return Verdict(purposes | _NECESSARY, reason)


def _by_source(
    is_known: bool,
    at_event: int | None,
    at_receipt: int | None,
    source: SourcePolicy,
    client_consent: int | None,
) -> tuple[int, str]:
    said = _ALL if client_consent is None else client_consent
    if source.consent_source == "ledger":
        if not is_known:
            return 0, DiscardReason.NO_CONSENT
        if at_event is None:
            return 0, DiscardReason.NOT_YET
        purposes = at_event & (at_receipt or 0)
        return (
            purposes & said,
            DiscardReason.REFUSED if purposes & said == purposes else DiscardReason.SOURCE,
        )
    if source.legal_basis == "contract":
        return 0, DiscardReason.SOURCE
    purposes = (client_consent or 0) if source.consent_source == "client" else source.declared & said
    # Whatever a source says, a decision in our own ledger is the person's own word.
    decided = (_ALL if at_event is None else at_event) & (_ALL if at_receipt is None else at_receipt)
    return purposes & decided, DiscardReason.REFUSED if decided != _ALL else DiscardReason.SOURCE


def _with_kin(facts: Facts, subjects: list[str]) -> tuple[list[str], list[Sequence[StateAt]]]:
    """All subjects of these people, and a history each. Until records became one person's each speaks for itself, and all must
    permit; what any of them decides after that is the person's word, and counts for all."""
    kin = [facts.kin[subject] for subject in subjects if subject in facts.kin]
    everybody = list(dict.fromkeys([*subjects, *(subject for each in kin for subject in each.subjects)]))
    histories: list[Sequence[StateAt]] = []
    for subject in everybody:
        own = list(facts.histories.get(subject, ()))
        for each in kin:
            if subject in each.subjects and own:
                own += [
                    state
                    for other in each.subjects
                    if other != subject
                    for state in facts.histories.get(other, ())
                    if state.valid_from > each.since and state not in own
                ]
        if own:
            histories.append(sorted(own))
    return everybody, histories


def _merge(histories: Sequence[Sequence[StateAt]]) -> tuple[list[datetime], list[int]]:
    """One timeline on which every subject that has decided permits: moments, and the mask from each on."""
    if not histories:
        return [], []
    if len(histories) == 1:
        return [state.valid_from for state in histories[0]], [state.granted for state in histories[0]]
    changes = sorted(
        (state.valid_from, index, state.granted)
        for index, history in enumerate(histories)
        for state in history
    )
    newest: dict[int, int] = {}
    steps: list[datetime] = []
    granted: list[int] = []
    for moment, index, value in changes:
        newest[index] = value
        together = _ALL
        for each in newest.values():
            together &= each
        steps.append(moment)
        granted.append(together)
    return steps, granted


_verdict: Final = lru_cache(maxsize=1024)(Verdict)


def decide(events: Sequence[GateEvent], facts: Facts, now: datetime) -> list[Verdict]:
    """A verdict for each event, in order."""
    people: dict[tuple[str | None, str | None], Person] = {}
    are_plain = not (facts.kin or facts.flags or facts.suppressed or facts.opt_outs)
    verdicts = []
    for event in events:
        permitted = _plainly_permitted(event, facts.histories, now) if are_plain else None
        if permitted is None:
            key = (event.anonymous_id, event.user_id)
            person = people.get(key)
            if person is None:
                person = people[key] = Person(facts, *key)
            permitted = person.permitted(event, now)
        purposes = permitted.purposes & event.purposes
        verdicts.append(_verdict(purposes, "" if purposes else permitted.reason))
    return verdicts


def _plainly_permitted(
    event: GateEvent, histories: Mapping[str, Sequence[StateAt]], now: datetime
) -> Verdict | None:
    """The same as a Person's, for nearly everybody: who decided once, in one place, without any exception. None for
    anybody else."""
    if event.gpc or event.received_at is not None:
        return None
    history = histories.get(f"v:{event.anonymous_id}") if event.anonymous_id else None
    if event.user_id and (of_customer := histories.get(f"c:{event.user_id}")):
        if history:
            return None
        history = of_customer
    if history is None:
        return _permitted(False, None, None, event.source, event.client_consent, False, 0)
    if len(history) > 1:
        return None
    valid_from, granted, _ = history[0]
    at_event = granted if valid_from <= event.occurred_at else None
    at_receipt = granted if valid_from <= now else None
    return _permitted(True, at_event, at_receipt, event.source, event.client_consent, False, 0)
