"""What a privacy officer can do with a request: when it is possible, what it means, and the service that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from accounts.models import User
from accounts.personal_data import processors
from consent.models import OPT_OUT_KINDS, DataSubjectRequest
from consent.request_states import OPEN, TRANSITIONS, UNDER_WAY
from consent.services import requests as services
from consent.services.agent_requests import agent_confirm_directly

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State
Source = DataSubjectRequest.Source


@dataclass(frozen=True)
class Deed:
    """`follows` is the state that it leads to; None where the state stays. `do` raises ValueError where it cannot be."""

    verb: str
    label: str
    done: str
    undo: str
    do: Callable[[DataSubjectRequest, User, str], object]
    consequences: Callable[[DataSubjectRequest], list[str]]
    follows: str | None = None
    is_possible: Callable[[DataSubjectRequest], bool] = lambda request: True
    needs_reason: bool = True
    reason_label: str = ""
    reason_help: str = ""
    is_primary: bool = False
    is_dangerous: bool = False


def _approve_consequences(request: DataSubjectRequest) -> list[str]:
    parts = ", ".join(processor.label for processor in processors())
    match request.kind:
        case Kind.ERASURE:
            return [
                f"Everything about this person is deleted, part by part: {parts}.",
                "Orders that the law makes the shop keep are unlinked, blocked, and erased when their term ends; the receipt names them.",
                "Their identifiers are suppressed: what is sent about them later is refused until they consent afresh.",
            ]
        case Kind.ACCESS:
            return [f"An archive is made of: {parts}.", "The person gets a signed link to it, which expires."]
        case Kind.RESTRICTION:
            return [
                "Their data stays stored and is used for nothing from now on: no shelves, no training, no segments."
            ]
        case Kind.OBJECTION:
            return [
                "They are not profiled any more from their next page on: shelves are not personal, models forget to count them."
            ]
        case Kind.OPT_OUT | Kind.LIMIT:
            return ["It holds at once: sale, sharing and profiling end with their next page."]
    return ["The corrections that they asked for are made, and passed on to recipients."]


def _says(*lines: str) -> Callable[[DataSubjectRequest], list[str]]:
    return lambda request: list(lines)


_TO_PERSON: Final = "The person reads it: write plainly."

_DEEDS: Final = (
    Deed(
        "approve",
        "Approve",
        "Approved. Each part is carried out by a worker and shown below as it is done.",
        "An erasure cannot be undone once a part has run; everything else can be taken back by a new request.",
        lambda request, user, reason: services.request_approve(request=request, actor=user, reason=reason),
        _approve_consequences,
        follows=State.APPROVED,
        needs_reason=False,
        is_primary=True,
        is_dangerous=True,
    ),
    Deed(
        "confirm",
        "Confirm the agent directly",
        "Confirmed. The request waits for a decision.",
        "No. Deny the request where it proves wrong.",
        lambda request, user, reason: agent_confirm_directly(request=request, actor=user, reason=reason),
        _says(
            "You have made sure with the person themselves that the agent acts for them, without the code that we offered them.",
            "Person and agent are told. The request waits for a decision.",
        ),
        is_possible=lambda request: (
            request.source == Source.AGENT and request.state == State.IDENTITY_UNVERIFIED
        ),
        reason_label="How you made sure",
        reason_help="For the audit log: it is the proof.",
        is_primary=True,
    ),
    Deed(
        "review",
        "Answer the review",
        "The person has been told what you found.",
        "No. Write to them again where it was wrong.",
        lambda request, user, reason: services.request_review_answer(
            request=request, actor=user, answer=reason
        ),
        _says(
            "They asked that a human look at what was decided about them by machine. Look at their page before you answer.",
            "They get your answer by letter and on the page of the request.",
        ),
        is_possible=lambda request: request.review_asked_at is not None and request.reviewed_at is None,
        reason_label="What you found",
        reason_help=_TO_PERSON,
        is_primary=True,
    ),
    Deed(
        "lift",
        "End the freeze",
        "The freeze has ended; the person was told before.",
        "Yes: they can ask for it again.",
        lambda request, user, reason: services.request_restriction_lift(
            request=request, actor=user, reason=reason
        ),
        _says(
            "They are told by letter that the freeze ends, and why (GDPR 18(3)).",
            "Their data is used again for what they permit.",
        ),
        is_possible=lambda request: (
            request.kind == Kind.RESTRICTION
            and request.state == State.COMPLETE
            and request.customer is not None
            and request.customer.is_processing_restricted
        ),
        reason_label="Reason",
        reason_help=_TO_PERSON,
        is_dangerous=True,
    ),
    Deed(
        "deny",
        "Deny",
        "Denied. The person has been told why, and where to complain.",
        "A denied request stays closed. The person can ask again.",
        lambda request, user, reason: services.request_deny(request=request, actor=user, reason=reason),
        _says(
            "Nothing is done with their data.",
            "They get a letter with your reason and the authority to complain to.",
        ),
        follows=State.DENIED,
        reason_label="Reason",
        reason_help=_TO_PERSON,
        is_dangerous=True,
    ),
    Deed(
        "ask",
        "Ask back",
        "Your question is sent. The request waits for the answer; its deadline goes on.",
        "Yes: what they answer brings the request back to you.",
        lambda request, user, reason: services.request_ask(request=request, actor=user, question=reason),
        _says(
            "They get your question by letter.",
            "The request waits for the answer. The deadline keeps running.",
        ),
        follows=State.REQUIRES_INPUT,
        reason_label="Question",
        reason_help=_TO_PERSON,
    ),
    Deed(
        "extend",
        "Extend the deadline",
        "The deadline is extended, and the person told.",
        "No. The law allows it once.",
        lambda request, user, reason: services.request_extend(request=request, actor=user, reason=reason),
        _says(
            "GDPR: two further months; CCPA: 45 further days, counted from the receipt.",
            "They are told that it takes longer, and why.",
        ),
        is_possible=lambda request: (
            request.state in OPEN and request.extended_until is None and request.kind not in OPT_OUT_KINDS
        ),
        reason_help=_TO_PERSON,
        reason_label="Reason",
    ),
    Deed(
        "pause",
        "Lay aside",
        "Laid aside. The deadline keeps running.",
        "Yes: “Take up again”.",
        lambda request, user, reason: services.request_pause(request=request, actor=user, reason=reason),
        _says("Nothing is done until somebody takes it up again.", "The deadline keeps running."),
        follows=State.PAUSED,
    ),
    Deed(
        "resume",
        "Take up again",
        "It waits for a decision again.",
        "Yes: it can be laid aside again.",
        lambda request, user, reason: services.request_resume(request=request, actor=user, reason=reason),
        _says("It waits for a decision again."),
        is_possible=lambda request: request.state == State.PAUSED,
        needs_reason=False,
        is_primary=True,
    ),
    Deed(
        "retry",
        "Try what failed again",
        "What failed is tried again now.",
        "Nothing to undo: parts that are done are left alone.",
        lambda request, user, reason: services.request_retry(request=request, actor=user),
        _says("Parts that failed run again now; parts that are done are left alone."),
        is_possible=lambda request: (
            request.state in UNDER_WAY and request.parts.filter(state="failed").exists()
        ),
        needs_reason=False,
        is_primary=True,
    ),
    Deed(
        "duplicate",
        "Mark as duplicate",
        "Closed as a duplicate.",
        "It stays closed; the other request goes on.",
        lambda request, user, reason: services.request_mark_duplicate(
            request=request, actor=user, reason=reason
        ),
        _says("It is closed. The same person's other request goes on."),
        follows=State.DUPLICATE,
    ),
    Deed(
        "cancel",
        "Cancel",
        "Cancelled.",
        "It stays closed; the person can ask again.",
        lambda request, user, reason: services.request_cancel(request=request, actor=user, reason=reason),
        _says("It is closed, because the person withdrew it. Nothing is done with their data."),
        follows=State.CANCELLED,
        is_dangerous=True,
    ),
)
DEEDS: Final[Mapping[str, Deed]] = {deed.verb: deed for deed in _DEEDS}


def deeds_for(request: DataSubjectRequest) -> list[Deed]:
    """What is possible in the request's state, the usual first."""
    allowed = TRANSITIONS[request.state]
    return [
        deed
        for deed in _DEEDS
        if (deed.follows is None or deed.follows in allowed) and deed.is_possible(request)
    ]
