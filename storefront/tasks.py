from __future__ import annotations

from celery import shared_task

from storefront.services.outbox import outbox_send


@shared_task(name="storefront.tasks.send_outbox", ignore_result=True)
def send_outbox() -> int:
    """Send the shop's waiting events to Etalage. Run after each sale and, as a sweep, by beat."""
    return outbox_send()
