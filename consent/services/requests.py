"""Requests of people about their data: taken, confirmed, decided on. What follows is in `request_processing`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import ApiKey, User
from accounts.personal_data import Subject
from consent.deadlines import due_at, extended_due_at, law_of
from consent.models import OPT_OUT_KINDS, DataSubjectRequest
from consent.request_states import OPEN, UNDER_WAY, InvalidTransition
from consent.services.letters import agent_letter_send, letter_send
from consent.services.profile_requests import restriction_lift
from consent.services.request_moves import approve, is_automatic, locked, move, open_request_of, target_of
from consent.services.request_processing import send_for_processing
from consent.subjects import subject_pseudonym, subject_to_json

State = DataSubjectRequest.State


@transaction.atomic
def request_open(
    *,
    subject: Subject,
    kind: str,
    source: str,
    contact: str = "",
    message: str = "",
    corrections: dict[str, str] | None = None,
    language: str = "en",
    received_at: datetime | None = None,
    actor: ApiKey | User | None = None,
    also: Sequence[Subject] = (),
    asks_review: bool = False,
) -> DataSubjectRequest:
    """Take a request of somebody whose identity is known: logged in, vouched for by the shop's server, or its browser.

    Gives the open request of the same person and kind where there is one. What the store's policy lets pass is carried out
    without an officer's decision; a correction always waits for one. Opt-outs need neither identity nor decision: `also` are
    others whom one may stand for, such as the customers of an address that somebody typed. `asks_review`: a human is to look
    at what was decided about them by machine, and to answer.
    """
    store = subject.store
    pseudonym = subject_pseudonym(subject)
    if (known := open_request_of(store, kind, pseudonym)) is not None:
        return known
    moment = received_at or timezone.now()
    law = (
        law_of(subject.customer.country, subject.customer.region, kind)
        if subject.customer
        else law_of(store.country, kind=kind)
    )
    address = contact or next(iter(subject.emails), "")
    request = DataSubjectRequest(
        store=store,
        kind=kind,
        law=law,
        source=source,
        language=language,
        customer=subject.customer,
        subject_pseudonym=pseudonym,
        received_at=moment,
        due_at=due_at(law, moment, store.time_zone, kind),
        # Who leaves no address sees the confirmation on the page that they are led to.
        acknowledged_at=None if address else moment,
        review_asked_at=moment if asks_review else None,
    )
    request.private = {
        "contact": address,
        "message": message,
        "corrections": corrections or {},
        "subjects": [subject_to_json(each) for each in (subject, *also)],
    }
    request.save()
    # The person is not named as the actor: the log must not say who asked once they are gone.
    auditing.record(
        store=store,
        actor=actor or "requester",
        action="request.received",
        target=target_of(request),
        details={"kind": kind, "source": source},
    )
    if kind not in OPT_OUT_KINDS:  # those hold before a letter is read: the one that says so is enough
        letter_send(request, "received")
    if is_automatic(request):
        approve(request, actor="policy", reason="Identity known; the store's policy asks for no decision.")
    return request


@transaction.atomic
def request_approve(*, request: DataSubjectRequest, actor: User, reason: str = "") -> DataSubjectRequest:
    """Let a pending request be carried out. Raises InvalidTransition for one that is not pending."""
    current = locked(request)
    approve(current, actor=actor, reason=reason)
    return current


@transaction.atomic
def request_deny(*, request: DataSubjectRequest, actor: User, reason: str) -> DataSubjectRequest:
    """Refuse, and tell the person why and where to complain. Raises ValueError without a reason: the law demands one."""
    if not reason.strip():
        raise ValueError("A refusal needs a reason: the person has a right to know it (GDPR 12(4)).")
    current = locked(request)
    move(
        current,
        State.DENIED,
        actor=actor,
        reason=reason,
        decided_at=timezone.now(),
        decided_by=actor,
        decision_reason=reason,
    )
    letter_send(current, "denied", reason=reason)
    agent_letter_send(current, "agent_news", reason=reason)
    return current


@transaction.atomic
def request_extend(*, request: DataSubjectRequest, actor: User, reason: str) -> DataSubjectRequest:
    """The law's one extension, told to the person. Raises ValueError without a reason, for a second one, or past the deadline."""
    current = locked(request)
    if not reason.strip():
        raise ValueError("An extension needs a reason: the person has a right to know it (GDPR 12(3)).")
    if current.kind in OPT_OUT_KINDS:
        raise ValueError("An opt-out cannot be extended: it holds within 15 business days (CCPA § 7026(f)).")
    if current.extended_until is not None:
        raise ValueError("The deadline has been extended before: the law allows it once.")
    if current.state not in OPEN or timezone.now() > current.due_at:
        raise ValueError("Only an open request whose deadline has not passed can be extended.")
    later = extended_due_at(current.law, current.received_at, current.store.time_zone)
    current.due_at = current.extended_until = later
    current.extension_reason = reason
    current.save(update_fields=["due_at", "extended_until", "extension_reason"])
    auditing.record(
        store=current.store, actor=actor, action="request.extended", target=target_of(current), reason=reason
    )
    letter_send(current, "extended", reason=reason)
    agent_letter_send(current, "agent_news", reason=reason)
    return current


@transaction.atomic
def request_ask(*, request: DataSubjectRequest, actor: User, question: str) -> DataSubjectRequest:
    """Ask the person back; the request waits for the answer. Raises ValueError without a question."""
    if not question.strip():
        raise ValueError("Write what you need to know.")
    current = locked(request)
    current.private = {**current.private, "question": question}
    move(current, State.REQUIRES_INPUT, actor=actor, reason="Asked back")
    if current.agent:
        agent_letter_send(current, "agent_news", reason=question)
    else:
        letter_send(current, "question", question=question)
    return current


@transaction.atomic
def request_answer(*, request: DataSubjectRequest, answer: str) -> DataSubjectRequest:
    """What the person or their agent answered: the request waits for a decision again. Raises InvalidTransition where it waits
    for an agent's permission, which no words replace."""
    current = locked(request)
    if current.source == DataSubjectRequest.Source.AGENT and current.identity_confirmed_at is None:
        raise InvalidTransition("The permission has to be sent as a file, and the person has to confirm it.")
    private = current.private
    private["message"] = "\n\n".join(filter(None, [private.get("message", ""), answer]))
    current.private = private
    move(current, State.PENDING, actor="requester", reason="Answered")
    return current


@transaction.atomic
def request_pause(*, request: DataSubjectRequest, actor: User, reason: str) -> DataSubjectRequest:
    """Lay aside, for instance while a dispute is open. The deadline keeps running."""
    current = locked(request)
    move(current, State.PAUSED, actor=actor, reason=reason)
    return current


@transaction.atomic
def request_resume(*, request: DataSubjectRequest, actor: User, reason: str = "") -> DataSubjectRequest:
    current = locked(request)
    move(current, State.PENDING, actor=actor, reason=reason)
    return current


@transaction.atomic
def request_cancel(
    *, request: DataSubjectRequest, actor: User | None = None, reason: str = ""
) -> DataSubjectRequest:
    """Withdrawn by the person, or by staff for them. Raises InvalidTransition once it is being carried out."""
    current = locked(request)
    move(current, State.CANCELLED, actor=actor or "requester", reason=reason)
    agent_letter_send(current, "agent_news", reason=reason)
    return current


@transaction.atomic
def request_mark_duplicate(
    *, request: DataSubjectRequest, actor: User | str, reason: str = ""
) -> DataSubjectRequest:
    current = locked(request)
    move(current, State.DUPLICATE, actor=actor, reason=reason)
    return current


def request_retry(*, request: DataSubjectRequest, actor: User) -> DataSubjectRequest:
    """Try what failed again now, instead of when its turn comes."""
    if request.state not in UNDER_WAY:
        raise InvalidTransition(f"A request that is {request.state} has nothing to try again.")
    auditing.record(store=request.store, actor=actor, action="request.retried", target=target_of(request))
    request.parts.filter(state="failed").update(retry_at=timezone.now())
    transaction.on_commit(partial(send_for_processing, request.pk))
    return request


@transaction.atomic
def request_review_answer(*, request: DataSubjectRequest, actor: User, answer: str) -> DataSubjectRequest:
    """What a human found who looked at the person's case, told to them. Raises ValueError where nobody asked, it is answered,
    or the answer is empty."""
    if not answer.strip():
        raise ValueError("Write what you found: the person asked for a human's answer (GDPR 22(3)).")
    current = locked(request)
    if current.review_asked_at is None or current.reviewed_at is not None:
        raise ValueError("Nobody waits for a review of this request.")
    current.private = {**current.private, "review": answer.strip()}
    current.reviewed_at = timezone.now()
    current.save(update_fields=["reviewed_at", "sealed"])
    auditing.record(store=current.store, actor=actor, action="request.reviewed", target=target_of(current))
    letter_send(current, "review", answer=answer.strip())
    return current


@transaction.atomic
def request_restriction_lift(*, request: DataSubjectRequest, actor: User, reason: str) -> DataSubjectRequest:
    """End the freeze that the request set, and tell the person before (GDPR 18(3)). Raises ValueError without a reason, or where
    nothing is frozen."""
    if not reason.strip():
        raise ValueError("The end of a freeze needs a reason: the person must be told (GDPR 18(3)).")
    current = locked(request)
    customer = current.customer
    if customer is None or not customer.is_processing_restricted:
        raise ValueError("This person's data is not frozen.")
    letter_send(current, "unfrozen", reason=reason.strip())
    restriction_lift(customer=customer, actor=actor)
    return current
