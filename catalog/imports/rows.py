"""A row of a product file to a product. Column names are ours or those of the common shopping feeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils.dateparse import parse_date, parse_datetime

from catalog.imports.formats import Row
from catalog.money import MAX_MINOR_UNITS, to_minor_units
from catalog.services import ProductInput

T = TypeVar("T")

# Column of a feed → our name.
ALIASES: Final = {
    "id": "external_id",
    "product_id": "external_id",
    "title": "name",
    "product_type": "category",
    "quantity": "stock",
    "item_group_id": "variant_group",
    "image_link": "image_url",
    "image": "image_url",
    "link": "url",
    "active": "is_active",
    "compare_at_price": "list_price",
}
COLUMNS: Final = frozenset(
    {
        "external_id", "name", "price", "currency", "sku", "description", "category", "brand", "list_price", "sale_price", "cost",
        "stock", "availability", "attributes", "tags", "variant_group", "image_url", "url", "is_active", "published_at",
    }
)  # fmt: skip
ATTRIBUTE_PREFIX: Final = "attribute:"
_TEXT_LENGTHS: Final = {
    "external_id": 120,
    "name": 250,
    "sku": 120,
    "brand": 120,
    "variant_group": 120,
    "image_url": 500,
    "url": 500,
}
_DESCRIPTION_LENGTH: Final = 20_000
_MAX_STOCK: Final = 2_147_483_647
_YES: Final = {"1", "true", "yes", "y", "active"}
_NO: Final = {"0", "false", "no", "n", "inactive"}
_check_url = URLValidator(schemes=["http", "https"])


def _is_storable(text: str) -> bool:
    """PostgreSQL takes neither NUL nor half of a surrogate pair, both of which JSON can spell."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class BadRow(ValueError):
    """{column: what is wrong with it}"""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{column}: {problem}" for column, problem in problems.items()))
        self.problems = problems


def product_of(row: Row, *, default_currency: str) -> ProductInput:
    """Raises BadRow naming every column that is wrong, not just the first."""
    return _Reader(_named(row), default_currency).read()


def _named(row: Row) -> Row:
    named: Row = {}
    problems = {}
    for column, value in row.items():
        name = column.strip().lower().removeprefix("g:")
        name = ALIASES.get(name, name)
        if name not in COLUMNS and not name.startswith(ATTRIBUTE_PREFIX):
            problems[column] = f"unknown column. Known: {', '.join(sorted(COLUMNS))}, {ATTRIBUTE_PREFIX}…"
        elif name in named:
            problems[column] = f"stands for {name}, which another column gives already."
        named[name] = value
    if problems:
        raise BadRow(problems)
    return named


class _Reader:
    def __init__(self, row: Row, default_currency: str) -> None:
        self.row = row
        self.problems: dict[str, str] = {}
        self.currency = self._currency(default_currency)

    def read(self) -> ProductInput:
        price, list_price = self._prices()
        values: dict[str, Any] = {name: self._text(name, length) for name, length in _TEXT_LENGTHS.items()}
        for name in ("external_id", "name"):
            if not values[name] and name not in self.problems:
                self.problems[name] = "is missing."
        product = ProductInput(
            **values,
            price_minor_units=price or 0,
            list_price_minor_units=list_price,
            cost_minor_units=self._amount("cost"),
            currency=self.currency,
            description=self._text("description", _DESCRIPTION_LENGTH),
            category=self._attempt("category", self._category, ()),
            stock=self._attempt("stock", self._stock, None),
            attributes=self._attempt("attributes", self._attributes, {}),
            tags=self._attempt("tags", self._tags, ()),
            is_active=self._attempt("is_active", self._is_active, True),
            published_at=self._attempt("published_at", self._published_at, None),
        )
        for name in ("url", "image_url"):
            self._attempt(name, partial(self._url, values[name]), None)
        if self.problems:
            raise BadRow(self.problems)
        return product

    def _attempt(self, column: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except ValueError as error:
            self.problems.setdefault(column, str(error))
            return otherwise

    def _text(self, column: str, length: int) -> str:
        value = self.row.get(column)
        if value is None:
            return ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            self.problems[column] = "is not a text."
            return ""
        value = value.strip()
        if not _is_storable(value):
            self.problems[column] = (
                "has a character in it that cannot be stored (NUL or half a surrogate pair)."
            )
        elif len(value) > length:
            self.problems[column] = f"has {len(value)} characters; {length} at most."
        else:
            return value
        return ""

    def _currency(self, default: str) -> str:
        given = self._text("currency", 3).upper()
        # Shopping feeds write "19.99 EUR".
        in_price = str(self.row.get("price") or "").strip()[-3:].upper()
        currency = given or (in_price if in_price.isalpha() else default)
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            self.problems["currency"] = f"{currency!r} is not an ISO 4217 code such as EUR."
            return default
        return currency

    def _prices(self) -> tuple[int | None, int | None]:
        price, list_price, sale_price = (
            self._amount("price"),
            self._amount("list_price"),
            self._amount("sale_price"),
        )
        if price is None and "price" not in self.problems:
            self.problems["price"] = "is missing."
        if sale_price is not None:
            return sale_price, price
        return price, list_price

    def _amount(self, column: str) -> int | None:
        value = self.row.get(column)
        if value is None or value == "":
            return None
        text = str(value).strip()
        if text[-3:].upper() == self.currency:
            text = text[:-3].strip()
        try:
            amount = to_minor_units(text, self.currency)
        except ValueError as error:
            self.problems[column] = str(error)
            return None
        if not 0 <= amount <= MAX_MINOR_UNITS:
            self.problems[column] = f"{text} is out of range: 0 to {MAX_MINOR_UNITS} minor units."
            return None
        return amount

    def _category(self) -> tuple[str, ...]:
        value = self.row.get("category")
        if not value:
            return ()
        parts = value if isinstance(value, list) else str(value).replace(">", "/").split("/")
        names = tuple(str(part).strip() for part in parts if str(part).strip())
        if len(names) > 6 or any(len(name) > 80 or not _is_storable(name) for name in names):
            raise ValueError("at most 6 levels of at most 80 characters: Camping > Tents.")
        return names

    def _stock(self) -> int | None:
        value = self.row.get("stock")
        if value is None or value == "":
            return self._availability()
        try:
            stock = int(str(value))
        except ValueError:
            raise ValueError(f"{value!r} is not a whole number; empty: not tracked.") from None
        if not -_MAX_STOCK <= stock <= _MAX_STOCK:
            raise ValueError(f"{stock} is out of range.")
        return stock

    def _availability(self) -> int | None:
        value = str(self.row.get("availability") or "").strip().lower().replace(" ", "_")
        if value in {"", "in_stock", "preorder", "backorder"}:
            return None
        if value == "out_of_stock":
            return 0
        raise ValueError(f"availability {value!r} is neither in_stock nor out_of_stock.")

    def _attributes(self) -> dict[str, Any]:
        value = self.row.get("attributes") or {}
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise ValueError(f"is not JSON: {error.msg}.") from error
        if not isinstance(value, dict):
            raise ValueError('is not an object such as {"colour": "red"}.')
        columns = {
            name[len(ATTRIBUTE_PREFIX) :]: text
            for name, text in self.row.items()
            if name.startswith(ATTRIBUTE_PREFIX) and text
        }
        attributes = {**value, **columns}
        if not _is_storable(json.dumps(attributes, ensure_ascii=False)) or "\\u0000" in json.dumps(
            attributes
        ):
            raise ValueError("has a character in it that cannot be stored (NUL or half a surrogate pair).")
        return attributes

    def _tags(self) -> tuple[str, ...]:
        value = self.row.get("tags") or []
        parts = value if isinstance(value, list) else str(value).replace("|", ",").split(",")
        tags = tuple(dict.fromkeys(str(part).strip().lower() for part in parts if str(part).strip()))
        if any(len(tag) > 60 or not _is_storable(tag) for tag in tags):
            raise ValueError("at most 60 characters a tag.")
        return tags

    def _is_active(self) -> bool:
        value = str(self.row.get("is_active", "")).strip().lower()
        if value in _YES or value == "":
            return True
        if value in _NO:
            return False
        raise ValueError(f"{value!r} is neither yes nor no.")

    def _published_at(self) -> datetime | None:
        value = self.row.get("published_at")
        if not value:
            return None
        moment = parse_datetime(str(value))
        if moment is None and (day := parse_date(str(value))) is not None:
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if moment is None:
            raise ValueError(f"{value!r} is not a date such as 2026-03-01 or 2026-03-01T08:00:00Z.")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _url(self, value: str) -> None:
        # A path of the shop's own is fine; anything with a scheme must be http(s), or the page would run it.
        if value and not (value.startswith("/") and not value.startswith("//")):
            try:
                _check_url(value)
            except ValidationError:
                raise ValueError(f"{value!r} is neither an http(s) address nor a path.") from None
