"""Features of all shoppers of a store as columns, computed from the log and its folds in a handful of set-based queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from accounts.models import Customer, Store
from accounts.selectors.persons import persons, views
from algorithms.rfm import DAY_SECONDS, RFM, churned
from catalog.money import currency_digits
from consent.purposes import Purpose
from consent.selectors.denied import denied_now_parameters
from segments import feature_queries as queries
from segments.features import FEATURES, Kind

NEW_DAYS: Final = 14
DORMANT_DAYS: Final = 60
AT_RISK_FACTOR: Final = 1.5
AT_RISK_MINIMUM_DAYS: Final = 21.0
CHURNED_FACTOR: Final = 3.0
CHURNED_MINIMUM_DAYS: Final = 60.0

Floats = NDArray[np.float64]
Key = tuple[int, int]  # (customer id, 0) or (0, visitor id)


@dataclass(frozen=True)
class FeatureTable:
    """n shoppers. `customer`, `visitor`: (n,) int64 ids, one of the two 0. `columns` as `rules.matches` wants them."""

    customer: NDArray[np.int64]
    visitor: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    @property
    def n(self) -> int:
        return len(self.customer)

    def row(self, position: int) -> dict[str, Any]:
        """One shopper's values as JSON types; None for unknown."""
        return {name: _as_json(column[position]) for name, column in self.columns.items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.floating | float):
        return None if np.isnan(value) else round(float(value), 4)
    return str(value) or None


def feature_table(store: Store, now: datetime) -> FeatureTable:
    """Everybody who permits personalisation and was seen or ordered within a year, or has an account that permits it."""
    parameters = {
        **denied_now_parameters(store, Purpose.PERSONALISATION),
        "now": now,
        "history": timedelta(days=queries.HISTORY_DAYS),
    }
    orders = _by_shopper(_rows(queries.ORDERS, parameters))
    visits = _by_shopper(_rows(queries.VISITS, parameters))
    favourites = _by_shopper(_rows(queries.FAVOURITES, parameters))
    seen = {*orders, *visits}
    customers = {
        row[0]: row[1:]
        for row in _rows(
            queries.CUSTOMERS, {**parameters, "known": [customer for customer, _ in seen if customer]}
        )
    }
    _view_merged(store, customers)
    visitors = {
        row[0]: row[1:]
        for row in _rows(
            queries.VISITORS, {"store": store.pk, "known": [visitor for _, visitor in seen if visitor]}
        )
    }
    keys: list[Key] = sorted(
        [(customer, 0) for customer in customers] + [(0, visitor) for visitor in visitors]
    )
    columns = _order_columns(keys, orders, now, 10.0 ** currency_digits(store.currency))
    columns |= _visit_columns(keys, visits, favourites, now)
    columns |= _person_columns(keys, customers, visitors, now)
    columns["days_since_first_seen"] = _first_seen(keys, orders, visits, customers, visitors, now)
    columns |= _stage_columns(columns)
    return FeatureTable(
        np.array([customer for customer, _ in keys], dtype=np.int64),
        np.array([visitor for _, visitor in keys], dtype=np.int64),
        columns,
    )


def _view_merged(store: Store, customers: dict[int, tuple[Any, ...]]) -> None:
    """Of customers with several records: the best value of each field over all of them."""
    named = {person for person in persons(store).values() if person in customers}
    for person in views(store, Customer.objects.for_store(store).filter(pk__in=named)) if named else []:
        opened_at = person.account_created_at or person.created_at
        customers[person.pk] = (
            person.birth_year, person.gender, person.country, person.region, person.city, person.language, person.device,
            person.loyalty_status, person.interests, opened_at.timestamp(), *customers[person.pk][10:],
        )  # fmt: skip


def _rows(query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _by_shopper(rows: list[tuple[Any, ...]]) -> dict[Key, tuple[Any, ...]]:
    return {(row[0] or 0, row[1] or 0): row[2:] for row in rows}


def _matrix(keys: Sequence[Key], rows: Mapping[Key, tuple[Any, ...]], empty: Sequence[float]) -> list[Floats]:
    """One column per value; `empty` where a shopper has no row. NULL becomes NaN."""
    table = np.array([rows.get(key, empty) for key in keys], dtype=np.float64).reshape(len(keys), len(empty))
    return [np.ascontiguousarray(column) for column in table.T]


def _days_since(moments: Floats, now: datetime) -> Floats:
    return np.maximum(now.timestamp() - moments, 0.0) / DAY_SECONDS


def _ratio(part: Floats, whole: Floats) -> Floats:
    """NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _order_columns(
    keys: Sequence[Key], orders: Mapping[Key, tuple[Any, ...]], now: datetime, unit: float
) -> dict[str, NDArray[Any]]:
    count_30, count_90, count_365, count, money_30, money_90, money_365, money, first, last, coupons = (
        _matrix(keys, orders, [0.0] * 8 + [np.nan] * 3)
    )
    several = count > 1
    gap = np.full(len(keys), np.nan)
    gap[several] = (last[several] - first[several]) / (count[several] - 1) / DAY_SECONDS
    return {
        "orders_30d": count_30,
        "orders_90d": count_90,
        "orders_365d": count_365,
        "orders_total": count,
        "revenue_30d": money_30 / unit,
        "revenue_90d": money_90 / unit,
        "revenue_365d": money_365 / unit,
        "revenue_total": money / unit,
        "average_order_value": _ratio(money / unit, count),
        "days_since_order": _days_since(last, now),
        "order_gap_days": gap,
        "coupon_order_share": coupons,
    }


def _visit_columns(
    keys: Sequence[Key],
    visits: Mapping[Key, tuple[Any, ...]],
    favourites: Mapping[Key, tuple[Any, ...]],
    now: datetime,
) -> dict[str, NDArray[Any]]:
    (
        sessions_30,
        sessions_90,
        sessions_365,
        minutes,
        views_30,
        views_90,
        searches,
        cart_adds,
        abandoned,
        carts,
        _,
        last,
    ) = _matrix(keys, visits, [0.0] * 3 + [np.nan] + [0.0] * 6 + [np.nan] * 2)
    return {
        "sessions_30d": sessions_30,
        "sessions_90d": sessions_90,
        "sessions_365d": sessions_365,
        "average_session_minutes": minutes,
        "product_views_30d": views_30,
        "product_views_90d": views_90,
        "searches_90d": searches,
        "cart_adds_90d": cart_adds,
        "abandoned_carts_90d": abandoned,
        "cart_abandonment_rate_90d": _ratio(abandoned, carts),
        "days_since_seen": _days_since(last, now),
        "favourite_category": _texts([favourites.get(key, ("",))[0] for key in keys]),
    }


def _person_columns(
    keys: Sequence[Key],
    customers: Mapping[int, tuple[Any, ...]],
    visitors: Mapping[int, tuple[Any, ...]],
    now: datetime,
) -> dict[str, NDArray[Any]]:
    nobody: tuple[Any, ...] = (None, "", "", "", "", "", "", "", [], None, None, "", "")
    people = [customers.get(customer, nobody) for customer, _ in keys]
    browsers = [visitors.get(visitor, ("", "", None)) for _, visitor in keys]
    birth_years = np.array([person[0] for person in people], dtype=np.float64)
    return {
        "age": now.year - birth_years,
        "gender": _texts([person[1] for person in people]),
        "country": _texts(
            [person[2] or person[11] or browser[0] for person, browser in zip(people, browsers, strict=True)]
        ),
        "region": _texts([person[3] for person in people]),
        "city": _texts([person[4] for person in people]),
        "language": _texts([person[5] for person in people]),
        "device": _texts(
            [person[6] or person[12] or browser[1] for person, browser in zip(people, browsers, strict=True)]
        ),
        "loyalty_status": _texts([person[7] for person in people]),
        "interests": _sets([person[8] for person in people]),
        "account_age_days": _days_since(np.array([person[9] for person in people], dtype=np.float64), now),
        "is_customer": np.array([bool(customer) for customer, _ in keys], dtype=bool),
    }


def _texts(values: Sequence[str | None]) -> NDArray[Any]:
    return np.array([(value or "").lower() for value in values], dtype=np.str_)


def _sets(values: Sequence[Any]) -> NDArray[Any]:
    column = np.empty(len(values), dtype=object)
    for position, interests in enumerate(values):
        # Django's cursor gives jsonb as text.
        read = json.loads(interests) if isinstance(interests, str) else interests
        column[position] = frozenset(
            str(interest["value"]).lower()
            for interest in read
            if isinstance(interest, dict) and "value" in interest
        )
    return column


def _first_seen(
    keys: Sequence[Key],
    orders: Mapping[Key, tuple[Any, ...]],
    visits: Mapping[Key, tuple[Any, ...]],
    customers: Mapping[int, tuple[Any, ...]],
    visitors: Mapping[int, tuple[Any, ...]],
    now: datetime,
) -> Floats:
    """Days since the earliest sign of a shopper: first order, first visit of the year, account, or first sight of a browser."""
    nothing = (None,) * 13
    signs = [
        (
            orders.get(key, nothing)[8],
            visits.get(key, nothing)[10],
            *customers.get(key[0], nothing)[9:11],
            visitors.get(key[1], nothing)[2],
        )
        for key in keys
    ]
    table = np.array(signs, dtype=np.float64).reshape(len(keys), 5)
    return _days_since(np.fmin.reduce(table, axis=1), now)


def _stage_columns(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    since_order = columns["days_since_order"]
    history = RFM(
        recency_days=np.where(np.isnan(since_order), np.inf, since_order),
        frequency=columns["orders_total"].astype(np.int64),
        monetary=columns["revenue_total"],
        gap_days=columns["order_gap_days"],
    )
    recency, frequency, monetary = history.quintiles()
    has_churned = churned(history, factor=CHURNED_FACTOR, minimum_days=CHURNED_MINIMUM_DAYS)
    is_silent = churned(history, factor=AT_RISK_FACTOR, minimum_days=AT_RISK_MINIMUM_DAYS)
    orders, first_seen, seen = history.frequency, columns["days_since_first_seen"], columns["days_since_seen"]
    lifecycle = np.select(
        [has_churned, is_silent, (first_seen <= NEW_DAYS) & (orders <= 1), orders > 0, seen > DORMANT_DAYS],
        ["churned", "at_risk", "new", "active", "dormant"],
        default="prospect",
    )
    return {
        "lifecycle": lifecycle,
        "rfm_recency": recency.astype(np.float64),
        "rfm_frequency": frequency.astype(np.float64),
        "rfm_monetary": monetary.astype(np.float64),
    }


def newcomer() -> FeatureTable:
    """One shopper of whom nothing is known but that they are here for the first time: who has come since the last computation."""
    columns: dict[str, NDArray[Any]] = {}
    for feature in FEATURES.values():
        match feature.kind:
            case Kind.NUMBER:
                columns[feature.name] = np.zeros(1)
            case Kind.TEXT:
                columns[feature.name] = np.array([""])
            case Kind.BOOLEAN:
                columns[feature.name] = np.array([False])
            case Kind.LIST:
                columns[feature.name] = _sets([[]])
    for unknown in (
        "average_order_value",
        "days_since_order",
        "order_gap_days",
        "coupon_order_share",
        "average_session_minutes",
        "cart_abandonment_rate_90d",
        "age",
        "account_age_days",
    ):
        columns[unknown] = np.full(1, np.nan)
    columns["lifecycle"] = np.array(["new"])
    columns["sessions_30d"] = columns["sessions_90d"] = columns["sessions_365d"] = np.ones(1)
    return FeatureTable(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), columns)
