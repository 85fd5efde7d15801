from __future__ import annotations

import structlog
from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from accounts.models import Store
from recommendations.selectors.bandits import bandits_to_count
from recommendations.selectors.training import stores_with_live_version
from recommendations.services.bandit_update import bandit_update
from recommendations.services.drift_watch import drift_watch
from recommendations.training.catching_up import catch_up, catch_up_products
from recommendations.training.preparation import TooLittleData
from recommendations.training.run import AlreadyTraining, train
from recommendations.training.watch import find_killed_runs

log = structlog.get_logger(__name__)


@shared_task(name="recommendations.train_store", acks_late=False, max_retries=0)
def train_store(store_id: int, trigger: str = "schedule") -> str:
    """Train a store. Not given to another worker when this one is lost: the schedule comes again, and the loss is told."""
    try:
        trained = train(Store.objects.get(pk=store_id), trigger=trigger)
    except (TooLittleData, AlreadyTraining) as reason:
        return str(reason)
    return f"version {trained.version.number}: {trained.version.state}"


@shared_task(name="recommendations.catch_up_models", acks_late=False, max_retries=0)
def catch_up_models() -> int:
    """What ended since the last training reaches each live version; gives in how many something was new."""
    news = 0
    for store in Store.objects.filter(pk__in=stores_with_live_version()).order_by("pk"):
        try:
            caught_up = catch_up(store)
        except (MemoryError, SoftTimeLimitExceeded):
            raise
        except Exception:
            # One store's files must not keep the others from learning.
            log.exception("model.catch_up_failed", store=store.pk)
        else:
            news += bool(caught_up and caught_up.is_news)
    return news


@shared_task(name="recommendations.update_bandits", acks_late=False, max_retries=0)
def update_bandits() -> int:
    """Count what shoppers did under each running bandit's arms; gives in how many of them new shares began."""
    begun = 0
    for bandit in bandits_to_count():
        try:
            begun += bandit_update(bandit=bandit, now=timezone.now())
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            # One placement's trouble must not keep the others from learning.
            log.exception("bandit.not_updated", bandit=bandit.pk)
    return begun


@shared_task(name="recommendations.watch_models", acks_late=False, max_retries=0)
def watch_models() -> dict[str, str]:
    """Whether each live version still fits what happens; what does not goes to the store's review list. Levels, by store."""
    levels = {}
    for store in Store.objects.filter(pk__in=stores_with_live_version()).order_by("pk"):
        try:
            reading = drift_watch(store)
        except (MemoryError, SoftTimeLimitExceeded):
            raise
        except Exception:
            # One store's files must not keep the others from being watched.
            log.exception("model.watch_failed", store=store.pk)
        else:
            levels[store.slug] = str(reading.level) if reading else "none"
    return levels


@shared_task(name="recommendations.describe_new_products", acks_late=False, max_retries=0)
def describe_new_products() -> int:
    """Products that were imported since the last training reach each live version; gives how many. One query a store where none were."""
    described = 0
    for store in Store.objects.filter(pk__in=stores_with_live_version()).order_by("pk"):
        try:
            described += catch_up_products(store)
        except (MemoryError, SoftTimeLimitExceeded):
            raise
        except Exception:
            log.exception("model.products_not_described", store=store.pk)
    return described


@shared_task(name="recommendations.watch_training")
def watch_training() -> int:
    """Notice runs whose process was killed."""
    return len(find_killed_runs())
