from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog
from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import Model, QuerySet
from django.utils import timezone

from accounts.models import Store
from recommendations.models import Bandit
from recommendations.selectors.bandits import bandits_to_count
from recommendations.selectors.training import stores_with_live_version
from recommendations.services.bandit_update import bandit_update
from recommendations.services.drift_watch import drift_watch
from recommendations.services.model_forget import withdrawn_forget, withdrawn_sweep
from recommendations.training.catching_up import catch_up, catch_up_products
from recommendations.training.preparation import TooLittleData
from recommendations.training.run import AlreadyTraining, train
from recommendations.training.watch import find_killed_runs

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Model)
T = TypeVar("T")


@shared_task(name="recommendations.train_store", acks_late=False, max_retries=0)
def train_store(store_id: int, trigger: str = "schedule") -> str:
    """Train a store. Not given to another worker when this one is lost: the schedule comes again, and the loss is told."""
    try:
        trained = train(Store.objects.get(pk=store_id), trigger=trigger)
    except (TooLittleData, AlreadyTraining) as reason:
        return str(reason)
    return f"version {trained.version.number}: {trained.version.state}"


def _one_by_one(found: Iterable[M], work: Callable[[M], T], failure: str) -> Iterator[tuple[M, T]]:
    """Each with what `work` gave for it. One store's or placement's trouble is logged and keeps no other waiting."""
    for each in found:
        try:
            result = work(each)
        except (MemoryError, SoftTimeLimitExceeded):
            raise  # the process is at its end, not the one that was worked on
        except Exception:
            log.exception(failure, **{str(each._meta.model_name): each.pk})
        else:
            yield each, result


def _live_stores() -> QuerySet[Store]:
    return Store.objects.filter(pk__in=stores_with_live_version()).order_by("pk")


@shared_task(name="recommendations.catch_up_models", acks_late=False, max_retries=0)
def catch_up_models() -> int:
    """What ended since the last training reaches each live version, without who has said no since; gives in how many something was new."""
    for _swept in _one_by_one(_live_stores(), withdrawn_sweep, "model.withdrawal_sweep_failed"):
        pass
    caught_up = _one_by_one(_live_stores(), catch_up, "model.catch_up_failed")
    return sum(bool(news and news.is_news) for _, news in caught_up)


@shared_task(name="recommendations.forget_withdrawn")
def forget_withdrawn(store_id: int, hashes: list[int]) -> int:
    """Bury the visits of people who permit no personalisation any more (`sessions.owner_hash`). May run twice."""
    return withdrawn_forget(store_id=store_id, hashes=hashes)


@shared_task(name="recommendations.update_bandits", acks_late=False, max_retries=0)
def update_bandits() -> int:
    """Count what shoppers did under each running bandit's arms; gives in how many of them new shares began."""

    def update(bandit: Bandit) -> int:
        return int(bandit_update(bandit=bandit, now=timezone.now()))

    return sum(begun for _, begun in _one_by_one(bandits_to_count(), update, "bandit.not_updated"))


@shared_task(name="recommendations.watch_models", acks_late=False, max_retries=0)
def watch_models() -> dict[str, str]:
    """Whether each live version still fits what happens; what does not goes to the store's review list. Levels, by store."""
    watched = _one_by_one(_live_stores(), drift_watch, "model.watch_failed")
    return {store.slug: str(reading.level) if reading else "none" for store, reading in watched}


@shared_task(name="recommendations.describe_new_products", acks_late=False, max_retries=0)
def describe_new_products() -> int:
    """Products that were imported since the last training reach each live version; gives how many. One query a store where none were."""
    described = _one_by_one(_live_stores(), catch_up_products, "model.products_not_described")
    return sum(count for _, count in described)


@shared_task(name="recommendations.watch_training")
def watch_training() -> int:
    """Notice runs whose process was killed."""
    return len(find_killed_runs())
