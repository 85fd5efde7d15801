"""Olist: orders of a Brazilian marketplace, 2016 to 2018 (Olist, "Brazilian E-Commerce Public Dataset", CC BY-NC-SA 4.0).

Read from a folder of Parquet files. A person is a `customer_unique_id`. An order is told with its items, its freight as
shipping, and, where the payments are in the extract (sample A), with every way in which it was paid. Cancelled orders
are told as cancelled. An order without items, mostly of goods that were not there, is no order that anything can be
learned from: it goes to the quarantine. `reconcile_payments --format olist` compares the same folder's payments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from catalog.services import ProductInput
from tracking.datasets.reader import (
    RejectedRow,
    Row,
    RowReason,
    RowTally,
    StoreFacts,
    UnreadableDataset,
    median,
    parquet_file,
    rows_of,
)

_ORDERS: Final = {
    "order_id": "order",
    "customer_id": "customer",
    "status": "status",
    "purchase_time": "time",
    "approved_time": "approved",
}
_ITEMS: Final = {
    "order_id": "order",
    "order_item_id": "number",
    "product_id": "product",
    "price_brl": "price",
    "freight_brl": "freight",
}
_PAYMENTS: Final = {
    "order_id": "order",
    "payment_sequential": "number",
    "payment_type": "method",
    "payment_installments": "instalments",
    "payment_value_brl": "value",
}
_CUSTOMERS: Final = {"customer_id": "customer", "customer_unique_id": "person"}
_PRODUCTS: Final = {"product_id": "product", "category_en": "category"}
_FILES: Final = ("orders", "order_items", "order_payments", "customers", "products")
_ZONE: Final = ZoneInfo("America/Sao_Paulo")

STORE: Final = StoreFacts("olist", "Olist", "BRL", "BR", "America/Sao_Paulo")


@dataclass
class Olist:
    folder: Path
    orders: pq.ParquetFile
    name: str = "olist"
    store: StoreFacts = STORE

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """`path`: the folder with the Parquet files. Raises UnreadableDataset."""
        if path is None:
            raise UnreadableDataset("Say where the data is: import_dataset olist FOLDER.")
        missing = [name for name in _FILES if not (path / f"{name}.parquet").is_file()]
        if missing:
            raise UnreadableDataset(f"{path} lacks {', '.join(f'{name}.parquet' for name in missing)}.")
        return cls(path, parquet_file(path / "orders.parquet", _ORDERS))

    def __post_init__(self) -> None:
        self._items = self._grouped("order_items", _ITEMS)
        self._payments = self._grouped("order_payments", _PAYMENTS)
        self._people = {
            row["customer"]: row["person"]
            for _, row in rows_of(self._file("customers", _CUSTOMERS), _CUSTOMERS)
        }

    @property
    def row_count(self) -> int:
        return int(self.orders.metadata.num_rows)

    def products(self, progress: Callable[[int], object]) -> Iterable[ProductInput]:
        """What was sold; they have no names, only categories."""
        prices: dict[str, Counter[int]] = defaultdict(Counter)
        first_sold: dict[str, datetime] = {}
        for _, order in rows_of(self.orders, _ORDERS):
            progress(1)
            for item in self._items.get(order["order"], ()):
                prices[item["product"]][_cents(item["price"])] += 1
                known = first_sold.setdefault(item["product"], order["time"])
                first_sold[item["product"]] = min(known, order["time"])
        categories = {
            row["product"]: row["category"]
            for _, row in rows_of(self._file("products", _PRODUCTS), _PRODUCTS)
        }
        for product in sorted(prices):
            yield _product(product, categories.get(product), median(prices[product]), first_sold[product])

    def people(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def messages(
        self, tally: RowTally, reject: Callable[[RejectedRow], object], progress: Callable[[int], object]
    ) -> Iterator[dict[str, Any]]:
        """`tally.sold` counts orders, as the rows of the file are orders."""
        for number, order in rows_of(self.orders, _ORDERS):
            progress(1)
            person = self._people.get(order["customer"], "")
            items = self._items.get(order["order"])
            if not items:
                tally.rejected[RowReason.ORDER_WITHOUT_ITEMS] += 1
                detail = f"The order has no items; it is {order['status']}."
                reject(RejectedRow(number, RowReason.ORDER_WITHOUT_ITEMS, detail, order, person))
                continue
            tally.sold += 1
            yield self._completed(order, items, person)
            if order["status"] == "canceled":
                yield self._cancelled(order, person)

    def _file(self, name: str, columns: Iterable[str]) -> pq.ParquetFile:
        return parquet_file(self.folder / f"{name}.parquet", columns)

    def _grouped(self, name: str, columns: Mapping[str, str]) -> dict[str, list[Row]]:
        grouped: dict[str, list[Row]] = defaultdict(list)
        for _, row in rows_of(self._file(name, columns), columns):
            grouped[row["order"]].append(row)
        for rows in grouped.values():
            rows.sort(key=lambda row: row["number"])
        return dict(grouped)

    def _completed(self, order: Row, items: list[Row], person: str) -> dict[str, Any]:
        goods = sum(_cents(item["price"]) for item in items)
        freight = sum(_cents(item["freight"]) for item in items)
        properties: dict[str, Any] = {
            "order_id": order["order"],
            "currency": self.store.currency,
            "subtotal": goods / 100,
            "shipping": freight / 100,
            "total": (goods + freight) / 100,
            "products": _lines(items),
        }
        payments = self._payments.get(order["order"])
        if payments:
            properties["payments"] = [
                {"method": row["method"], "amount": row["value"], "instalments": row["instalments"]}
                for row in payments
            ]
        return _message("Order Completed", order, order["time"], person, properties)

    def _cancelled(self, order: Row, person: str) -> dict[str, Any]:
        at = max(order["approved"] or order["time"], order["time"]) + timedelta(seconds=1)
        return _message("Order Cancelled", order, at, person, {"order_id": order["order"]})


def _lines(items: list[Row]) -> list[dict[str, Any]]:
    """One a product and price: in the file every unit is a row of its own."""
    units: Counter[tuple[str, int]] = Counter((item["product"], _cents(item["price"])) for item in items)
    return [
        {"product_id": product, "quantity": quantity, "price": cents / 100}
        for (product, cents), quantity in units.items()
    ]


def _message(event: str, order: Row, at: datetime, person: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "messageId": f"olist:{event.rpartition(' ')[2].lower()}:{order['order']}",
        "timestamp": at.replace(tzinfo=_ZONE),
        "userId": person,
        "properties": properties,
    }


def _cents(value: float) -> int:
    return round(value * 100)


def _product(product: str, category: str | None, price: int, first_sold: datetime) -> ProductInput:
    name = (category or "product").replace("_", " ").capitalize()
    return ProductInput(
        external_id=product,
        name=f"{name} {product[:6]}",
        price_minor_units=price,
        currency=STORE.currency,
        category=(name,) if category else (),
        published_at=first_sold.replace(tzinfo=_ZONE),
    )
