"""Background work of tracking. Each task is safe to run twice, and at the same time."""

from __future__ import annotations

from celery import shared_task

from accounts.models import Store
from tracking.folding import fold_new_events


@shared_task(name="tracking.tasks.fold_all_stores", ignore_result=True)
def fold_all_stores() -> dict[str, dict[str, int]]:
    """Sessions, orders, profiles and whatever else follows the log, for every store. Events read, by store
    and fold."""
    return {store.slug: fold_new_events(store) for store in Store.objects.all()}
