"""Any other CSV file, told which of its columns is what."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tracking.payments.csv_rows import CsvFile, open_csv
from tracking.payments.settlement import (
    BadRow,
    Kind,
    ReadOptions,
    Row,
    Settlement,
    SettlementLine,
    SettlementNotes,
    UnreadableRow,
    UnreadableSettlement,
    cell,
    read_amount,
    read_currency,
    read_moment,
)

# Our name → headers that are taken for it where none is given.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "order_id": (
        "order_id",
        "order",
        "order id",
        "order number",
        "merchant reference",
        "invoice",
        "reference_id",
    ),
    "amount": ("amount", "value", "gross", "total", "amount_paid", "payment_value"),
    "currency": ("currency", "currency_code"),
    "settled_at": ("settled_at", "created", "created_at", "date", "time", "booking date", "paid_at"),
    "reference": ("reference", "id", "transaction_id", "transaction id", "payment_id", "psp reference"),
    "kind": ("kind", "type", "event", "record type"),
    "fee": ("fee", "fees", "commission"),
    "source": ("source", "original_id", "parent_id", "charge_id"),
    "method": ("method", "payment_method", "payment method", "payment_type"),
}
_NEEDED: Final = ("order_id", "amount", "settled_at")
_REFUNDS: Final = ("refund", "return", "credit", "reversal", "erstattung", "remboursement")
_DISPUTES: Final = ("dispute", "chargeback")
_PAYMENTS: Final = ("charge", "payment", "sale", "capture", "settled", "paid", "debit", "zahlung", "paiement")


def open_generic(path: Path, options: ReadOptions) -> Settlement:
    file = open_csv(path, options.delimiter)
    columns = _columns(file, options.columns)
    in_minor_units = options.amounts == "minor"

    def lines(notes: SettlementNotes) -> Iterator[SettlementLine]:
        alike: Counter[str] = Counter()
        for number, row in file.rows():
            named = {name: row.get(header, "") for name, header in columns.items()}
            try:
                line = _line(named, options, in_minor_units, alike, notes)
            except UnreadableRow as error:
                notes.bad_rows.append(BadRow(number, str(error)))
                continue
            if line is not None:
                yield line

    return Settlement(options.provider or "generic", file.row_count, lines)


def _columns(file: CsvFile, given: Mapping[str, str]) -> dict[str, str]:
    """Our name → its header. Raises UnreadableSettlement for a header that is not there, or a needed one missing."""
    if unknown := set(given) - set(COLUMNS):
        raise UnreadableSettlement(
            f"There is no column {', '.join(sorted(unknown))}: name one of {', '.join(COLUMNS)}."
        )
    found = {}
    for name, usual in COLUMNS.items():
        if name in given:
            header = given[name].strip().lower()
            if header not in file.headers:
                raise UnreadableSettlement(
                    f"{file.path.name} has no column {given[name]!r}. It has: {', '.join(file.headers)}."
                )
            found[name] = header
        elif match := next((header for header in usual if header in file.headers), None):
            found[name] = match
    if missing := [name for name in _NEEDED if name not in found]:
        raise UnreadableSettlement(
            f"{file.path.name} does not say {', '.join(missing)}. It has the columns {', '.join(file.headers)}: name them like "
            f'--column {missing[0]}="…".'
        )
    return found


def _line(
    row: Row, options: ReadOptions, in_minor_units: bool, alike: Counter[str], notes: SettlementNotes
) -> SettlementLine | None:
    currency = read_currency(cell(row, "currency"), options.currency)

    def amount_of(name: str) -> int:
        return read_amount(
            cell(row, name), currency, in_minor_units=in_minor_units, decimal_mark=options.decimal_mark
        )

    amount = amount_of("amount")
    kind = _kind(cell(row, "kind").lower(), amount)
    if kind is None:
        notes.pass_over(cell(row, "kind").lower())
        return None
    if kind != Kind.CHARGE:
        amount = -abs(amount)
    return SettlementLine(
        reference=(cell(row, "reference") or _made_reference(row, alike))[:120],
        kind=kind,
        order_id=cell(row, "order_id")[:120],
        amount_minor_units=amount,
        currency=currency,
        settled_at=read_moment(cell(row, "settled_at"), options.zone),
        fee_minor_units=amount_of("fee") if cell(row, "fee") else 0,
        source=cell(row, "source")[:120],
        method=cell(row, "method")[:40],
    )


def _kind(told: str, amount: int) -> Kind | None:
    """By the word of the file, else by the sign; None for a word that is neither a payment nor money back."""
    if not told:
        return Kind.CHARGE if amount >= 0 else Kind.REFUND
    for words, kind in ((_DISPUTES, Kind.DISPUTE), (_REFUNDS, Kind.REFUND), (_PAYMENTS, Kind.CHARGE)):
        if any(word in told for word in words):
            return kind if amount >= 0 or kind != Kind.CHARGE else Kind.REFUND
    return None


def _made_reference(row: Row, alike: Counter[str]) -> str:
    """Of the content, and of how many the same came before: two payments alike are two, the file read again is none."""
    content = hashlib.sha256(
        "\x1f".join(f"{name}={row[name].strip()}" for name in sorted(row)).encode()
    ).hexdigest()
    alike[content] += 1
    return f"row-{content[:40]}-{alike[content]}"
