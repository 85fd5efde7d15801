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


class TooManyRequests(Exception):
    """The client has used up its calls for now. `decision` says for how long."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"try again in {decision.retry_after_seconds} s")
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Window:
    """The two counters of a bucket at this moment, for who counts together with other things: GET `earlier`, INCRBY
    `current`, and let that one go after two windows."""

    earlier: str
    current: str
    limit: int
    elapsed: float  # seconds of the current window
    seconds: int

    @classmethod
    def of(cls, bucket: str, limit: int, seconds: int = WINDOW_SECONDS) -> Window:
        number, elapsed = divmod(time.time(), seconds)
        name = f"etalage:throttle:{bucket}"
        return cls(f"{name}:{int(number) - 1}", f"{name}:{int(number)}", limit, elapsed, seconds)

    def decide(self, earlier: bytes | None, current: int) -> Decision:
        """Two fixed windows weighted by how much of the older one still counts approximate a sliding one."""
        weighted = int(earlier or 0) * (1 - self.elapsed / self.seconds) + int(current)
        if weighted <= self.limit:
            return ALLOWED
        return Decision(False, max(1, math.ceil(self.seconds - self.elapsed)))


def admit(bucket: str, limit: int, window_seconds: int = WINDOW_SECONDS, cost: int = 1) -> Decision:
    """Count a call against a bucket and say whether it may go on.

    One round trip. A limit of 0 is no limit. Fails open.
    """
    if limit <= 0:
        return ALLOWED
    window = Window.of(bucket, limit, window_seconds)

    def count(client: Any) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        pipeline.get(window.earlier)
        pipeline.incrby(window.current, cost)
        pipeline.expire(window.current, 2 * window_seconds)
        return pipeline.execute()

    counted = valkey.call(count, None)
    return ALLOWED if counted is None else window.decide(counted[0], counted[1])


def limit_of(key: ApiKey | None) -> int:
    """Calls a minute. A browser's key is shared by all shoppers, so it counts per address; a server calls from one."""
    if key is not None and key.is_secret:
        return int(settings.ETALAGE_SECRET_CALLS_PER_MINUTE)
    return int(settings.ETALAGE_PUBLIC_CALLS_PER_MINUTE)


def admit_request(request: HttpRequest, key: ApiKey | None, area: str = "api", cost: int = 1) -> Decision:
    """The same for a request, by its key and address. `area` keeps collecting and reading apart."""
    return admit(_bucket(request, key, area), limit_of(key), cost=cost)


def window_of(request: HttpRequest, key: ApiKey | None, area: str = "api") -> Window | None:
    """The counters of the same; None where there is no limit."""
    limit = limit_of(key)
    return Window.of(_bucket(request, key, area), limit) if limit > 0 else None


def _bucket(request: HttpRequest, key: ApiKey | None, area: str) -> str:
    return f"{area}:{key.prefix if key else 'anonymous'}:{client_address(request)}"


class KeyThrottle(BaseThrottle):
    """For Django REST framework: `DEFAULT_THROTTLE_CLASSES = ["accounts.throttling.KeyThrottle"]`."""

    def __init__(self) -> None:
        self._decision = ALLOWED

    def allow_request(self, request: Request, view: APIView) -> bool:
        key = request.auth if isinstance(request.auth, ApiKey) else None
        counted: Decision | None = getattr(request._request, "throttle_decision", None)
        self._decision = counted or admit_request(
            request._request, key, area=getattr(view, "throttle_area", "api")
        )
        return self._decision.is_allowed

    def wait(self) -> float | None:
        return float(self._decision.retry_after_seconds)
