"""Waiting for a fact instead of for a time: how long a busy machine takes says nothing about the code."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from playwright.sync_api import Page

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""Far more than anything takes on a machine that is busy with other tests: only what never comes takes so long."""


def until(page: Page, look: Callable[[], T], told: Callable[[], object] = lambda: "") -> T:
    """What `look` gives as soon as it is true. `told` says how things stand if it never is.

    For facts that are outside of the page, or on a page whose policy forbids Playwright's own ways of waiting. Between two
    looks the browser's events are handled: routes are answered, requests are noted.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"It never came to pass. {told()}")
        page.wait_for_timeout(50)
    return found
