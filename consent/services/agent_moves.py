"""Steps of an authorised agent's request that several services share (CCPA regulations §§ 7026(j), 7027(i), 7063)."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import User
from consent.models import OPT_OUT_KINDS, DataSubjectRequest, IdentityChallenge
from consent.services.letters import agent_letter_send, letter_send
from consent.services.request_moves import approve, move, open_request_of, target_of

State = DataSubjectRequest.State


def has_permission(request: DataSubjectRequest) -> bool:
    """Whether the agent has sent a file that shows that the person authorised them."""
    return request.papers.filter(is_staffs=False, content__isnull=False).exists()


def agent_permission_taken(request: DataSubjectRequest) -> None:
    """The permission is there. An opt-out holds at once; for everything else the person is asked to confirm, where they have
    not."""
    if request.kind in OPT_OUT_KINDS:
        if request.state == State.REQUIRES_INPUT:
            move(request, State.PENDING, actor="agent", reason="Permission sent")
        approve(request, actor="policy", reason="An opt-out with the person's permission needs no identity.")
        return
    if request.state == State.REQUIRES_INPUT:
        move(request, State.IDENTITY_UNVERIFIED, actor="agent", reason="Permission sent")
    IdentityChallenge.objects.for_store(request.store_id).get_or_create(
        request=request,
        # No code opens it before the person asks for one: an agent must not choose when its ten minutes begin.
        defaults={
            "store_id": request.store_id,
            "code_digest": "",
            "expires_at": timezone.now(),
            "sent_count": 0,
        },
    )
    letter_send(request, "agent_asks", agent=request.agent)


def agent_confirmed(request: DataSubjectRequest, *, actor: User | str, reason: str) -> None:
    """The person stands behind the request: it waits for a decision, or is closed as a duplicate of an open one."""
    request.identity_confirmed_at = timezone.now()
    known = open_request_of(request.store, request.kind, request.subject_pseudonym)
    if known is not None and known.pk != request.pk:
        state, why = State.DUPLICATE, f"Duplicate of {target_of(known)}"
    else:
        state, why = State.PENDING, reason
    move(request, state, actor=actor, reason=why, identity_confirmed_at=request.identity_confirmed_at)
    letter_send(request, "received")
    agent_letter_send(request, "agent_news", reason="")
