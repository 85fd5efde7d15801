from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from accounts.models import Customer
from accounts.selectors.persons import views
from recommendations.selectors.audience import audience_of
from recommendations.training.customer_features import customer_features, segment_feature

CHUNK = 5000


@dataclass(frozen=True)
class UserFeatures:
    """`matrix` (n_users, G) one-hots by `names`, None where nothing is known of anybody."""

    matrix: csr_matrix | None
    names: tuple[str, ...]


def user_features(store_id: int, person: NDArray[np.int64]) -> UserFeatures:
    """`person` are customers' primary keys, and visitors' below 0: of those nothing but behaviour is known, and the segments
    that it puts them in."""
    named = _named(store_id, [int(key) for key in person if key > 0])
    segments = audience_of(store_id, person).segments
    named = {
        key: (*named.get(key, ()), *map(segment_feature, segments.get(key, ())))
        for key in named.keys() | segments.keys()
    }
    names = tuple(sorted({name for row in named.values() for name in row}))
    if not names:
        return UserFeatures(None, ())
    columns = {name: n for n, name in enumerate(names)}
    rows = [sorted(columns[name] for name in named.get(int(key), ())) for key in person]
    offsets = np.cumsum([0, *map(len, rows)])
    indices = np.array([column for row in rows for column in row], np.int32)
    matrix = csr_matrix(
        (np.ones(len(indices), np.float32), indices, offsets), shape=(len(person), len(names))
    )
    return UserFeatures(matrix, names)


def _named(store_id: int, customers: list[int]) -> dict[int, tuple[str, ...]]:
    named: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(customers), CHUNK):
        found = Customer.objects.for_store(store_id).filter(pk__in=customers[start : start + CHUNK])
        named |= {customer.pk: customer_features(customer) for customer in views(store_id, found)}
    return named
