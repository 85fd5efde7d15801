"""The properties of an event of the vocabulary: present, and of a sensible kind and size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf, isfinite
from typing import Any, Final

from tracking.ingestion.drafts import Reason
from tracking.ingestion.limits import MAX_PRODUCT_ID_LENGTH, MAX_PRODUCT_LINES
from tracking.ingestion.messages import as_text
from tracking.normalising import ORDER_AMOUNTS, currency_code
from tracking.vocabulary import Rule

_LARGEST_AMOUNT: Final = 1e12
_LARGEST_QUANTITY: Final = 1e9  # what the table of lines can hold
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Faulty(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def product_id_of(properties: Mapping[str, Any]) -> str:
    """`product_id`, else `sku`, as text; "" for none."""
    return as_text(properties.get("product_id")) or as_text(properties.get("sku"))


def is_usable_id(identifier: str) -> bool:
    """Whether it can be the id of a product or an order: short, and without line breaks and other control
    characters."""
    return 0 < len(identifier) <= MAX_PRODUCT_ID_LENGTH and (
        identifier.isprintable() or _CONTROL.search(identifier) is None
    )


def check_properties(properties: Mapping[str, Any], rule: Rule | None) -> str:
    """The id of the product that the event is about, "" for none. Raises Faulty where the rule of its event
    does not hold."""
    product_id = product_id_of(properties)
    if rule is None:
        return product_id if is_usable_id(product_id) else ""
    if rule.product:
        if not product_id:
            raise Faulty(Reason.MISSING_PRODUCT_ID, "`properties.product_id` (or `sku`) is missing.")
        if not is_usable_id(product_id):
            raise Faulty(
                Reason.INVALID_PRODUCT_ID,
                f"A product id has at most {MAX_PRODUCT_ID_LENGTH} printable characters.",
            )
        _check_line(properties, "properties")
    if rule.query and not isinstance(properties.get("query"), str):
        raise Faulty(Reason.MISSING_QUERY, "`properties.query` must be the words that were searched for.")
    if rule.product_lines:
        _check_lines(properties.get("products"), rule.needs_product_lines)
    if rule.order:
        _check_order(properties)
    return product_id if is_usable_id(product_id) else ""


def _check_order(properties: Mapping[str, Any]) -> None:
    order_id = as_text(properties.get("order_id"))
    if not is_usable_id(order_id):
        raise Faulty(
            Reason.MISSING_ORDER_ID,
            f"`properties.order_id` must be an id of at most {MAX_PRODUCT_ID_LENGTH} characters.",
        )
    for key in ORDER_AMOUNTS:
        check_amount(properties.get(key), f"properties.{key}")
    currency = properties.get("currency")
    if currency is not None:
        _check_currency(currency)
    for name, field in (("products", "discount"), ("payments", "amount")):
        _check_sizes(properties.get(name), field, f"properties.{name}")


def _check_sizes(rows: Any, field: str, where: str) -> None:
    """What is no number counts as none in an order, and may be of either sign; but no table holds one beyond
    all amounts."""
    for position, row in enumerate(rows if isinstance(rows, list) else ()):
        value = row.get(field) if isinstance(row, dict) else None
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            continue
        try:
            size = abs(float(value))
        except ValueError:
            continue
        except OverflowError:  # an integer of more than 308 digits
            size = inf
        if not size <= _LARGEST_AMOUNT:
            raise Faulty(
                Reason.INVALID_AMOUNT,
                f"`{where}[{position}].{field}` is {str(value)[:40]}: not beyond a trillion, please.",
            )


def _check_currency(currency: Any) -> None:
    """After the normalising: what is no code now is no currency, or may be several."""
    if not isinstance(currency, str):
        raise Faulty(Reason.INVALID_CURRENCY, "`properties.currency` must be a code such as EUR (ISO 4217).")
    try:
        currency_code(currency, "")
    except ValueError as error:
        raise Faulty(Reason.INVALID_CURRENCY, f"`properties.currency`: {error}") from error


def _check_lines(lines: Any, are_needed: bool) -> None:
    if lines is None and not are_needed:
        return
    if not isinstance(lines, list) or (are_needed and not lines):
        raise Faulty(Reason.INVALID_PRODUCTS, "`properties.products` must be a list of products.")
    if len(lines) > MAX_PRODUCT_LINES:
        raise Faulty(
            Reason.INVALID_PRODUCTS,
            f"`properties.products` has {len(lines)} entries; {MAX_PRODUCT_LINES} at most.",
        )
    for position, line in enumerate(lines):
        where = f"properties.products[{position}]"
        product_id = product_id_of(line) if isinstance(line, dict) else ""
        if not is_usable_id(product_id):
            raise Faulty(Reason.INVALID_PRODUCTS, f"`{where}` has no usable `product_id`.")
        _check_line(line, where)


def _check_line(line: Mapping[str, Any], where: str) -> None:
    if (price := line.get("price")) is not None:
        check_amount(price, f"{where}.price")
    if (quantity := line.get("quantity")) is not None:
        check_amount(quantity, f"{where}.quantity")
        if float(quantity) > _LARGEST_QUANTITY:
            raise Faulty(
                Reason.INVALID_AMOUNT, f"`{where}.quantity` is {quantity}: not beyond a milliard, please."
            )


def check_amount(value: Any, where: str) -> None:
    """A number, or a number as text, from 0 to a trillion; None passes. Raises Faulty."""
    if value is None:
        return
    if isinstance(value, str):
        # Exactly what PostgreSQL reads as a number too.
        if not _NUMBER.fullmatch(value):
            raise Faulty(Reason.INVALID_AMOUNT, f"`{where}` is {value[:40]!r}, not a number like 19.99.")
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Faulty(Reason.INVALID_AMOUNT, f"`{where}` must be a number.")
    if not isfinite(value) or not 0 <= value <= _LARGEST_AMOUNT:
        raise Faulty(
            Reason.INVALID_AMOUNT, f"`{where}` is {value}: neither negative nor beyond a trillion, please."
        )
