"""Whether the installation is alive, ready, and how it does: for load balancers, supervisors and
Prometheus.
"""

import hmac
import ipaddress
from collections.abc import Callable
from typing import Literal

import psycopg
import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from accounts import valkey
from accounts.client_address import client_address
from config.metrics import live_metrics

logger = structlog.get_logger(__name__)

State = Literal["ok", "degraded", "unavailable"]
WORKER_KEY = "etalage:worker:alive"


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; asks nothing of anybody."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when pages can be served, "degraded" when Valkey or the worker is missing; 503 when the database
    is, or waits for migrations.
    """
    found = checks()
    required_fails = found["database"] != "ok" or found["migrations"] != "ok"
    status: State = "unavailable" if required_fails else "degraded" if set(found.values()) != {"ok"} else "ok"
    return JsonResponse({"status": status, "checks": found}, status=503 if required_fails else 200)


def checks() -> dict[str, str]:
    """Each part and "ok", or what is wrong with it: for the page above and the admin's home."""
    parts = {"database": _database, "migrations": _migrations, "valkey": _valkey, "worker": _worker}
    return {name: _check(part) for name, part in parts.items()}


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' page; for those with METRICS_TOKEN, or where none is set for callers on this machine."""
    if not _may_read_metrics(request):
        return HttpResponse(
            "Set METRICS_TOKEN and send it as a bearer token.\n", status=403, content_type="text/plain"
        )
    response = ExportToDjangoView(request)
    response.content += live_metrics()
    return response


def _may_read_metrics(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        expected = f"Bearer {settings.METRICS_TOKEN}"
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode())
    try:
        return ipaddress.ip_address(client_address(request)).is_loopback
    except ValueError:
        return False


def _check(check: Callable[[], str]) -> str:
    """The check's answer, or the kind of its failure: never an address or a password."""
    try:
        return check()
    except (DatabaseError, psycopg.Error, redis.RedisError, valkey.ValkeyUnavailable, OSError) as error:
        logger.warning("readiness_check_failed", check=check.__name__.strip("_"), error=str(error))
        return f"failed: {type(error).__name__}"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


_migrations_are_applied = False


def _migrations() -> str:
    """Once applied they stay so while this process runs: its code and its migrations are one release."""
    global _migrations_are_applied
    if not _migrations_are_applied:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            return f"{len(waiting)} waiting: run manage.py migrate"
        _migrations_are_applied = True
    return "ok"


def _valkey() -> str:
    valkey.client().ping()
    return "ok"


def _worker() -> str:
    return "ok" if valkey.client().exists(WORKER_KEY) else "no worker has reported in the last half minute"
