"""Shelves for nobody, before a process says that it is ready: what is compiled or read at first use must not wait for a shopper."""

from __future__ import annotations

import structlog
from django.db import connection

from accounts.models import Store
from recommendations.pipeline import open_context, serve
from recommendations.serving import store_state
from recommendations.serving.deadline import Deadline
from recommendations.serving.versions import Versions
from recommendations.shelf import RecommendationRequest

PATIENT_MS = 60_000.0


def rehearse() -> None:
    """Read every store into memory, and make a shelf for each of its placements. A store that cannot be served is logged."""
    stores = list(Store.objects.order_by("pk"))
    store_state.warm_up([store.pk for store in stores])
    for store in stores:
        try:
            _rehearse(store)
        except Exception:
            structlog.get_logger(__name__).exception("store.not_rehearsed", store=store.pk)
    if not connection.in_atomic_block:
        connection.close()


def _rehearse(store: Store) -> None:
    snapshot = store_state.of_store(store.pk).current(Versions(None))
    for placement in snapshot.configuration.placements:
        context, _ = open_context(RecommendationRequest(store=store, placement=placement))
        serve(context, Deadline(PATIENT_MS))
