"""The web application: `granian --interface wsgi config.wsgi:application`."""

import gc
import os

# Before numpy and psycopg are imported. Threads share the process's cores, so linear algebra must not start
# threads of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import structlog
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError

_django = get_wsgi_application()

from config import multiprocess_metrics
from config.checks import require_keys
from config.processes import end_with_main_process
from config.proxies import behind_proxies
from config.serving import THREADS
from config.slow_bodies import SlowBodies
from recommendations.rehearsal import rehearse
from tracking.views import COLLECTING


def _warm_up() -> None:
    """Compile what has to be compiled and read the models now: the first shopper must not wait for it."""
    try:
        rehearse()
    except DatabaseError as error:
        structlog.get_logger(__name__).warning("not_warmed_up", error=str(error))


end_with_main_process()
require_keys()
multiprocess_metrics.forget_the_dead()
_warm_up()
application = SlowBodies(
    behind_proxies(_django, proxies=settings.ETALAGE_PROXY_COUNT),
    threads=int(os.environ.get("WEB_THREADS") or THREADS),
    is_brief=lambda path: COLLECTING.fullmatch(path) is not None,
)

# What is loaded by now stays. Walking it again for every few thousand objects of a batch of events took a third
# of the time of taking them.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)
