"""Letters to people who asked something: plain text, from templates, in their language."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation

from consent.links import request_url
from consent.models import DataSubjectRequest

log = structlog.get_logger(__name__)


def letter_send(request: DataSubjectRequest, name: str, **context: Any) -> None:
    """Send `privacy/letters/<name>.txt` (its first line is the subject) to the request's contact, after the commit.

    Without a contact nothing is sent: who asked from their account reads the answer there. A mail server that fails is
    logged and stops nothing.
    """
    address = request.contact
    if not address:
        return
    with translation.override(request.language):
        text = render_to_string(
            f"privacy/letters/{name}.txt",
            {"request": request, "store": request.store, "link": request_url(request), **context},
        )
    subject, _, body = text.strip().partition("\n")
    transaction.on_commit(partial(_deliver, address, subject.strip(), body.strip() + "\n", request.pk))


def _deliver(address: str, subject: str, body: str, request_id: int) -> None:
    try:
        send_mail(subject, body, None, [address])
    except OSError as error:  # smtplib's errors are OSErrors
        log.warning("letter.not_sent", request_id=request_id, error=type(error).__name__)
