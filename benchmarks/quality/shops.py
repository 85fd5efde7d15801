"""The shared data sets of two shops, as they come, under the protocols that figures are compared by.

Both are split by time: everything before a day to learn from; for each known customer, what they bought in the days after.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from algorithms.evaluation import Mode, TestCase
from algorithms.splits import split_by_time
from algorithms.types import Array, Float64, Int32, TrainingData
from benchmarks.quality.columns import ItemNumbers, read_table, seconds, values
from benchmarks.quality.item_table import items_of
from benchmarks.quality.task import Origin, Task

DAY_SECONDS = 86_400.0
ONLINE_RETAIL_CUTOFF = np.datetime64("2011-11-09").astype("datetime64[s]").astype(np.float64)
TEST_DAYS = 30
LAST_TRAINING_WEEK = 40
MOST_VALIDATION = 0.3
"""Of the training part's time; strategies that learned from less would be chosen for needing little."""
MOST_ORIGINS = 6
LARGEST_QUANTITY = 200
"""Above it `quantity` counts no units (gallons of fuel in thousandths, vouchers)."""
NOT_PRODUCTS = ("FUEL", "COUPON", "CNTRL/STORE SUP")
"""Departments whose lines are no choice of a product: fuel, vouchers handed in, the store's own supplies."""


def read_online_retail(folder: Path, rng: np.random.Generator, repeat: bool) -> Task:
    """Train to 2011-11-09, test the 30 days after; customers known, cancellations and non-products left out."""
    table = read_table(
        folder / "transactions.parquet",
        (
            "invoice_no",
            "is_cancellation",
            "stock_code",
            "description",
            "quantity",
            "invoice_time",
            "unit_price_gbp",
            "customer_id",
        ),
    )
    code = values(table, "stock_code")
    customer = values(table, "customer_id").astype(np.float64)
    kept = ~values(table, "is_cancellation").astype(bool) & np.isfinite(customer)
    kept &= (values(table, "quantity") > 0) & (values(table, "unit_price_gbp") > 0)
    kept &= np.array([text[:5].isdigit() for text in code.tolist()])
    data, items = _orders(code[kept], customer[kept], values(table, "invoice_no")[kept], seconds(table, "invoice_time")[kept],
                          ONLINE_RETAIL_CUTOFF, rng)  # fmt: skip
    texts = [""] * len(items)
    for number, text in zip(
        items.of(code[kept]).tolist(), values(table, "description")[kept].tolist(), strict=True
    ):
        if number >= 0:
            texts[number] = text
    return _task(
        folder.name, replace(data, item_texts=texts), ONLINE_RETAIL_CUTOFF, TEST_DAYS * DAY_SECONDS, repeat
    )


def read_complete_journey(folder: Path, rng: np.random.Generator, repeat: bool) -> Task:
    """Train weeks 1–40, test the week after; fuel, vouchers and lines that count no units are left out."""
    lines = read_table(
        folder / "transactions.parquet",
        ("transaction_time_local", "week", "household_id", "basket_id", "product_id", "quantity"),
    )
    products = read_table(folder / "products.parquet", ("product_id", "department", "product_category"))
    no_product = values(products, "product_id")[np.isin(values(products, "department"), NOT_PRODUCTS)]
    moment, week, quantity = (
        seconds(lines, "transaction_time_local"),
        values(lines, "week"),
        values(lines, "quantity"),
    )
    kept = (quantity > 0) & (quantity <= LARGEST_QUANTITY) & ~np.isin(values(lines, "product_id"), no_product)
    cutoff = float(moment[week > LAST_TRAINING_WEEK].min())
    data, items = _orders(values(lines, "product_id")[kept], values(lines, "household_id")[kept],
                          values(lines, "basket_id")[kept], moment[kept], cutoff, rng)  # fmt: skip
    data = items_of(products, "product_id", items).of(data)
    data = replace(data, **_shelf_facts(lines, products, items, kept & (moment < cutoff)))
    return _task(folder.name, data, cutoff, 7 * DAY_SECONDS, repeat)


def _shelf_facts(lines: pa.Table, products: pa.Table, items: ItemNumbers, before: Array) -> dict[str, Any]:
    """Category, brand and price as a shop's catalogue would have them, where the files do: the type of product, who makes it, and
    what a unit cost on the mean `before` (rows of `lines`) the test."""
    facts: dict[str, Any] = {}
    numbers = items.of(values(products, "product_id"))
    known = numbers >= 0
    for name, column in (("item_category", "product_type"), ("item_brand", "manufacturer_id")):
        if column in products.column_names:
            codes = np.full(len(items), -1, np.int32)
            labels = values(products, column).astype(str)
            codes[numbers[known]] = np.unique(labels, return_inverse=True)[1][known]
            codes[numbers[known & (labels == "")]] = -1
            facts[name] = codes
    if "sales_value_usd" in lines.column_names:
        sold = items.of(values(lines, "product_id")[before])
        paid, units = (
            np.bincount(sold, values(lines, column)[before], len(items))
            for column in ("sales_value_usd", "quantity")
        )
        facts["item_price"] = 100.0 * paid / np.maximum(units, 1.0)
    return facts


def _orders(
    item: Array,
    customer: Array,
    order_number: Array,
    moment: Float64,
    cutoff: float,
    rng: np.random.Generator,
) -> tuple[TrainingData, ItemNumbers]:
    """Order lines as purchases, an order a session; items that were never bought before the cutoff are left out."""
    items = ItemNumbers(item[moment < cutoff], rng)
    number = items.of(item)
    known = number >= 0
    user = _codes(customer[known])
    basket = _codes(order_number[known])
    order = np.lexsort((number[known], moment[known], basket))
    n = len(order)
    data = TrainingData(
        user=user[order],
        item=number[known][order],
        timestamp=moment[known][order],
        weight=np.ones(n, np.float32),
        session=basket[order],
        basket=basket[order],
        n_users=int(user.max()) + 1,
        n_items=len(items),
        now=float(moment.max()) + 1.0,
    )
    data.validate()
    return data, items


def _codes(labels: Array) -> Int32:
    return np.unique(labels, return_inverse=True)[1].astype(np.int32)


def _task(name: str, data: TrainingData, cutoff: float, horizon: float, repeat: bool) -> Task:
    train, test = split_by_time(data, cutoff, until=cutoff + horizon)
    origins = [
        _origin(train, cutoff - back * horizon, horizon) for back in range(_origins(train, horizon), 0, -1)
    ]
    *earlier, newest = origins
    mode: Mode = "all" if repeat else "unseen"
    return Task(name, "orders", newest.past, newest.cases, train, _known(test), mode, tuple(earlier))


def _origin(train: TrainingData, moment: float, horizon: float) -> Origin:
    past, cases = split_by_time(train, moment, until=moment + horizon)
    return Origin(past, _known(cases))


def _origins(train: TrainingData, horizon: float) -> int:
    """How many spans as long as the test's are chosen on: one week of a grocer, or one month before Christmas, says what was good then."""
    return int(np.clip(MOST_VALIDATION * float(np.ptp(train.timestamp)) // horizon, 1, MOST_ORIGINS))


def _known(cases: list[TestCase]) -> list[TestCase]:
    """Customers who bought before."""
    return [case for case in cases if len(case.query.items)]
