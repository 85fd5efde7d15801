"""Letters to people who asked something: plain text, from templates, in their language."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation

from consent.links import agent_url, request_url
from consent.models import DataSubjectRequest

log = structlog.get_logger(__name__)

# Letters that say nothing about the receipt of a request.
UNCONFIRMING: Final = frozenset({"code", "agent_asks"})
RESEND_AFTER: Final = timedelta(minutes=5)
RESEND_EVERY: Final = timedelta(hours=1)


def letter_send(request: DataSubjectRequest, name: str, *, to: str = "", **context: Any) -> None:
    """Send `privacy/letters/<name>.txt` (its first line is the subject) to the request's contact, or `to`, after the commit.

    Without a contact nothing is sent: who asked from their account reads the answer there. A mail server that fails is
    logged and stops nothing.
    """
    _send(request, to or request.contact, name, {"link": request_url(request), **context})


def agent_letter_send(request: DataSubjectRequest, name: str, **context: Any) -> None:
    """The same to the agent who asked for somebody else, with the address of the agent's own page."""
    agent = request.agent
    _send(request, agent.get("email", ""), name, {"link": agent_url(request), "agent": agent, **context})


def _send(request: DataSubjectRequest, address: str, name: str, context: dict[str, Any]) -> None:
    if not address:
        return
    with translation.override(request.language):
        text = render_to_string(
            f"privacy/letters/{name}.txt", {"request": request, "store": request.store, **context}
        )
    subject, _, body = text.strip().partition("\n")
    is_confirmation = name not in UNCONFIRMING
    transaction.on_commit(
        partial(_deliver, address, subject.strip(), body.strip() + "\n", request.pk, is_confirmation)
    )


def _deliver(address: str, subject: str, body: str, request_id: int, is_confirmation: bool = False) -> None:
    try:
        send_mail(subject, body, None, [address])
    except OSError as error:  # smtplib's errors are OSErrors
        log.warning("letter.not_sent", request_id=request_id, error=type(error).__name__)
        return
    if is_confirmation:
        unconfirmed = DataSubjectRequest.all_stores.filter(pk=request_id, acknowledged_at=None)
        unconfirmed.update(acknowledged_at=timezone.now())


def confirmations_resend(now: datetime) -> int:
    """Confirm again, once an hour, what the mail server did not take. Gives the number of letters."""
    waiting = (
        DataSubjectRequest.all_stores.filter(
            acknowledged_at=None, sealed__isnull=False, received_at__lt=now - RESEND_AFTER
        )
        .exclude(state=DataSubjectRequest.State.IDENTITY_UNVERIFIED)
        .select_related("store")
        .defer("archive")
    )
    count = 0
    for request in waiting.iterator(chunk_size=100):
        if cache.add(f"consent.confirmation.{request.pk}", 1, int(RESEND_EVERY.total_seconds())):
            with transaction.atomic():
                if request.agent:
                    agent_letter_send(request, "agent_received")
                else:
                    letter_send(request, "received")
            count += 1
    return count
