"""Why a shelf is what it is, as a picture and a table: through the stages that serve shoppers, for this browser, everybody or a persona."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse

from accounts.admin.scoped import ScopedAdmin
from accounts.display.charts import Slice, stack
from accounts.models import Store
from accounts.permissions import Ability
from recommendations.admin.personas import personas
from recommendations.admin.preview import NotReady, persona_context, snapshot_of
from recommendations.admin.strategies import StrategyText, text_of
from recommendations.models import Placement
from recommendations.parameters import read_ids, read_text
from recommendations.pipeline import open_context, serve
from recommendations.serving.browser import NoStorefront, shopper_of, storefront_store
from recommendations.serving.deadline import Deadline, DeadlineExceeded
from recommendations.shelf import NOBODY, RecommendationRequest, RequestError, Shelf, ShelfItem
from recommendations.stages.context import Variant

_PATIENCE_MS: Final = 10_000.0
BROWSER: Final = "browser"
EVERYBODY: Final = "everybody"

VARIANTS: Final = {
    Variant.PERSONALISED: "made for the shopper",
    Variant.CONTROL: "the control group's: popular products, whatever the weights say",
    Variant.NON_PERSONAL: "the same for everybody: nothing of a shopper was used",
}
FILTERS: Final = {
    "unavailable": "sold out or inactive",
    "category": "of other categories",
    "hidden": "hidden by a rule",
    "shown": "on the page already, with their variants",
    "forgotten": "“not this”",
    "purchased": "bought before",
    "viewed": "looked at before",
}


@dataclass(frozen=True)
class Row:
    """A product of the shelf. `given` has what each strategy of the shelf gave, in the order of the columns; None = nothing."""

    item: ShelfItem
    slices: list[Slice]
    given: list[float | None]

    @property
    def moved(self) -> int:
        """Ranks up (> 0) or down against where scores and rules alone would have put it."""
        return 0 if self.item.rank_by_score is None else self.item.rank_by_score - self.item.rank

    @property
    def distance(self) -> int:
        return abs(self.moved)


@dataclass(frozen=True)
class Traced:
    """A shelf with all that explains it. `strategies` are those that gave anything, the loudest first, with their weights."""

    shelf: Shelf
    rows: list[Row]
    strategies: list[tuple[StrategyText, float]]
    variant: str
    left_out: list[tuple[str, int]]

    @property
    def milliseconds(self) -> float:
        return sum(self.shelf.trace.milliseconds.values()) if self.shelf.trace else 0.0


def traced(shelf: Shelf) -> Traced:
    totals: dict[str, float] = {}
    for item in shelf.items:
        for name, value in item.strategies.items():
            totals[name] = totals.get(name, 0.0) + value
    names = sorted(totals, key=lambda name: -totals[name])
    full = max((item.blended for item in shelf.items), default=0.0)
    weights = shelf.trace.weights if shelf.trace else {}
    removed = shelf.trace.filtered if shelf.trace else {}
    return Traced(
        shelf,
        [_row(item, names, full) for item in shelf.items],
        [(text_of(name), weights.get(name, 0.0)) for name in names],
        VARIANTS.get(Variant(shelf.variant), shelf.variant),
        [(FILTERS.get(name, name), count) for name, count in removed.items() if count],
    )


def _row(item: ShelfItem, names: Sequence[str], full: float) -> Row:
    texts = {name: text_of(name) for name in names}
    parts = [(texts[name].label, item.strategies.get(name, 0.0)) for name in names]
    slices = stack(
        [(label, value, f"{label}: {value:.3f}") for label, value in parts],
        full,
        {text.label: text.colour for text in texts.values()},
    )
    return Row(item, slices, [item.strategies.get(name) for name in names])


class TracePage(ScopedAdmin):
    def trace_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """`?as=browser` (the shop's pages in this browser; the default where this is their shop), `everybody`, or a persona's slug."""
        placement = self.object_for(request, object_id, Ability.READ_SHELVES)
        found, trouble = None, ""
        options = _options(request, placement)
        chosen = request.GET.get("as", "") or options[0][0]
        try:
            found = traced(_shelf(request, placement, chosen))
        except (NotReady, RequestError) as error:
            trouble = str(error)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": placement,
            "title": f"Why: {placement.name}",
            "placement": placement,
            "traced": found,
            "trouble": trouble,
            "options": [(key, label, key == chosen, _with(request.GET, key)) for key, label in options],
        }
        return TemplateResponse(request, "admin/recommendations/trace.html", context)


def _with(parameters: QueryDict, who: str) -> str:
    changed = parameters.copy()
    changed["as"] = who
    return changed.urlencode()


def _options(request: HttpRequest, placement: Placement) -> list[tuple[str, str]]:
    """Who it may be shown for. Nobody's data but that of the browser that asks."""
    own = [(BROWSER, "This browser")] if _is_shop_of(placement.store) else []
    try:
        invented = [(p.slug, p.name) for p in personas(snapshot_of(placement.store).assortment, time())]
    except NotReady:
        invented = []
    return [*own, (EVERYBODY, "Everybody"), *invented]


def _is_shop_of(store: Store) -> bool:
    try:
        return storefront_store().pk == store.pk
    except NoStorefront:
        return False


def _shelf(request: HttpRequest, placement: Placement, who: str) -> Shelf:
    """Raises NotReady, RequestError."""
    if who not in (BROWSER, EVERYBODY):
        return serve(persona_context(placement, who), Deadline(_PATIENCE_MS))
    is_own = who == BROWSER and _is_shop_of(placement.store)
    asked = RecommendationRequest(
        store=placement.store,
        placement=placement.slug,
        shopper=shopper_of(request) if is_own else NOBODY,
        limit=_limit(request.GET),
        category=read_text(request.GET, "category", 400),
        product_id=read_text(request.GET, "product_id"),
        cart=read_ids(request.GET, "cart"),
        exclude=read_ids(request.GET, "exclude"),
        personal=is_own,
    )
    try:
        context, _ = open_context(asked)
    except DeadlineExceeded as late:
        raise NotReady("The shopper's profile could not be read in time: try again.") from late
    return serve(context, Deadline(_PATIENCE_MS))


def _limit(parameters: QueryDict) -> int | None:
    text = parameters.get("limit", "")
    return int(text) if text.isdigit() and 1 <= int(text) <= 100 else None
