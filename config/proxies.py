"""Whose address a request has where proxies of ours stand in front of the server.

To the server each request comes from the nearest proxy: all shoppers would share one limit of requests, and one who
tries passwords would lock everybody out. The nearest proxy appends to `X-Forwarded-For` whom it was asked by, the
proxy before it did the same, and so on: the entry that our outermost proxy wrote is the PROXY_COUNT-th from the end.
What stands before it was sent by the client, who may write what it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ForwardedAddress:
    """WSGI middleware: puts the client's address into REMOTE_ADDR, so that nobody further in reads the header.

    `proxies` ≥ 1. The peer's own address stays where the header has fewer entries (the request came past a proxy)
    or none that is an address.
    """

    def __init__(self, application: Application, *, proxies: int) -> None:
        self.application = application
        self._proxies = proxies

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entries = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(entries) >= self._proxies and (address := _address_of(entries[-self._proxies])):
            environ["REMOTE_ADDR"] = address
        return self.application(environ, start_response)


def behind_proxies(application: Application, *, proxies: int) -> Application:
    """`application` itself where there is no proxy: then the header is the client's word and nothing else."""
    return ForwardedAddress(application, proxies=proxies) if proxies > 0 else application


def _address_of(entry: str) -> str:
    """The address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` and `[2001:db8::1]:4711`; "" where there is none.

    Some proxies write the port too (Azure's Application Gateway does).
    """
    entry = entry.strip()
    if entry.startswith("["):
        entry, _, port = entry[1:].partition("]")
        if port and not _is_port(port):
            return ""
    elif entry.count(":") == 1:
        entry, port = entry.split(":")
        if not _is_port(f":{port}"):
            return ""
    try:
        address = ip_address(entry)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and text[1:].isdecimal()
