from __future__ import annotations

from functools import partial

from celery import shared_task
from django.db import transaction

from accounts.models import Store
from segments.services import segments_recompute


@shared_task(name="segments.recompute_all", ignore_result=True)
def recompute_all() -> int:
    """Hand every store to a task of its own, so that one store's fault does not keep the others waiting."""
    stores = list(Store.objects.order_by("pk").values_list("pk", flat=True))
    for store_id in stores:
        transaction.on_commit(partial(recompute_store.delay, store_id))
    return len(stores)


@shared_task(name="segments.recompute_store", ignore_result=True)
def recompute_store(store_id: int) -> None:
    store = Store.objects.filter(pk=store_id).first()
    if store is not None:
        segments_recompute(store=store)
