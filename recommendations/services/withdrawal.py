"""Who says no to personalisation leaves the trained models at once, not with the next training."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from django.db import Error

from consent.purposes import Purpose
from consent.selectors.denied import denied_among
from recommendations.models import ModelVersion
from recommendations.services.model_forget import owner_hashes

log = structlog.get_logger(__name__)


def forget_who_denies(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Listens to `accounts.shopper_changes`: a worker takes those of them out who permit no personalisation now.

    Never raises. The message names nobody: models know people by keyed hashes. Where the broker is away, the next catching up
    finds them.
    """
    from recommendations.tasks import forget_withdrawn

    try:
        denied = denied_among(
            store_id, Purpose.PERSONALISATION, anonymous_ids=anonymous_ids, customer_ids=customer_ids
        )
        if not denied or not ModelVersion.objects.for_store(store_id).exists():
            return
        hashes = owner_hashes(store_id, denied, linked_visitors=denied.visitor_ids)
        forget_withdrawn.delay(store_id, hashes)
    except Error:
        log.exception("model.withdrawal_not_carried_out", store_id=store_id)
    except Exception as error:  # whatever broker is configured has errors of its own
        log.warning("model.withdrawal_left_to_the_sweep", store_id=store_id, error=type(error).__name__)
