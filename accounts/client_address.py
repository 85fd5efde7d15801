from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The client's IP address, or "" where it cannot be told (a Unix socket).

    `X-Forwarded-For` is not read here, since anybody may send it: where proxies of ours stand in front
    (`PROXY_COUNT`), `config.proxies` has put the address that they report into `REMOTE_ADDR` already.
    """
    return _normal(request.META.get("REMOTE_ADDR", ""))


@lru_cache(maxsize=4096)
def _normal(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
