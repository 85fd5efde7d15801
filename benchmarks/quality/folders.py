"""Evaluation folders: the two shapes that docs/algorithms.md describes, and the shops' own files of the shared data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from algorithms.evaluation import TestCase
from algorithms.splits import leave_last_out, sessionise
from algorithms.types import Array, Float32, Float64, Int32, Query, TrainingData
from benchmarks.quality.columns import ItemNumbers, read_table, seconds, values
from benchmarks.quality.item_table import read_items
from benchmarks.quality.shops import read_complete_journey, read_online_retail
from benchmarks.quality.task import Task, UnreadableFolder

DAY_SECONDS = 86_400.0
SESSION_GAP_SECONDS = 1800.0
SPAN_DAYS = 120.0
"""Sessions without times are spread evenly over so many days, in the order of their numbers."""
VALIDATION_SHARE = 0.08
EVENT_WEIGHTS = {
    "view": 1.0,
    "click": 1.0,
    "wishlist": 3.0,
    "cart": 4.0,
    "add": 4.0,
    "transaction": 8.0,
    "purchase": 8.0,
    "order": 8.0,
}
PURCHASES = ("transaction", "purchase", "order", "buy")


def read(folder: Path, *, seed: int = 0, repeat: bool = False) -> Task:
    """Raises UnreadableFolder, saying what a folder must hold."""
    rng = np.random.default_rng(seed)
    if (folder / "train_sessions.parquet").exists():
        return _read_sessions(folder, rng)
    if (folder / "interactions.parquet").exists():
        return _read_interactions(folder, rng, repeat)
    if (folder / "transactions.parquet").exists() and (folder / "products.parquet").exists():
        return read_complete_journey(folder, rng, repeat)
    if (folder / "transactions.parquet").exists():
        return read_online_retail(folder, rng, repeat)
    raise UnreadableFolder(
        f"{folder} holds neither train_sessions.parquet (with test_prefixes.parquet and test_targets.parquet) nor "
        "interactions.parquet: see docs/algorithms.md for both shapes."
    )


def _read_sessions(folder: Path, rng: np.random.Generator) -> Task:
    train = read_table(folder / "train_sessions.parquet", ("session_id", "position", "item_id"))
    prefixes = read_table(folder / "test_prefixes.parquet", ("case_id", "position", "item_id"))
    targets = read_table(folder / "test_targets.parquet", ("case_id", "target_item_id"))
    ids = [values(train, "item_id"), values(prefixes, "item_id"), values(targets, "target_item_id")]
    items = ItemNumbers(np.concatenate(ids), rng)
    order = np.lexsort((values(train, "position"), values(train, "session_id")))
    session = np.unique(values(train, "session_id")[order], return_inverse=True)[1].astype(np.int32)
    data = read_items(folder / "items.parquet", items).of(
        _spread_over_time(session, items.of(ids[0][order]), len(items))
    )
    test = _prefix_cases(values(prefixes, "case_id"), values(prefixes, "position"), items.of(ids[1]),
                         values(targets, "case_id"), items.of(ids[2]), data.now)  # fmt: skip
    shortest = min(len(case.query.items) for case in test)
    cut = int(data.n_sessions * (1.0 - VALIDATION_SHARE))
    past = data.select(data.session < cut)
    past = replace(past, now=float(past.timestamp.max()) + 1.0)
    validation = _every_prefix(data, cut, shortest)
    return Task(folder.name, "sessions", past, validation, data, test, "all")


def _spread_over_time(session: Int32, item: Int32, n_items: int) -> TrainingData:
    n_sessions = int(session.max()) + 1
    position = np.arange(len(session)) - np.searchsorted(session, session)
    start = np.arange(n_sessions) / n_sessions * SPAN_DAYS * DAY_SECONDS
    return TrainingData(
        user=session,
        item=item,
        timestamp=start[session] + np.minimum(position, 500) * 1e-3,
        weight=np.ones(len(session), np.float32),
        session=session,
        basket=np.full(len(session), -1, np.int32),
        n_users=n_sessions,
        n_items=n_items,
        now=SPAN_DAYS * DAY_SECONDS,
    )


def _prefix_cases(
    case: Array, position: Array, item: Int32, target_case: Array, target: Int32, now: float
) -> list[TestCase]:
    order = np.lexsort((position, case))
    case, item = case[order], item[order]
    starts, ends = np.searchsorted(case, target_case), np.searchsorted(case, target_case, side="right")
    return [
        TestCase(Query.of(item[start:end], now=now), target[[row]])
        for row, (start, end) in enumerate(zip(starts, ends, strict=True))
        if end > start
    ]


def _every_prefix(data: TrainingData, first_session: int, shortest: int) -> list[TestCase]:
    """Each place of the later sessions as a next item, after prefixes as long as those of the test at least."""
    offsets = data.session_offsets
    return [
        TestCase(Query.of(data.item[offsets[s] : row], now=float(data.timestamp[row])), data.item[[row]])
        for s in range(first_session, data.n_sessions)
        for row in range(int(offsets[s]) + shortest, int(offsets[s + 1]))
    ]


def _read_interactions(folder: Path, rng: np.random.Generator, repeat: bool) -> Task:
    table = read_table(folder / "interactions.parquet", ("user_id", "item_id", "timestamp"))
    ids = values(table, "item_id")
    items = ItemNumbers(ids, rng)
    user = np.unique(values(table, "user_id"), return_inverse=True)[1].astype(np.int32)
    events = values(table, "event") if "event" in table.column_names else None
    ordered = "quantity" in table.column_names and events is None
    data = log_of(
        user,
        items.of(ids),
        seconds(table, "timestamp"),
        _weights(events, len(ids)),
        _is_purchase(events, len(ids), ordered),
        len(items),
    )
    data = read_items(folder / "items.parquet", items).of(data)
    train, test = leave_last_out(data)
    past, validation = leave_last_out(train)
    return Task(folder.name, "interactions", past, validation, train, test, "all" if repeat else "unseen")


def _weights(events: Array | None, n: int) -> Float32:
    """By the first known word in the event's name; 1 for others."""
    if events is None:
        return np.ones(n, np.float32)
    names, codes = np.unique(events, return_inverse=True)
    known = [
        next((w for word, w in reversed(EVENT_WEIGHTS.items()) if word in str(name).lower()), 1.0)
        for name in names
    ]
    return np.array(known, np.float32)[codes]


def _is_purchase(events: Array | None, n: int, ordered: bool) -> Array:
    if events is None:
        return np.full(n, ordered)
    names, codes = np.unique(events, return_inverse=True)
    return np.array([any(word in str(name).lower() for word in PURCHASES) for name in names])[codes]


def log_of(
    user: Int32, item: Int32, timestamp: Float64, weight: Float32, is_purchase: Array, n_items: int
) -> TrainingData:
    """A log from loose columns: sessions end with pauses of 30 minutes; purchases of a user at one moment are one basket."""
    order = np.lexsort((timestamp, user))
    user, item, timestamp, weight = user[order], item[order], timestamp[order], weight[order]
    new_basket = (
        np.r_[True, (np.diff(user) != 0) | (np.diff(timestamp) != 0)] if len(user) else np.zeros(0, np.bool_)
    )
    basket = np.where(is_purchase[order], np.cumsum(new_basket) - 1, -1).astype(np.int32)
    data = TrainingData(
        user=user,
        item=item,
        timestamp=timestamp,
        weight=weight,
        session=sessionise(user, timestamp, SESSION_GAP_SECONDS),
        basket=basket,
        n_users=int(user.max(initial=-1)) + 1,
        n_items=n_items,
        now=float(timestamp.max(initial=0.0)) + 1.0,
    )
    data.validate()
    return data
