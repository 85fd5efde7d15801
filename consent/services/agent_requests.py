"""Requests by authorised agents: somebody asks in a person's name, and shows the person's permission.

Know, delete and correct wait until the person has confirmed the agent, by a code mailed to the person or directly to staff; an
opt-out needs the permission alone. Nobody is written to before there is a permission, but the agent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import auditing
from accounts.models import Store, User
from consent.deadlines import due_at, law_of
from consent.models import OPT_OUT_KINDS, DataSubjectRequest
from consent.pseudonyms import IdentifierKind, pseudonym
from consent.request_states import InvalidTransition
from consent.services.agent_moves import agent_confirmed, agent_permission_taken, has_permission
from consent.services.challenges import TooManyLetters
from consent.services.letters import agent_letter_send
from consent.services.profile_requests import checked_corrections
from consent.services.request_moves import locked, move, target_of
from consent.services.request_papers import file_add

Kind, State, Source = DataSubjectRequest.Kind, DataSubjectRequest.State, DataSubjectRequest.Source

# What an agent may ask for: know, delete, correct (§ 1798.130) and the opt-outs (§ 1798.135(e)).
AGENT_KINDS: Final = (Kind.ACCESS, Kind.ERASURE, Kind.RECTIFICATION, Kind.OPT_OUT, Kind.LIMIT)
MAX_ABOUT_ONE_PERSON_PER_HOUR: Final = 3
MAX_OF_ONE_AGENT_PER_DAY: Final = 20


@dataclass(frozen=True)
class Agent:
    """Who asks. `organisation` may be empty."""

    name: str
    email: str
    organisation: str = ""


def _admit(store: Store, agent_digest: str, person_digest: str) -> None:
    """Raises TooManyLetters for an agent, or about a person, that has come too often."""
    key = f"consent.agent.{store.pk}.{agent_digest}"
    cache.add(key, 0, int(timedelta(days=1).total_seconds()))
    recent = DataSubjectRequest.objects.for_store(store).filter(
        source=Source.AGENT,
        subject_pseudonym=person_digest,
        received_at__gt=timezone.now() - timedelta(hours=1),
    )
    if cache.incr(key) > MAX_OF_ONE_AGENT_PER_DAY or recent.count() >= MAX_ABOUT_ONE_PERSON_PER_HOUR:
        raise TooManyLetters(_("Too many requests by agents have come. Try again later, or write to us."))


@transaction.atomic
def agent_request_open(
    *,
    store: Store,
    kind: str,
    agent: Agent,
    person_email: str,
    message: str = "",
    corrections: dict[str, str] | None = None,
    permission: tuple[str, bytes] | None = None,
    language: str = "en",
) -> DataSubjectRequest:
    """Take a request in somebody's name. `permission`: name and content of the file that shows it; without one the request
    waits for it (requires_input).

    Raises TooManyLetters, and ValidationError for a file that is none; ValueError for what no agent can ask for.
    """
    if kind not in AGENT_KINDS:
        raise ValueError(f"An agent cannot ask for {kind!r}: one of {', '.join(AGENT_KINDS)}.")
    address = person_email.strip().lower()
    digest = pseudonym(store.pk, IdentifierKind.EMAIL, address)
    _admit(store, pseudonym(store.pk, IdentifierKind.EMAIL, agent.email), digest)
    now = timezone.now()
    # Agents are an institution of the CCPA; whom they act for is not known before the person is found.
    law = law_of(store.country, kind=kind)
    has_file = permission is not None
    first_state = State.PENDING if kind in OPT_OUT_KINDS else State.IDENTITY_UNVERIFIED
    request = DataSubjectRequest(
        store=store,
        kind=kind,
        state=first_state if has_file else State.REQUIRES_INPUT,
        law=law,
        source=Source.AGENT,
        language=language,
        subject_pseudonym=digest,
        received_at=now,
        due_at=due_at(law, now, store.time_zone, kind),
    )
    request.private = {
        "contact": address,
        "message": message,
        "corrections": checked_corrections(corrections or {}),
        "agent": {**asdict(agent), "may_fetch": False},
    }
    request.save()
    auditing.record(
        store=store,
        actor="agent",
        action="request.received",
        target=target_of(request),
        details={"kind": kind, "source": Source.AGENT.value, "permission": has_file},
    )
    if permission is not None:
        file_add(request=request, name=permission[0], content=permission[1])
        agent_permission_taken(request)
    agent_letter_send(request, "agent_received")
    return request


@transaction.atomic
def agent_file_add(*, request: DataSubjectRequest, name: str, content: bytes) -> DataSubjectRequest:
    """A file of the agent's: the permission, where the request waits for it. Raises ValidationError and InvalidTransition."""
    had_permission = has_permission(request)
    file_add(request=request, name=name, content=content)
    current = locked(request)
    if current.state == State.REQUIRES_INPUT and not had_permission:
        agent_permission_taken(current)
    return current


@transaction.atomic
def agent_refused(*, request: DataSubjectRequest) -> DataSubjectRequest:
    """The person says that this agent does not act for them: the request is closed, and nothing was done."""
    current = locked(request)
    if current.source != Source.AGENT or current.identity_confirmed_at is not None:
        raise InvalidTransition(
            "Only an agent's request that the person has not confirmed can be refused by them."
        )
    reason = _("The person did not authorise it.")
    move(
        current,
        State.DENIED,
        actor="requester",
        reason=reason,
        decided_at=timezone.now(),
        decision_reason=reason,
    )
    agent_letter_send(current, "agent_news", reason=reason)
    return current


@transaction.atomic
def agent_may_fetch(*, request: DataSubjectRequest) -> None:
    """The person lets their agent fetch the copy of the data too."""
    current = locked(request)
    current.private = {**current.private, "agent": {**current.agent, "may_fetch": True}}
    current.save(update_fields=["sealed"])


@transaction.atomic
def agent_confirm_directly(*, request: DataSubjectRequest, actor: User, reason: str) -> DataSubjectRequest:
    """Staff has made sure with the person. Raises ValueError without a word how, or without the permission on file."""
    if not reason.strip():
        raise ValueError("Say how you made sure: it is the proof that the person stands behind the request.")
    current = locked(request)
    if current.source != Source.AGENT or current.state != State.IDENTITY_UNVERIFIED:
        raise InvalidTransition("Only an agent's request that waits for the person can be confirmed.")
    agent_confirmed(current, actor=actor, reason=reason)
    return current
