"""The payments of the Brazilian e-commerce data set by Olist: Parquet, one row a payment, in real.

Payments are told for the orders of sample A only, without a date of their own: the approval's, else the purchase's, is
taken. Refunds are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from tracking.datasets.reader import UnreadableDataset, parquet_file, rows_of
from tracking.payments.settlement import (
    Kind,
    ReadOptions,
    Settlement,
    SettlementLine,
    SettlementNotes,
    UnreadableSettlement,
)

PROVIDER: Final = "olist"
_PAYMENTS: Final = {
    "order_id": "order",
    "payment_sequential": "number",
    "payment_type": "method",
    "payment_value_brl": "value",
}
_ORDERS: Final = {
    "order_id": "order",
    "sample": "sample",
    "purchase_time": "bought",
    "approved_time": "approved",
}
_ZONE: Final = ZoneInfo("America/Sao_Paulo")


def open_olist(path: Path, options: ReadOptions) -> Settlement:
    """`path`: the folder with `orders.parquet` and `order_payments.parquet`."""
    try:
        payments = parquet_file(path / "order_payments.parquet", _PAYMENTS)
        orders = parquet_file(path / "orders.parquet", _ORDERS)
    except UnreadableDataset as error:
        raise UnreadableSettlement(str(error)) from error
    told = {row["order"]: row for _, row in rows_of(orders, _ORDERS) if row["sample"] == "A"}

    def lines(notes: SettlementNotes) -> Iterator[SettlementLine]:
        for _, row in rows_of(payments, _PAYMENTS):
            yield SettlementLine(
                reference=f"{row['order']}:{row['number']}",
                kind=Kind.CHARGE,
                order_id=row["order"],
                amount_minor_units=round(row["value"] * 100),
                currency="BRL",
                settled_at=_moment(told[row["order"]]),
                method=row["method"],
            )

    return Settlement(
        options.provider or PROVIDER,
        int(payments.metadata.num_rows),
        lines,
        covers=frozenset(told),
        tells_refunds=False,
    )


def _moment(order: dict[str, Any]) -> datetime:
    moment: datetime = order["approved"] or order["bought"]
    return moment.replace(tzinfo=_ZONE)
