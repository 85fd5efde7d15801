"""UCI Online Retail: invoices of a British gift shop, December 2010 to December 2011 (Daqing Chen, 2015, CC BY 4.0).

An invoice is an order; one whose number begins with C takes goods back and becomes refunds of the orders in which the
customer had bought them, the latest purchase first. Invoices without a customer are kept as orders of nobody known.
Postage, fees, vouchers and samples are no products; lines without a price are corrections of the stock.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from catalog.services import ProductInput
from tracking.datasets.reader import (
    MAX_ORDER_LINES,
    OpenGroups,
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

_COLUMNS: Final = {
    "invoice_no": "invoice",
    "stock_code": "code",
    "description": "description",
    "quantity": "quantity",
    "invoice_time": "time",
    "unit_price_gbp": "price",
    "customer_id": "customer",
    "country": "country",
}
_PRODUCT_CODE: Final = re.compile(r"\d{5}[A-Za-z]{0,2}|DCGS[0-9A-Z]+")
_COUNTRIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR", "Canada": "CA", "Cyprus": "CY",
        "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE", "Finland": "FI", "France": "FR", "Germany": "DE", "Greece": "GR",
        "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL", "Italy": "IT", "Japan": "JP", "Lebanon": "LB", "Lithuania": "LT",
        "Malta": "MT", "Netherlands": "NL", "Norway": "NO", "Poland": "PL", "Portugal": "PT", "RSA": "ZA", "Saudi Arabia": "SA",
        "Singapore": "SG", "Spain": "ES", "Sweden": "SE", "Switzerland": "CH", "USA": "US", "United Arab Emirates": "AE",
        "United Kingdom": "GB",
    }
)  # fmt: skip
_ZONE: Final = ZoneInfo("Europe/London")
_SAME_INVOICE: Final = timedelta(minutes=15)
_UNMATCHED: Final = (
    RowReason.REFUND_WITHOUT_PURCHASE,
    "No earlier purchase of as many by this customer is in the file.",
)


@dataclass(slots=True)
class _Purchase:
    """What a customer bought of a product in one order, and has not given back."""

    order_id: str
    quantity: int
    price: float


STORE: Final = StoreFacts("online-retail", "Online Retail", "GBP", "GB", "Europe/London")


@dataclass
class OnlineRetail:
    path: Path
    file: pq.ParquetFile
    name: str = "online_retail"
    store: StoreFacts = STORE

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """`path`: the Parquet file, or the folder with `transactions.parquet`. Raises UnreadableDataset."""
        if path is None:
            raise UnreadableDataset("Say where the data is: import_dataset online_retail PATH.")
        file = path / "transactions.parquet" if path.is_dir() else path
        return cls(file, parquet_file(file, _COLUMNS))

    def __post_init__(self) -> None:
        self._countries: dict[str, str] = {}

    @property
    def row_count(self) -> int:
        return int(self.file.metadata.num_rows)

    def products(self, progress: Callable[[int], object]) -> Iterable[ProductInput]:
        prices: dict[str, Counter[int]] = defaultdict(Counter)
        names: dict[str, Counter[str]] = defaultdict(Counter)
        first_sold: dict[str, datetime] = {}
        for _, row in rows_of(self.file, _COLUMNS):
            progress(1)
            if row["customer"] is not None and (country := _COUNTRIES.get(row["country"])):
                self._countries[str(row["customer"])] = country
            if _fault(row) is not None or row["quantity"] < 0:
                continue
            code = row["code"].upper()
            prices[code][_pence(row["price"])] += 1
            first_sold.setdefault(code, row["time"])
            if row["description"]:
                names[code][row["description"].strip()] += 1
        for code in sorted(prices):
            yield _product(code, median(prices[code]), names[code], first_sold[code])

    def people(self) -> Mapping[str, Mapping[str, Any]]:
        return {customer: {"country": country} for customer, country in self._countries.items()}

    def messages(
        self, tally: RowTally, reject: Callable[[RejectedRow], object], progress: Callable[[int], object]
    ) -> Iterator[dict[str, Any]]:
        bought: dict[tuple[str, str], list[_Purchase]] = defaultdict(list)
        lines: Counter[str] = Counter()
        orders: OpenGroups[Row] = OpenGroups(_SAME_INVOICE)
        refunds: OpenGroups[tuple[Row, str, int, float]] = OpenGroups(_SAME_INVOICE)
        for number, row in rows_of(self.file, _COLUMNS):
            progress(1)
            for order_id, members in orders.completed(row["time"]):
                yield self._order(order_id, members)
            for refund_id, parts in refunds.completed(row["time"]):
                yield self._refund(refund_id, parts)
            fault = _fault(row)
            customer = "" if row["customer"] is None else str(row["customer"])
            given_back = None
            if fault is None and _is_return(row):
                purchases = bought[customer, row["code"].upper()] if customer else []
                given_back = _give_back(purchases, -row["quantity"])
                fault = _UNMATCHED if given_back is None else None
            if fault is not None:
                tally.rejected[fault[0]] += 1
                reject(RejectedRow(number, fault[0], fault[1], row, customer))
            elif given_back is not None:
                tally.refunded += 1
                for order_id, quantity, price in given_back:
                    refunds.add(f"{row['invoice']}:{order_id}", row["time"], (row, order_id, quantity, price))
            else:
                tally.sold += 1
                order_id = _order_id(row["invoice"], lines)
                orders.add(order_id, row["time"], row)
                if customer:
                    bought[customer, row["code"].upper()].append(
                        _Purchase(order_id, row["quantity"], row["price"])
                    )
        for order_id, members in orders.rest():
            yield self._order(order_id, members)
        for refund_id, parts in refunds.rest():
            yield self._refund(refund_id, parts)

    def _order(self, order_id: str, rows: list[Row]) -> dict[str, Any]:
        total = sum(row["quantity"] * _pence(row["price"]) for row in rows) / 100
        lines = [
            {"product_id": row["code"].upper(), "quantity": row["quantity"], "price": row["price"]}
            for row in rows
        ]
        properties = {
            "order_id": order_id,
            "currency": self.store.currency,
            "total": total,
            "products": lines,
        }
        return _message("Order Completed", order_id, rows[0], properties)

    def _refund(self, refund_id: str, parts: list[tuple[Row, str, int, float]]) -> dict[str, Any]:
        total = sum(quantity * _pence(price) for _, _, quantity, price in parts) / 100
        lines = [
            {"product_id": row["code"].upper(), "quantity": quantity, "price": price}
            for row, _, quantity, price in parts
        ]
        properties = {
            "order_id": parts[0][1],
            "currency": self.store.currency,
            "total": total,
            "products": lines,
        }
        return _message("Order Refunded", refund_id, parts[0][0], properties)


def _message(event: str, key: str, row: Row, properties: dict[str, Any]) -> dict[str, Any]:
    customer = row["customer"]
    who = {"userId": str(customer)} if customer is not None else {}
    return {
        "type": "track",
        "event": event,
        "messageId": f"online-retail:{event.rpartition(' ')[2].lower()}:{key}",
        "timestamp": row["time"].replace(tzinfo=_ZONE),
        "properties": properties,
        **who,
    }


def _is_return(row: Row) -> bool:
    return bool(row["invoice"].startswith("C"))


def _fault(row: Row) -> tuple[RowReason, str] | None:
    """Why a row is neither a sale nor a return."""
    if row["invoice"].startswith("A"):
        return RowReason.BAD_DEBT_ADJUSTMENT, "The invoice adjusts a bad debt."
    if not _PRODUCT_CODE.fullmatch(row["code"]):
        return (
            RowReason.NON_PRODUCT,
            f"{row['code']} is no product: postage, a fee, a voucher, a sample or a correction.",
        )
    if row["quantity"] == 0 or (row["quantity"] < 0) != _is_return(row):
        return (
            RowReason.STOCK_ADJUSTMENT,
            f"A quantity of {row['quantity']} that is no return corrects the stock.",
        )
    if _pence(row["price"]) <= 0:
        return RowReason.NO_PRICE, f"The price is {row['price']}."
    return None


def _pence(price: float) -> int:
    return round(price * 100)


def _order_id(invoice: str, lines: Counter[str]) -> str:
    part = lines[invoice] // MAX_ORDER_LINES
    lines[invoice] += 1
    return invoice if part == 0 else f"{invoice}/{part + 1}"


def _give_back(purchases: list[_Purchase], quantity: int) -> list[tuple[str, int, float]] | None:
    """[(order, quantity, price paid)] of what is returned, latest purchase first; None, and nothing taken, where less was bought."""
    if sum(purchase.quantity for purchase in purchases) < quantity:
        return None
    returned = []
    while quantity:
        latest = purchases[-1]
        taken = min(quantity, latest.quantity)
        returned.append((latest.order_id, taken, latest.price))
        latest.quantity -= taken
        quantity -= taken
        if not latest.quantity:
            purchases.pop()
    return returned


def _product(code: str, price: int, names: Counter[str], first_sold: datetime) -> ProductInput:
    name = names.most_common(1)[0][0] if names else code
    family = code[:5] if code[:5].isdigit() and len(code) > 5 else ""
    return ProductInput(
        external_id=code,
        sku=code,
        name=name.capitalize(),
        price_minor_units=price,
        currency="GBP",
        variant_group=family,
        published_at=first_sold.replace(tzinfo=_ZONE),
    )
