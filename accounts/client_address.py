"""The address of whoever sent a request."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The client's IP address, or "" where it cannot be told.

    `X-Forwarded-For` is believed only as far as our own proxies wrote it: with `ETALAGE_PROXY_COUNT` proxies in front, the
    entry that many places from its end. By default there is none, since anybody may send the header.
    """
    proxies: int = getattr(settings, "ETALAGE_PROXY_COUNT", 0)
    address = request.META.get("REMOTE_ADDR", "")
    if proxies:
        forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        if len(forwarded) >= proxies:
            address = forwarded[-proxies]
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
