"""The shared data sets of two shops, as they come, under the protocols that figures are compared by.

Both are split by time: everything before a day to learn from; for each known customer, what they bought in the days after.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from algorithms.evaluation import TestCase
from algorithms.splits import split_by_time
from algorithms.types import Array, Float64, Int32, TrainingData
from benchmarks.quality.columns import ItemNumbers, read_table, seconds, values
from benchmarks.quality.item_table import items_of
from benchmarks.quality.task import Task

DAY_SECONDS = 86_400.0
ONLINE_RETAIL_CUTOFF = np.datetime64("2011-11-09").astype("datetime64[s]").astype(np.float64)
TEST_DAYS = 30
LAST_TRAINING_WEEK = 40
MOST_VALIDATION = 0.1
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
    return _task(folder.name, data, cutoff, 7 * DAY_SECONDS, repeat)


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
    first = cutoff - _windows(train, horizon) * horizon
    past, validation = split_by_time(train, first, until=first + horizon)
    for start in np.arange(first + horizon, cutoff - 1.0, horizon):
        validation += split_by_time(train, float(start), until=float(start) + horizon)[1]
    return Task(name, "orders", past, _known(validation), train, _known(test), "all" if repeat else "unseen")


def _windows(train: TrainingData, horizon: float) -> int:
    """How many spans as long as the test's are chosen on: two where that is a tenth of the log at most, else one. One week of a
    grocer says little; strategies that ended long before the test would be chosen for being slow."""
    return 2 if 2 * horizon <= MOST_VALIDATION * float(np.ptp(train.timestamp)) else 1


def _known(cases: list[TestCase]) -> list[TestCase]:
    """Customers who bought before."""
    return [case for case in cases if len(case.query.items)]
