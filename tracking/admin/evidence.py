"""From what a finding names to the pages that show it: `order:A-17` to the page of that order."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from accounts.current_store import may
from accounts.models import ApiKey, Customer, Store, Visitor
from accounts.permissions import Ability
from catalog.models import Product
from tracking.models import Event, Order, QuarantinedEvent

MOST_SHOWN: Final = 50


@dataclass(frozen=True)
class Noun:
    """How rows of a kind are found by what stands after the colon, and who may open their page."""

    label: str
    model: type[Model]
    field: str
    page: str
    ability: Ability
    parse: Callable[[str], Any] = str


NOUNS: Final[Mapping[str, Noun]] = {
    "order": Noun("Order", Order, "order_id", "admin:tracking_order_change", Ability.READ_SHOPPERS),
    "event": Noun("Event", Event, "pk", "admin:tracking_event_change", Ability.READ_SHOPPERS, uuid.UUID),
    "customer": Noun(
        "Customer", Customer, "pk", "admin:accounts_customer_change", Ability.READ_SHOPPERS, int
    ),
    "visitor": Noun("Visitor", Visitor, "pk", "admin:accounts_visitor_change", Ability.READ_SHOPPERS, int),
    "product": Noun("Product", Product, "external_id", "admin:catalog_product_change", Ability.READ_CATALOG),
    "api_key": Noun("API key", ApiKey, "pk", "admin:accounts_apikey_change", Ability.MANAGE_STORE, int),
    "quarantined_event": Noun(
        "Event in quarantine",
        QuarantinedEvent,
        "pk",
        "admin:tracking_quarantinedevent_change",
        Ability.READ_DATA_QUALITY,
        int,
    ),
}


@dataclass(frozen=True)
class Exhibit:
    """`url` is empty where the role may not open the page, or the row is gone."""

    label: str
    name: str
    url: str = ""
    is_gone: bool = False


def exhibits(request: HttpRequest, store: Store, references: Sequence[str]) -> list[Exhibit]:
    """In the order of `references`, at most MOST_SHOWN; one query per noun."""
    shown = [reference.partition(":")[::2] for reference in references[:MOST_SHOWN]]
    found = {noun: _rows(store, NOUNS[noun], ids) for noun, ids in _by_noun(shown).items() if noun in NOUNS}
    return [_exhibit(request, noun, value, found.get(noun, {})) for noun, value in shown]


def _by_noun(references: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for noun, value in references:
        grouped[noun].append(value)
    return grouped


def _rows(store: Store, noun: Noun, values: Iterable[str]) -> dict[str, Model]:
    wanted = {}
    for value in values:
        try:
            wanted[noun.parse(value)] = value
        except ValueError:
            continue
    rows = noun.model._default_manager.filter(store=store, **{f"{noun.field}__in": list(wanted)})
    return {wanted[getattr(row, noun.field)]: row for row in rows}


def _exhibit(request: HttpRequest, noun: str, value: str, rows: Mapping[str, Model]) -> Exhibit:
    known = NOUNS.get(noun)
    if known is None:
        return Exhibit(noun.replace("_", " ").capitalize(), value)
    row = rows.get(value)
    if row is None:
        return Exhibit(known.label, value, is_gone=True)
    url = reverse(known.page, args=[row.pk]) if may(request, known.ability) else ""
    return Exhibit(known.label, str(row) if may(request, known.ability) else value, url)
