"""How a request goes from one state to the next: the steps that the services for requests share."""

from __future__ import annotations

from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import ApiKey, Store, User
from consent.models import OPT_OUT_KINDS, DataSubjectRequest, RequestPolicy
from consent.request_states import OPEN, check_transition
from consent.services.request_processing import process_now, send_for_processing

Kind, State, Source = DataSubjectRequest.Kind, DataSubjectRequest.State, DataSubjectRequest.Source

# Carried out while the person waits: they must hold from the next page on, whatever the workers do.
IMMEDIATE: Final = frozenset({Kind.RESTRICTION, Kind.OBJECTION, *OPT_OUT_KINDS})


def policy_of(store: Store) -> RequestPolicy:
    """The store's own, or the defaults."""
    return RequestPolicy.objects.for_store(store).first() or RequestPolicy(store=store)


def target_of(request: DataSubjectRequest) -> str:
    """How the audit log names a request."""
    return f"request:{request.public_id}"


def open_request_of(store: Store, kind: str, pseudonym: str) -> DataSubjectRequest | None:
    """The person's unanswered request of the kind, if there is one."""
    if not pseudonym:
        return None
    unanswered = DataSubjectRequest.objects.for_store(store).filter(
        kind=kind, subject_pseudonym=pseudonym, state__in=OPEN
    )
    return unanswered.exclude(state=State.IDENTITY_UNVERIFIED).order_by("received_at").first()


def is_automatic(request: DataSubjectRequest) -> bool:
    """Whether the store's policy asks for no officer's decision.

    A correction always waits for one, and so does an erasure by somebody who has shown no more than a mailbox. On an opt-out
    nobody decides, whatever the policy says.
    """
    if request.kind in OPT_OUT_KINDS:
        return True
    if request.kind == Kind.RECTIFICATION or request.kind not in policy_of(request.store).automatic_kinds:
        return False
    if request.source == Source.EMAIL:
        return request.kind != Kind.ERASURE
    return request.source in {Source.ACCOUNT, Source.BROWSER}


def locked(request: DataSubjectRequest) -> DataSubjectRequest:
    """The request as it is now, locked until the transaction ends."""
    return (
        DataSubjectRequest.objects.for_store(request.store_id)
        .select_for_update(of=("self",))
        .select_related("store")
        .get(pk=request.pk)
    )


def move(
    request: DataSubjectRequest, state: str, *, actor: User | ApiKey | str, reason: str, **fields: object
) -> None:
    """To another state, with a line in the audit log. Raises InvalidTransition where the state machine does not allow it."""
    check_transition(request.state, state)
    before, request.state = request.state, state
    for name, value in fields.items():
        setattr(request, name, value)
    request.save(update_fields=["state", "sealed", *fields])
    auditing.record(
        store=request.store,
        actor=actor,
        action=f"request.{state}",
        target=target_of(request),
        reason=reason,
        details={"from": before},
    )


def approve(request: DataSubjectRequest, *, actor: User | str, reason: str) -> None:
    """Approve and set going, in the caller's transaction."""
    decided_by = actor if isinstance(actor, User) else None
    move(
        request,
        State.APPROVED,
        actor=actor,
        reason=reason,
        decided_at=timezone.now(),
        decided_by=decided_by,
        decision_reason=reason,
    )
    if request.kind in IMMEDIATE:
        process_now(request)
    else:
        transaction.on_commit(partial(send_for_processing, request.pk))
