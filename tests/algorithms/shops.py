"""Small shops with known habits."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import TrainingData

N_ITEMS, N_USERS = 30, 40
NOW = 1_700_000_000.0
LONELY, COMPANION, NEVER_SEEN = 27, 28, 29
SECRET_USER = 0

Row = tuple[int, int, float, float, int, int]


def log(rows: list[Row], n_users: int, n_items: int, now: float = NOW, **known: object) -> TrainingData:
    """From (user, item, timestamp, weight, session, basket), in any order."""
    table = sorted(rows, key=lambda row: (row[4], row[2]))
    columns = list(zip(*table, strict=True)) if table else [()] * 6
    types = (np.int32, np.int32, np.float64, np.float32, np.int32, np.int32)
    names = ("user", "item", "timestamp", "weight", "session", "basket")
    arrays = {n: np.array(c, t) for n, c, t in zip(names, columns, types, strict=True)}
    data = TrainingData(**arrays, n_users=n_users, n_items=n_items, now=now, **known)
    data.validate()
    return data


def sessions(*lists: list[int], n_items: int, weight: float = 1.0) -> TrainingData:
    """One user per list, a session each, a view a second, the last list the newest."""
    rows = [
        (s, item, NOW - 1000.0 * (len(lists) - s) + place, weight, s, -1)
        for s, items in enumerate(lists)
        for place, item in enumerate(items)
    ]
    return log(rows, len(lists), n_items)


def baskets(*lists: list[int], n_items: int) -> TrainingData:
    """One user and one order per list, all lines of an order at one moment."""
    rows = [
        (b, item, NOW - 1000.0 * (len(lists) - b), 1.0, b, b)
        for b, items in enumerate(lists)
        for item in items
    ]
    return log(rows, len(lists), n_items)


def shop(seed: int = 7) -> TrainingData:
    """Three tastes of nine products, 40 shoppers, three sessions each that end with an order of two or three products.

    LONELY and COMPANION were seen and bought by SECRET_USER alone, together, in the user's last session; NEVER_SEEN by nobody.
    """
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    session = 0
    for user in range(N_USERS):
        for visit in range(3):
            start = NOW - 86_400.0 * (60 - user % 20 - 15 * visit) + user
            views = rng.choice(9, size=5) + 9 * (user % 3)
            views[views >= LONELY] = 0
            rows += [(user, int(i), start + 60 * n, 1.0, session, -1) for n, i in enumerate(views)]
            rows += [(user, int(i), start + 600, 5.0, session, session) for i in np.unique(views)[:3]]
            session += 1
    moments = [(LONELY, 1.0, -1, 0.0), (COMPANION, 1.0, -1, 9.0)]
    moments += [(LONELY, 5.0, session, 99.0), (COMPANION, 5.0, session, 99.0)]
    rows += [(SECRET_USER, item, NOW - 3600 + late, w, session, b) for item, w, b, late in moments]
    taste = np.minimum(np.arange(N_ITEMS) // 9, 2)
    return log(
        rows,
        N_USERS,
        N_ITEMS,
        item_features=csr_matrix(np.eye(3, dtype=np.float32)[taste]),
        user_features=csr_matrix(np.eye(2, dtype=np.float32)[np.arange(N_USERS) % 2]),
        item_text_vectors=np.eye(4, dtype=np.float32)[taste] + 0.1,
        item_picture_vectors=np.eye(4, dtype=np.float32)[taste] + 0.1,
        item_texts=[f"taste{t} thing number{i}" for i, t in enumerate(taste)],
        item_category=taste.astype(np.int32),
    )


def part(data: TrainingData, first: int, last: int) -> TrainingData:
    """Sessions first ≤ s < last, numbered from 0."""
    chosen = data.select((data.session >= first) & (data.session < last))
    return replace(chosen, session=chosen.session - np.int32(first))


def empty_shop(n_items: int) -> TrainingData:
    return log([], 0, n_items)
