"""How often a client may call: a sliding window per key and address, kept in Valkey. Without Valkey nobody is refused."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts import valkey
from accounts.client_address import client_address
from accounts.models.api_key import ApiKey

if TYPE_CHECKING:
    # rest_framework.views reads its settings, which name this module.
    from rest_framework.views import APIView

WINDOW_SECONDS: Final = 60


@dataclass(frozen=True)
class Decision:
    is_allowed: bool
    retry_after_seconds: int = 0


ALLOWED: Final = Decision(True)


def admit(bucket: str, limit: int, window_seconds: int = WINDOW_SECONDS, cost: int = 1) -> Decision:
    """Count a call against a bucket and say whether it may go on.

    Two fixed windows weighted by how much of the older one still counts approximate a sliding window, in one round trip.
    A limit of 0 is no limit. Fails open.
    """
    if limit <= 0:
        return ALLOWED
    now = time.time()
    window = int(now // window_seconds)
    elapsed = now % window_seconds
    name = f"etalage:throttle:{bucket}"

    def count(client: Any) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        pipeline.get(f"{name}:{window - 1}")
        pipeline.incrby(f"{name}:{window}", cost)
        pipeline.expire(f"{name}:{window}", 2 * window_seconds)
        return pipeline.execute()

    counted = valkey.call(count, None)
    if counted is None:
        return ALLOWED
    earlier, current = int(counted[0] or 0), int(counted[1])
    weighted = earlier * (1 - elapsed / window_seconds) + current
    if weighted <= limit:
        return ALLOWED
    return Decision(False, max(1, math.ceil(window_seconds - elapsed)))


def limit_of(key: ApiKey | None) -> int:
    """Calls a minute. A browser's key is shared by all shoppers, so it counts per address; a server calls from one."""
    if key is not None and key.is_secret:
        return int(settings.ETALAGE_SECRET_CALLS_PER_MINUTE)
    return int(settings.ETALAGE_PUBLIC_CALLS_PER_MINUTE)


def admit_request(request: HttpRequest, key: ApiKey | None, area: str = "api", cost: int = 1) -> Decision:
    """The same for a request, by its key and address. `area` keeps collecting and reading apart."""
    who = key.prefix if key else "anonymous"
    return admit(f"{area}:{who}:{client_address(request)}", limit_of(key), cost=cost)


class KeyThrottle(BaseThrottle):
    """For Django REST framework: `DEFAULT_THROTTLE_CLASSES = ["accounts.throttling.KeyThrottle"]`."""

    def __init__(self) -> None:
        self._decision = ALLOWED

    def allow_request(self, request: Request, view: APIView) -> bool:
        key = request.auth if isinstance(request.auth, ApiKey) else None
        self._decision = admit_request(request._request, key, area=getattr(view, "throttle_area", "api"))
        return self._decision.is_allowed

    def wait(self) -> float | None:
        return float(self._decision.retry_after_seconds)
