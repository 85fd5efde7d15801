"""What a reader of a settlement file gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from catalog.money import currency_digits
from tracking.ingestion.times import read_time
from tracking.models import SettledPayment

Kind = SettledPayment.Kind
Row = Mapping[str, str]
MAX_MINOR_UNITS: Final = 10**15


class UnreadableSettlement(ValueError):
    """The file is missing, or not what its format says. Says what is expected."""


class UnreadableRow(ValueError):
    """One row cannot be read; the message says which value, and why."""


@dataclass(frozen=True)
class SettlementLine:
    """A payment (amount above 0) or what went back (below), in minor units. `source` joins refunds to their payment.

    `order_id` is empty where the row does not say it.
    """

    reference: str
    kind: SettledPayment.Kind
    order_id: str
    amount_minor_units: int
    currency: str
    settled_at: datetime
    fee_minor_units: int = 0
    source: str = ""
    method: str = ""


@dataclass(frozen=True)
class BadRow:
    """`number` counts from 1, the header left out."""

    number: int
    reason: str


@dataclass
class SettlementNotes:
    """What was read and is no payment: payouts, fees and the like by their name, and rows that cannot be read."""

    other: dict[str, int] = field(default_factory=dict)
    bad_rows: list[BadRow] = field(default_factory=list)

    def pass_over(self, name: str) -> None:
        self.other[name] = self.other.get(name, 0) + 1


@dataclass(frozen=True)
class Settlement:
    """A file that is open. `lines` may be called once.

    `covers`: the orders that the file is complete for; None: all those of its period. `tells_refunds`: false where
    refunds do not stand in it, so that nothing can be said of them.
    """

    provider: str
    row_count: int | None
    lines: Callable[[SettlementNotes], Iterator[SettlementLine]]
    covers: frozenset[str] | None = None
    tells_refunds: bool = True


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read. `columns`: our name → its header, for what the header does not tell by itself."""

    currency: str
    zone: ZoneInfo
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ""
    decimal_mark: str = "."
    amounts: str = ""
    order_key: str = "order_id"
    provider: str = ""


class Opener(Protocol):
    def __call__(self, path: Path, options: ReadOptions) -> Settlement:
        """Raises UnreadableSettlement."""
        ...


def read_amount(text: str, currency: str, *, in_minor_units: bool = False, decimal_mark: str = ".") -> int:
    """`1,234.50` EUR → 123450; `1.234,50` with the mark `,`. Raises UnreadableRow."""
    grouping = "," if decimal_mark == "." else "."
    plain = text.strip().replace(grouping, "").replace(" ", "").replace("\u00a0", "").replace("'", "")
    plain = plain.replace(decimal_mark, ".").replace("\u2212", "-")
    try:
        amount = Decimal(plain)
        scaled = amount if in_minor_units else amount.scaleb(currency_digits(currency))
        if not scaled.is_finite() or abs(scaled) > MAX_MINOR_UNITS:
            raise InvalidOperation
    except InvalidOperation:
        raise UnreadableRow(f"{text!r} is no amount: expected a number like 1234{decimal_mark}50") from None
    return round(scaled)


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """Raises UnreadableRow."""
    try:
        moment = read_time(text.strip(), zone)
    except ValueError as error:
        raise UnreadableRow(f"{text!r} is no time: expected ISO 8601 like 2026-05-04 10:00") from error
    if moment is None:
        raise UnreadableRow("the time is missing")
    return moment.astimezone(UTC)


def read_currency(text: str, default: str) -> str:
    """Raises UnreadableRow."""
    currency = text.strip().upper() or default
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
        raise UnreadableRow(f"{text!r} is no currency: expected three letters (ISO 4217)")
    return currency


def cell(row: Mapping[str, Any], *names: str) -> str:
    """The first of the columns that holds something, without surrounding space; "" for none."""
    for name in names:
        value = str(row.get(name) or "").strip()
        if value:
            return value
    return ""
