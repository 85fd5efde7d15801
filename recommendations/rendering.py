"""A shelf as HTML: the same markup from the template tag, the page's script and the API's `view=html`."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from recommendations.serving.tokens import impression_token
from recommendations.shelf import RecommendationRequest, Shelf

TEMPLATE = "recommendations/shelf.html"


def render_shelf(
    shelf: Shelf,
    asked: RecommendationRequest,
    *,
    request: HttpRequest | None,
    is_static: bool = False,
    takes_answers: bool = False,
    template: str = TEMPLATE,
) -> SafeString:
    """`is_static`: part of a page that is the same for everybody. It then carries no request id, since nobody's view of it counts.

    Without a `request` it is for the page of a shop elsewhere, and `takes_answers` says whether that page's key may say "not this".
    """
    return SafeString(
        render_to_string(
            template,
            {
                "shelf": shelf,
                "asked": asked,
                "is_static": is_static,
                "token": "" if is_static else impression_token(asked.store.pk, shelf),
                "forget_url": ""
                if is_static or shelf.variant == "non_personal"
                else _forget_url(request, takes_answers),
                "is_own_page": request is not None,
                "may_pause": request is None and shelf.variant != "non_personal",
                "is_paused": request is None and asked.shopper.has_paused,
                "dom_id": f"etalage-{shelf.placement}-{shelf.request_id.hex[:8]}",
            },
            request=request,
        )
    )


def _forget_url(request: HttpRequest | None, takes_answers: bool) -> str:
    if request is not None:
        return reverse("etalage:not-this")
    return reverse("forgotten-products") if takes_answers else ""


class PageRegistry:
    """What the shelves of one page show already: no product and no variant family stands there twice. `asked` are the shelves."""

    def __init__(self) -> None:
        self._shown: dict[str, None] = {}
        self.asked: list[RecommendationRequest] = []

    @classmethod
    def of(cls, request: HttpRequest | None) -> PageRegistry:
        if request is None:
            return cls()
        registry: PageRegistry | None = getattr(request, "_etalage_page", None)
        if registry is None:
            registry = cls()
            request._etalage_page = registry  # type: ignore[attr-defined]
        return registry

    @property
    def product_ids(self) -> tuple[str, ...]:
        return tuple(self._shown)

    def add(self, product_ids: Iterable[str]) -> None:
        self._shown.update(dict.fromkeys(product_ids))
