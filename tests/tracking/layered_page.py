"""A shop's page with a data layer and our one tag, under a strict content security policy, and what it sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounts.models import Store
from tests.waiting import until
from tracking.models import Event

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Route

CSP = "default-src 'none'; script-src 'self' 'nonce-own'; connect-src 'self'; base-uri 'none'"
ALL_GRANTED = {
    "analytics_storage": "granted",
    "personalization_storage": "granted",
    "ad_storage": "denied",
    "ad_user_data": "denied",
    "ad_personalization": "denied",
}


class LayeredPage:
    """`before` and `after` run as the page's own scripts, before and after our tag; `outcomes` is what the debugger hears."""

    def __init__(self, page: Page, origin: str, store: Store, key: str) -> None:
        self.page = page
        self.origin = origin
        self.store = store
        self.key = key
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request) if "/v1/" in request.url else None)

    def tag(self, **options: str) -> str:
        attributes = "".join(
            f' data-{name.replace("_", "-")}="{value}"'
            for name, value in {"write_key": self.key, **options}.items()
        )
        return f'<script async src="{self.origin}/etalage/datalayer.js"{attributes}></script>'

    def open(
        self,
        before: str = "",
        after: str = "",
        *,
        tag: str | None = None,
        scripts: tuple[Path, ...] = (),
        path: str = "/p/tent",
    ) -> None:
        loaded = ""
        for script in scripts:
            self.page.route(f"{self.origin}/vendor/{script.name}", _serving(script))
            loaded += f'<script src="/vendor/{script.name}"></script>'
        listen = "window.outcomes = []; document.addEventListener('etalage:layer', (event) => outcomes.push(event.detail));"
        html = (
            "<!doctype html><title>Shop</title>"
            f"<script nonce='own'>{listen}{before}</script>{self.tag() if tag is None else tag}"
            f"{loaded}<script nonce='own'>{after}</script><main>Shop</main>"
        )
        headers = {"Content-Security-Policy": CSP, "Content-Type": "text/html; charset=utf-8"}
        self.page.route(f"{self.origin}{path}", lambda route: route.fulfill(body=html, headers=headers))
        self.page.goto(f"{self.origin}{path}")

    def permit(self, mask: int = 7, anonymous_id: str = "anon-1") -> None:
        self.page.context.add_cookies(
            [
                {"name": "etalage_consent", "value": f"{'0' * 32}.{mask}.abc.0.x", "url": self.origin},
                {"name": "etalage_anonymous_id", "value": anonymous_id, "url": self.origin},
            ]
        )

    def decide_now(self, words: str) -> None:
        self.page.evaluate(
            "words => { document.documentElement.dataset.etalageConsent = words;"
            "document.dispatchEvent(new CustomEvent('etalage:consent')); }",
            words,
        )

    def push(self, *pushed: Any, layer: str = "dataLayer") -> Any:
        return self.page.evaluate("([name, pushed]) => window[name].push(...pushed)", [layer, list(pushed)])

    def wait_for_outcomes(self, count: int) -> list[dict[str, Any]]:
        self.wait_until(f"outcomes.length >= {count}")
        return list(self.page.evaluate("outcomes"))

    def wait_until_heard(self) -> None:
        self.wait_until("Object.getOwnPropertyDescriptor(dataLayer, 'push')?.get")

    def wait_until(self, expression: str) -> None:
        """Not Playwright's own way, which evaluates text in the page: the page's policy forbids that."""
        until(self.page, lambda: self.page.evaluate(f"Boolean({expression})"), lambda: expression)

    def events(self, count: int) -> list[Event]:
        """The stored track calls, once there are so many, in their order of arrival."""

        def stored() -> list[Event] | None:
            rows = list(
                Event.objects.for_store(self.store)
                .exclude(product_id="", name="Page Left")
                .filter(type=1)
                .order_by("id")
            )
            return rows if len(rows) >= count else None

        return until(self.page, stored, self._state) or []

    def told(self, count: int) -> list[tuple[str, str]]:
        """Name and product of the stored events: that there are no more is only sure after something later has come."""
        return [(event.name, event.product_id) for event in self.events(count)]

    def finish(self) -> list[tuple[str, str]]:
        """All that was stored, once a last event has come after everything that was pushed before."""
        before = self.page.evaluate("outcomes.length")
        self.push({"event": "search", "search_term": "the end"})
        self.wait_for_outcomes(before + 1)
        last = ("Products Searched", "")

        def stored() -> list[tuple[str, str]] | None:
            rows = [
                (event.name, event.product_id)
                for event in Event.objects.for_store(self.store).filter(type=1).order_by("id")
            ]
            return rows if last in rows else None

        rows = until(self.page, stored, self._state) or []
        return [row for row in rows if row not in (last, ("Page Left", ""))]

    def leave(self, before: str = "") -> None:
        """To a blank page, at once after the script `before`.

        What a page sends while it is left cannot be answered by a test: a request that is held for it dies with the page.
        Nothing is held from here on.
        """
        self.page.unroute_all()
        self.page.evaluate(f"() => {{ {before}; location.href = 'about:blank'; }}")

    def _state(self) -> str:
        stored = [event.name for event in Event.objects.for_store(self.store)]
        said = self.page.evaluate("typeof outcomes === 'undefined' ? 'the page was left' : outcomes")
        return f"{stored} were stored; the page says {said}"


def _serving(script: Path) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=script.read_text(), content_type="text/javascript")


def script(pushed: Any, layer: str = "dataLayer") -> str:
    """`dataLayer.push(…)` as a page writes it."""
    return f"window.{layer} = window.{layer} || []; {layer}.push({json.dumps(pushed)});"


def viewed(product_id: str) -> dict[str, Any]:
    return {"event": "view_item", "ecommerce": {"currency": "EUR", "items": [{"item_id": product_id}]}}


def added(product_id: str) -> dict[str, Any]:
    return {"event": "add_to_cart", "ecommerce": {"currency": "EUR", "items": [{"item_id": product_id}]}}
