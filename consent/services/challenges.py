"""Somebody without an account proves that an e-mail address is theirs: a code of six digits, ten minutes, three attempts."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import auditing
from accounts.models import Store
from consent.deadlines import due_at, law_of
from consent.models import DataSubjectRequest, IdentityChallenge
from consent.pseudonyms import IdentifierKind, pseudonym
from consent.services.agent_moves import agent_confirmed
from consent.services.letters import letter_send
from consent.services.profile_requests import checked_corrections
from consent.services.request_moves import approve, is_automatic, move, open_request_of, target_of

VALID_FOR: Final = timedelta(minutes=10)
MAX_ATTEMPTS: Final = 3
# How often one address may be written to, and how many unproved requests it may have, in an hour.
MAX_LETTERS_PER_HOUR: Final = 3

State, Source = DataSubjectRequest.State, DataSubjectRequest.Source


class TooManyLetters(RuntimeError):
    """The address has been written to often enough for this hour."""


class ChallengeFailed(ValueError):
    """The code is wrong, too old or used up. `attempts_left` says whether another try makes sense."""

    def __init__(self, message: str, attempts_left: int) -> None:
        super().__init__(message)
        self.attempts_left = attempts_left


def _digest(request: DataSubjectRequest, code: str) -> str:
    return hmac.new(
        settings.SECRET_KEY.encode(), f"{request.public_id}:{code}".encode(), hashlib.sha256
    ).hexdigest()


def _new_code() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


@transaction.atomic
def request_open_by_email(
    *,
    store: Store,
    email: str,
    kind: str,
    message: str = "",
    corrections: dict[str, str] | None = None,
    language: str = "en",
) -> DataSubjectRequest:
    """Take a request and mail a code. Whether the address is known is not looked up, and so not told, before the code is right.

    Raises TooManyLetters where the address was written to too often.
    """
    address = email.strip().lower()
    digest = pseudonym(store.pk, IdentifierKind.EMAIL, address)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    recent = IdentityChallenge.objects.for_store(store).filter(
        request__subject_pseudonym=digest, created_at__gt=an_hour_ago
    )
    if sum(recent.values_list("sent_count", flat=True)) >= MAX_LETTERS_PER_HOUR:
        raise TooManyLetters(
            _("We have written to this address several times in the last hour. Try again later.")
        )
    now = timezone.now()
    law = law_of(store.country, kind=kind)
    request = DataSubjectRequest(
        store=store,
        kind=kind,
        state=State.IDENTITY_UNVERIFIED,
        law=law,
        source=Source.EMAIL,
        language=language,
        subject_pseudonym=digest,
        received_at=now,
        due_at=due_at(law, now, store.time_zone, kind),
    )
    request.private = {
        "contact": address,
        "message": message,
        "corrections": checked_corrections(corrections or {}),
    }
    request.save()
    code = _new_code()
    IdentityChallenge.objects.create(
        store=store, request=request, code_digest=_digest(request, code), expires_at=now + VALID_FOR
    )
    auditing.record(
        store=store,
        actor="requester",
        action="request.received",
        target=target_of(request),
        details={"kind": kind, "source": Source.EMAIL.value},
    )
    letter_send(request, "code", code=code)
    return request


def challenge_answer(*, request: DataSubjectRequest, code: str) -> DataSubjectRequest:
    """Take the code. Right: the request goes on, or is closed as a duplicate of an open one. Raises ChallengeFailed.

    A failed attempt stays counted although it raises.
    """
    with transaction.atomic():
        challenge = (
            IdentityChallenge.objects.for_store(request.store_id)
            .select_for_update(of=("self",))
            .select_related("request__store")
            .get(request=request)
        )
        current = challenge.request
        left = MAX_ATTEMPTS - challenge.attempts
        is_open = (
            current.state == State.IDENTITY_UNVERIFIED and left > 0 and timezone.now() < challenge.expires_at
        )
        is_right = is_open and hmac.compare_digest(challenge.code_digest, _digest(current, code.strip()))
        if is_right:
            _verified(current)
            challenge.delete()
            return current
        if is_open:
            challenge.attempts += 1
            challenge.save(update_fields=["attempts"])
            left -= 1
    if not is_open or left <= 0:
        raise ChallengeFailed(_("This code does not work any more. Ask for a new one."), 0)
    raise ChallengeFailed(_("That is not the code that we sent."), left)


def _verified(request: DataSubjectRequest) -> None:
    if request.source == Source.AGENT:
        agent_confirmed(request, actor="requester", reason="The person confirmed the agent by e-mail code")
        return
    known = open_request_of(request.store, request.kind, request.subject_pseudonym)
    if known is not None:
        move(request, State.DUPLICATE, actor="requester", reason=f"Duplicate of {target_of(known)}")
        return
    move(request, State.PENDING, actor="requester", reason="Identity proved by e-mail code")
    letter_send(request, "received")
    if is_automatic(request):
        approve(request, actor="policy", reason="Identity proved; the store's policy asks for no decision.")


@transaction.atomic
def challenge_renew(*, request: DataSubjectRequest) -> None:
    """Mail a new code, which has three attempts of its own. Raises TooManyLetters."""
    challenge = (
        IdentityChallenge.objects.for_store(request.store_id)
        .select_for_update(of=("self",))
        .select_related("request")
        .get(request=request)
    )
    if challenge.sent_count >= MAX_LETTERS_PER_HOUR:
        raise TooManyLetters(_("We have written to this address several times. Begin again later."))
    code = _new_code()
    challenge.code_digest = _digest(challenge.request, code)
    challenge.attempts, challenge.expires_at = 0, timezone.now() + VALID_FOR
    challenge.sent_count += 1
    challenge.save()
    letter_send(challenge.request, "code", code=code)
