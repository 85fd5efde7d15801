"""Telling Etalage what happened, as any shop's server would: over `/v1/batch`, after the transaction, never within a request.

An event is a row written in the transaction that it tells of, so that it is sent if and only if the thing happened. The
worker sends what waits; where it cannot, the rows wait on. `messageId` makes a second sending harmless.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Customer, Store
from storefront.models import OutboxEvent

log = structlog.get_logger(__name__)

BATCH_SIZE: Final = 100
TIMEOUT_SECONDS: Final = 10
MAX_ATTEMPTS: Final = 1000
KEPT_DAYS_AFTER_SENDING: Final = 2


class NotDelivered(Exception):
    """Etalage did not take the batch. `is_final`: sending it again would change nothing."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


def outbox_write(
    *,
    store: Store,
    message: Mapping[str, Any],
    message_id: str,
    customer: Customer | None,
    anonymous_id: str | None,
    at: datetime | None = None,
) -> OutboxEvent | None:
    """Note an event within the caller's transaction. `message` has type, event and properties or traits; ids are added.

    Nothing is noted where nobody is named: Etalage would refuse an event about no one.
    """
    if customer is None and anonymous_id is None:
        return None
    moment = (at or timezone.now()).isoformat()
    body = {
        **message,
        "messageId": message_id,
        "userId": customer.external_id if customer else None,
        "anonymousId": anonymous_id,
        "timestamp": moment,
        "context": {"library": {"name": "storefront", "version": "1"}, **message.get("context", {})},
    }
    event = OutboxEvent.objects.create(store=store, customer=customer, message=body)
    # The sweep sends what this call cannot announce: a broker that is away must not break a sale.
    transaction.on_commit(_announce, robust=True)
    return event


def _announce() -> None:
    from storefront.tasks import send_outbox

    try:
        send_outbox.apply_async(retry=False, ignore_result=True)
    except Exception as error:  # kombu raises a different error for each way that a broker can be away
        log.warning("outbox_not_announced", error=str(error)[:200])


def outbox_send(*, limit: int = 1000) -> int:
    """Send what waits, oldest first, and give the number of events delivered. Several workers may run it at once."""
    delivered = 0
    while delivered < limit:
        sent = _send_one_batch()
        if not sent:
            return delivered
        delivered += sent
    return delivered


@transaction.atomic
def _send_one_batch() -> int:
    waiting = OutboxEvent.all_stores.filter(sent_at=None, attempts__lt=MAX_ATTEMPTS).order_by(
        "created_at", "pk"
    )
    batch = list(waiting.select_for_update(skip_locked=True, of=("self",))[:BATCH_SIZE])
    if not batch:
        return 0
    now = timezone.now()
    try:
        _post([event.message for event in batch], now)
    except NotDelivered as error:
        log.warning("outbox_not_sent", events=len(batch), reason=str(error))
        for event in batch:
            event.attempts = MAX_ATTEMPTS if error.is_final else event.attempts + 1
            event.error = str(error)[:300]
        OutboxEvent.all_stores.bulk_update(batch, ["attempts", "error"])
        return 0
    OutboxEvent.all_stores.filter(pk__in=[event.pk for event in batch]).update(sent_at=now, error="")
    return len(batch)


def _post(messages: list[dict[str, Any]], sent_at: datetime) -> None:
    if not settings.ETALAGE_STOREFRONT_SECRET_KEY:
        raise NotDelivered("ETALAGE_STOREFRONT_SECRET_KEY is empty: run `manage.py seed_demo`, or set it.")
    key = base64.b64encode(f"{settings.ETALAGE_STOREFRONT_SECRET_KEY}:".encode()).decode()
    request = Request(
        f"{settings.ETALAGE_URL.rstrip('/')}/v1/batch",
        data=json.dumps({"batch": messages, "sentAt": sent_at.isoformat()}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {key}"},
        method="POST",
    )
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            answer.read()
    except HTTPError as error:
        # 401 and 403 pass when the key is put right; other refusals of the batch as such never will.
        raise NotDelivered(
            f"HTTP {error.code}: {error.read()[:200].decode(errors='replace')}",
            is_final=error.code in {400, 413},
        ) from error
    except (URLError, TimeoutError, OSError) as error:
        raise NotDelivered(f"{settings.ETALAGE_URL} does not answer: {error}") from error


def outbox_expire(now: datetime) -> int:
    """Forget what was delivered some days ago. Gives rows deleted."""
    count, _ = OutboxEvent.all_stores.filter(
        sent_at__lt=now - timedelta(days=KEPT_DAYS_AFTER_SENDING)
    ).delete()
    return count
