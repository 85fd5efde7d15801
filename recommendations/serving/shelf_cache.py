"""Shelves that were made a moment ago, for requests that would give the very same.

The key is everything that a shelf is made from: the snapshot (catalogue with stock, weights, rules, model), the shopper's card and
profile as Valkey gave them for this request, the language, and what the request names. Any event, sale, price, rule, model, consent or
"not this" thus gives another key, and the very next request another shelf. Only the clock stands outside: a shelf may be up to
`2 * CLOCK_SECONDS` old in what depends on nothing else (the end of a visit after 30 minutes, half-lives of days).

A shelf about the page, such as "Similar products", is made from no profile: all shoppers of whose cards it reads the same (segments,
features, interests, "not this") share it, up to `2 * PAGE_SECONDS`, since no visit ends in it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from uuid import uuid4

from recommendations.serving.recent import Recent
from recommendations.shelf import Shelf

CLOCK_SECONDS = 30.0
PAGE_SECONDS = 300.0
CAPACITY = 2_000

_shelves: Recent[Shelf] = Recent(seconds=CLOCK_SECONDS, capacity=CAPACITY)
_of_pages: Recent[Shelf] = Recent(seconds=PAGE_SECONDS, capacity=CAPACITY)


def repeated(key: Hashable) -> Shelf | None:
    """The shelf of this key under a request id of its own; None where there is none."""
    shelf = _shelves.get(key) or _of_pages.get(key)
    return None if shelf is None else replace(shelf, request_id=uuid4())


def keep(key: Hashable, shelf: Shelf, *, is_about_page: bool = False) -> None:
    """Not one that chance had a part in, and not one that was made in too great a hurry."""
    if not shelf.is_drawn and shelf.fallback not in ("deadline", "shopper_unreadable", "starting"):
        if shelf.trace is not None and shelf.trace.learned is not None:
            # Explanations are made anew: what one would be worked out from need not stay in memory.
            shelf = replace(shelf, trace=replace(shelf.trace, learned=None))
        (_of_pages if is_about_page else _shelves).put(key, shelf)


def forget_all() -> None:
    _shelves.clear()
    _of_pages.clear()
