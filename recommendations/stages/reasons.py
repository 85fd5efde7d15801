"""Why a product stands on the shelf, in a sentence that is true: the loudest strategy that can name its cause speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from django.utils.translation import get_language, gettext

from algorithms.small_cells import LEAST_PEOPLE
from algorithms.types import Int32, Trigger
from catalog.wording import spoken
from recommendations.model_store.lately import people_of_week
from recommendations.serving.assortment import Assortment, Standing
from recommendations.shelf import Reason, ShelfProduct
from recommendations.stages.context import Context
from recommendations.stages.shop_strategies import interest_matches


def _(text: str) -> str:
    """`gettext`, which takes longer over the reasons of a shelf than all else that is done for them: remembered by language."""
    return _translated(get_language(), text)


@lru_cache(maxsize=4096)
def _translated(language: str | None, text: str) -> str:
    return gettext(text)


SPEAKING_SHARE: Final = 0.2
"""A strategy speaks for a product only if it gave at least this share of what the loudest gave."""

WEEK_SECONDS: Final = 7 * 86_400.0
FRESH_SECONDS: Final = 2 * 86_400.0
POPULAR_PEOPLE: Final = LEAST_PEOPLE
"""Fewer in a week are chance, not popularity, and would be told about to everybody."""
POPULAR_RANKS: Final = 20
"""A product is called popular in its category while it stands among so many there."""

WITH_TRIGGER: Final = frozenset(
    {
        "session_knn",
        "user_knn",
        "item_knn",
        "item_vectors",
        "als",
        "ease",
        "lightfm",
        "content",
        "text_embeddings",
        "image_vectors",
        "viewed_next",
        "bought_together",
    }
)
LIKENESS: Final = frozenset({"content", "text_embeddings", "image_vectors"})
POPULAR: Final = frozenset({"popular", "trending", "popular_in_category", "popular_in_segment"})


_Triggers = dict[tuple[str, int], Trigger | None]


def reasons_for(
    context: Context, places: Sequence[int], contributions: Sequence[Mapping[str, float]]
) -> list[Reason]:
    """One for each of `places`. `contributions` of each by strategy, > 0; empty for a product that merely fills the shelf."""
    speakers = [_speakers(given) for given in contributions]
    triggers = _triggers_of(context, places, speakers)
    return [_reason(context, place, names, triggers) for place, names in zip(places, speakers, strict=True)]


def _reason(context: Context, place: int, speakers: Sequence[str], triggers: _Triggers) -> Reason:
    for name in speakers:
        reason = _of_strategy(context, place, name, triggers)
        if reason is not None:
            return reason
    return standing_reason(context, place)


def _triggers_of(context: Context, places: Sequence[int], speakers: Sequence[Sequence[str]]) -> _Triggers:
    """What those who speak first need to know, each asked once for all of their products."""
    asked: dict[str, list[int]] = {}
    for place, names in zip(places, speakers, strict=True):
        if names and (names[0] in WITH_TRIGGER or names[0] == "new_items"):
            asked.setdefault(names[0], []).append(place)
    known: _Triggers = {}
    for name, wanted in asked.items():
        _ask(context, name, wanted, known)
    return known


def _ask(context: Context, name: str, places: Sequence[int], known: _Triggers) -> None:
    """Products that came after the training are known to those strategies that could take them in."""
    model = context.snapshot.model
    strategy = None if model is None else model.strategies.get(name)
    if strategy is None:
        return
    asked = [place for place in places if place < strategy.n_items]
    found = strategy.triggers(context.query, np.array(asked, np.int32)) if asked else []
    known.update(((name, place), trigger) for place, trigger in zip(asked, found, strict=True))


def _speakers(contributions: Mapping[str, float]) -> list[str]:
    """Who may speak, in turn: the loudest first; but what the shopper did before what is popular, where together it gave more."""
    loudest = max(contributions.values(), default=0.0)
    audible = [name for name, given in contributions.items() if given >= SPEAKING_SHARE * loudest]
    audible.sort(key=lambda name: -contributions[name])
    popular = sum(contributions[name] for name in audible if name in POPULAR)
    if 2 * popular <= sum(contributions[name] for name in audible):
        audible.sort(key=lambda name: name in POPULAR)
    return audible


def _of_strategy(context: Context, place: int, name: str, triggers: _Triggers) -> Reason | None:
    if name in WITH_TRIGGER:
        return _triggered(context, place, name, triggers)
    if name in POPULAR:
        return standing_reason(context, place, name)
    match name:
        case "recently_viewed":
            return Reason("recently_viewed", _("You looked at this recently"), name)
        case "reminder":
            return Reason("reminder", _("You came back to this"), name)
        case "repurchase":
            return Reason("repurchase", _("You bought this before"), name)
        case "new":
            return _new(context, place)
        case "new_items":
            return _triggered(context, place, name, triggers) or _new(context, place, name)
        case "interests":
            return _interest(context, place)
    return None


def _triggered(context: Context, place: int, name: str, triggers: _Triggers) -> Reason | None:
    if (name, place) not in triggers:
        _ask(context, name, [place], triggers)
    trigger = triggers.get((name, place))
    if trigger is None or trigger.item == place:
        return None
    source = context.snapshot.assortment.products[trigger.item]
    return None if source is None else _sentence(context, name, trigger, source)


def _sentence(context: Context, name: str, trigger: Trigger, source: ShelfProduct) -> Reason:
    what = {"product": source.name}
    if name == "new_items":
        return _new_and_like(context, trigger, source)
    if name == "bought_together":
        return Reason("bought_together", _("Often bought with %(product)s") % what, name, source.external_id)
    if name == "viewed_next":
        return Reason("viewed_next", _("Often looked at after %(product)s") % what, name, source.external_id)
    if trigger.item == context.query.context_item:
        text = _("Similar to %(product)s") if name in LIKENESS else _("Liked by people who like %(product)s")
        return Reason("similar", text % what, name, source.external_id)
    if trigger.item in _touched(context)[0]:
        return Reason("cart", _("Goes well with %(product)s in your cart") % what, name, source.external_id)
    if _was_bought(context, trigger.item):
        return Reason("bought", _("Because you bought %(product)s") % what, name, source.external_id)
    return Reason("viewed", _("Because you viewed %(product)s") % what, name, source.external_id)


def _was_bought(context: Context, place: int) -> bool:
    return place in _touched(context)[1]


def _touched(context: Context) -> tuple[frozenset[int], frozenset[int]]:
    """What is in the cart, and what was bought."""
    query = context.query
    known: tuple[frozenset[int], frozenset[int]] | None = query.memo.get(_touched)
    if known is None:
        bought = query.items[query.purchased]
        known = query.memo[_touched] = frozenset(query.cart.tolist()), frozenset(bought.tolist())
    return known


def _new_and_like(context: Context, trigger: Trigger, source: ShelfProduct) -> Reason:
    what = {"product": source.name}
    if trigger.item == context.query.context_item:
        text = _("New, like %(product)s")
    elif trigger.item in _touched(context)[0]:
        text = _("New, goes with %(product)s in your cart")
    elif _was_bought(context, trigger.item):
        text = _("New, like %(product)s that you bought")
    else:
        text = _("New, like %(product)s that you viewed")
    return Reason("new_like", text % what, "new_items", source.external_id)


def _new(context: Context, place: int, strategy: str = "new") -> Reason:
    assortment, query = context.snapshot.assortment, context.query
    brand = assortment.brand[place]
    if brand >= 0 and (assortment.brand[query.items] == brand).any():
        name = assortment.product(place).brand_name
        text = _("New from %(brand)s, a brand you looked at") % {"brand": name}
        return Reason("new_in_brand", text, strategy)
    category = spoken(assortment.product(place).category_name)
    return Reason(
        "new",
        _("New in %(category)s") % {"category": category} if category else _("New in the shop"),
        strategy,
    )


def _interest(context: Context, place: int) -> Reason | None:
    product = context.snapshot.assortment.product(place)
    if not interest_matches(context)[place]:
        return None
    kinds = {kind for kind, _value in context.known.interests}
    is_category = "category" in kinds and product.category_name
    subject = spoken(product.category_name) if is_category else product.brand_name
    return Reason("interest", _("You told us that you like %(subject)s") % {"subject": subject}, "interests")


def standing_reason(context: Context, place: int, strategy: str = "popular") -> Reason:
    """ "Popular in Tents this week", where the figures bear it; else only what is certain."""
    assortment = context.snapshot.assortment
    category = spoken(assortment.product(place).category_name)
    if _is_popular(assortment, place):
        if not category:
            return Reason("popular", _("Popular in our shop"), strategy)
        if _is_of_this_week(context, place):
            return Reason(
                "popular", _("Popular in %(category)s this week") % {"category": category}, strategy
            )
        return Reason("popular", _("Popular in %(category)s") % {"category": category}, strategy)
    if context.now - assortment.published[place] < 6 * WEEK_SECONDS:
        return Reason(
            "new",
            _("New in %(category)s") % {"category": category} if category else _("New in the shop"),
            strategy,
        )
    return Reason(
        "assortment",
        _("From %(category)s") % {"category": category} if category else _("From our shop"),
        strategy,
    )


def _is_popular(assortment: Assortment, place: int) -> bool:
    """Among the first of its category, and in the upper half of it: not everything can be popular."""
    rank = int(assortment.standing.category_rank[place])
    size = _category_sizes(assortment.standing, assortment.category)[int(assortment.category[place])]
    return bool(assortment.standing.values[place] > 0) and rank <= min(POPULAR_RANKS, (size + 1) // 2)


_sizes: WeakKeyDictionary[Standing, dict[int, int]] = WeakKeyDictionary()


def _category_sizes(standing: Standing, category: Int32) -> dict[int, int]:
    known = _sizes.get(standing)
    if known is None:
        codes, counts = np.unique(category, return_counts=True)
        known = _sizes[standing] = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    return known


def _is_of_this_week(context: Context, place: int) -> bool:
    """Whether enough people did something with it in the seven days before what the model knows ends, no older than two days."""
    model = context.snapshot.model
    if model is None or context.now - model.known_until > FRESH_SECONDS:
        return False
    counts = people_of_week(model)
    return place < len(counts) and counts[place] >= POPULAR_PEOPLE
