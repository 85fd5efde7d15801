"""Stripe: the export of balance transactions, the itemised balance report, and the objects of its API as a table.

Three shapes of the same rows, told apart by their header:

- export of the dashboard: `id, Type, Source, Amount, Fee, Net, Currency, Created (UTC), Available On (UTC),
  Description, …, order_id (metadata)`, in units of the currency;
- report `balance_change_from_activity.itemized.*`: `balance_transaction_id, created_utc, created, available_on_utc,
  currency, gross, fee, net, reporting_category, source_id, description, customer_facing_amount,
  customer_facing_currency, charge_id, payment_intent_id, payment_metadata[order_id]`, in units of the currency;
- balance transactions of the API: `id, type, source, amount, fee, net, currency, created, available_on,
  reporting_category, description`, in minor units.

Sources: docs.stripe.com/api/balance_transactions/object, docs.stripe.com/reports/report-types/balance.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

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

PROVIDER: Final = "stripe"
# Values of `type` and of `reporting_category`, which is the newer word for the same.
_KINDS: Final = {
    "charge": Kind.CHARGE,
    "payment": Kind.CHARGE,
    "charge_failure": Kind.REFUND,
    "refund": Kind.REFUND,
    "refund_failure": Kind.REFUND,
    "payment_refund": Kind.REFUND,
    "payment_failure_refund": Kind.REFUND,
    "payment_reversal": Kind.REFUND,
    "partial_capture_reversal": Kind.REFUND,
    "dispute": Kind.DISPUTE,
    "dispute_reversal": Kind.DISPUTE,
}
_REFERENCE: Final = ("balance_transaction_id", "id")
_CATEGORY: Final = ("reporting_category", "type")
_GROSS: Final = ("gross", "amount")
_CREATED_UTC: Final = ("created_utc", "created (utc)")
_CREATED: Final = (*_CREATED_UTC, "created")


def open_stripe(path: Path, options: ReadOptions) -> Settlement:
    file = open_csv(path, options.delimiter)
    missing = [
        " or ".join(names)
        for names in (_REFERENCE, _CATEGORY, _GROSS, ("currency",), _CREATED)
        if not set(names) & set(file.headers)
    ]
    if missing:
        raise UnreadableSettlement(
            f"{path.name} is no export of Stripe's balance transactions: it lacks {', '.join(missing)}. For other "
            "shapes use --format generic with --column."
        )
    in_minor_units = options.amounts == "minor" if options.amounts else _is_in_minor_units(file)

    def lines(notes: SettlementNotes) -> Iterator[SettlementLine]:
        for number, row in file.rows():
            try:
                line = _line(row, options, in_minor_units, notes)
            except UnreadableRow as error:
                notes.bad_rows.append(BadRow(number, str(error)))
                continue
            if line is not None:
                yield line

    return Settlement(options.provider or PROVIDER, file.row_count, lines)


def _is_in_minor_units(file: CsvFile) -> bool:
    """The API's shape has whole numbers only; the exports have a decimal point in every amount but those of yen."""
    if "gross" in file.headers or "created (utc)" in file.headers:
        return False
    return all("." not in cell(row, *_GROSS) for _, row in file.rows())


def _line(
    row: Row, options: ReadOptions, in_minor_units: bool, notes: SettlementNotes
) -> SettlementLine | None:
    category = cell(row, *_CATEGORY).lower()
    kind = _KINDS.get(category)
    if kind is None:
        notes.pass_over(category or "(no type)")
        return None
    reference = cell(row, *_REFERENCE)
    if not reference:
        raise UnreadableRow("the id of the balance transaction is missing")
    settled_in = read_currency(cell(row, "currency"), options.currency)
    currency, amount = _what_the_shopper_saw(row, settled_in, in_minor_units)
    fee = cell(row, "fee")
    return SettlementLine(
        reference=reference[:120],
        kind=kind,
        order_id=_order_id(row, options.order_key),
        amount_minor_units=amount,
        currency=currency,
        settled_at=_created(row, options),
        fee_minor_units=read_amount(fee, settled_in, in_minor_units=in_minor_units) if fee else 0,
        source=cell(row, "charge_id", "payment_intent_id", "source_id", "source")[:120],
        method=cell(row, "payment_method_type", "card_brand")[:40],
    )


def _created(row: Row, options: ReadOptions) -> datetime:
    """Columns in UTC say so; the report's plain `created` is in the zone that it was asked for in."""
    in_utc = cell(row, *_CREATED_UTC)
    return read_moment(in_utc, ZoneInfo("UTC")) if in_utc else read_moment(cell(row, "created"), options.zone)


def _what_the_shopper_saw(row: Row, settled_in: str, in_minor_units: bool) -> tuple[str, int]:
    """A payment in another currency is settled in ours: what counts is the order's own."""
    seen, seen_currency = (
        cell(row, "customer_facing_amount", "customer facing amount"),
        cell(row, "customer_facing_currency", "customer facing currency"),
    )
    amount = read_amount(cell(row, *_GROSS), settled_in, in_minor_units=in_minor_units)
    if not (seen and seen_currency) or read_currency(seen_currency, settled_in) == settled_in:
        return settled_in, amount
    currency = read_currency(seen_currency, settled_in)
    # Exports give the amount of a refund with and without its sign.
    facing = abs(read_amount(seen, currency, in_minor_units=in_minor_units))
    return currency, -facing if amount < 0 else facing


def _order_id(row: Row, key: str) -> str:
    key = key.lower()
    return cell(
        row,
        f"{key} (metadata)",
        f"payment_metadata[{key}]",
        f"charge_metadata[{key}]",
        f"refund_metadata[{key}]",
        f"metadata[{key}]",
        key,
    )[:120]
