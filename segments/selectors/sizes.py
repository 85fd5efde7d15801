from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from django.utils import timezone

from accounts.models import Store
from segments.feature_table import FeatureTable, feature_table
from segments.rules import matches, validate
from segments.selectors.as_of import as_of

# While somebody edits rules, every change asks for a count: the table behind it may be this old.
TABLE_SECONDS: Final = 60.0

_lock = threading.Lock()
_tables: dict[int, tuple[float, FeatureTable]] = {}


def count_members(store: Store, rules: Mapping[str, Any]) -> int:
    """How many shoppers these rules would match now (as of at most a minute ago). Raises InvalidRules."""
    validate(rules)
    table = _table(store)
    return int(matches(rules, table.columns, table.n).sum()) if table.n else 0


def count_shoppers(store: Store) -> int:
    """Of how many shoppers `count_members` counts: those who permit personalisation and have done something, or said something."""
    return _table(store).n


def _table(store: Store) -> FeatureTable:
    with _lock:
        known = _tables.get(store.pk)
        if known is None or known[0] < time.monotonic():
            # Other stores' tables have served their purpose by now: one store is edited at a time.
            _tables.clear()
            known = _tables[store.pk] = (
                time.monotonic() + TABLE_SECONDS,
                feature_table(store, as_of(store, timezone.now())),
            )
        return known[1]


def forget_tables() -> None:
    with _lock:
        _tables.clear()
