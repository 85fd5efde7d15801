"""What a rule may ask about a shopper: the one list that rules, the admin's editor, clusters and the API read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    LIST = "list"


class Operator(StrEnum):
    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    CONTAINS_ANY = "contains_any"
    IS_SET = "is_set"
    IS_NOT_SET = "is_not_set"


OPERATOR_LABELS: Final[Mapping[Operator, str]] = MappingProxyType(
    {
        Operator.EQ: "is",
        Operator.NEQ: "is not",
        Operator.GT: "is more than",
        Operator.GTE: "is at least",
        Operator.LT: "is less than",
        Operator.LTE: "is at most",
        Operator.BETWEEN: "is between",
        Operator.IN: "is one of",
        Operator.NOT_IN: "is none of",
        Operator.CONTAINS: "contains",
        Operator.CONTAINS_ANY: "contains one of",
        Operator.IS_SET: "is known",
        Operator.IS_NOT_SET: "is not known",
    }
)

_SET: Final = (Operator.IS_SET, Operator.IS_NOT_SET)
OPERATORS: Final[Mapping[Kind, tuple[Operator, ...]]] = MappingProxyType(
    {
        Kind.NUMBER: (
            Operator.EQ,
            Operator.NEQ,
            Operator.GT,
            Operator.GTE,
            Operator.LT,
            Operator.LTE,
            Operator.BETWEEN,
            *_SET,
        ),
        Kind.TEXT: (Operator.EQ, Operator.NEQ, Operator.IN, Operator.NOT_IN, *_SET),
        Kind.BOOLEAN: (Operator.EQ,),
        Kind.LIST: (Operator.CONTAINS, Operator.CONTAINS_ANY, *_SET),
    }
)


@dataclass(frozen=True)
class Feature:
    """`unit` is shown after a number; `choices` are all values a text can have, empty for free text."""

    name: str
    label: str
    kind: Kind
    group: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""

    @property
    def operators(self) -> tuple[Operator, ...]:
        return OPERATORS[self.kind]


LIFECYCLES: Final = ("new", "prospect", "active", "at_risk", "churned", "dormant")
DEVICES: Final = ("desktop", "mobile", "tablet")


def _number(name: str, label: str, group: str, unit: str = "", help: str = "") -> Feature:
    return Feature(name, label, Kind.NUMBER, group, unit, help=help)


def _windows(
    name: str, label: str, group: str, unit: str = "", days: tuple[int, ...] = (30, 90, 365)
) -> list[Feature]:
    return [_number(f"{name}_{window}d", f"{label}, last {window} days", group, unit) for window in days]


_ORDERS, _VISITS, _PERSON, _STAGE = "Orders", "Visits", "Person", "Lifecycle"
_FEATURES: Final = [
    *_windows("orders", "Orders", _ORDERS),
    _number("orders_total", "Orders, ever", _ORDERS),
    *_windows("revenue", "Revenue", _ORDERS, "in the store's currency, refunds deducted"),
    _number("revenue_total", "Revenue, ever", _ORDERS, "in the store's currency, refunds deducted"),
    _number(
        "average_order_value",
        "Average order",
        _ORDERS,
        "in the store's currency",
        "Not known without an order.",
    ),
    _number("days_since_order", "Since the last order", _ORDERS, "days", "Not known without an order."),
    _number(
        "order_gap_days",
        "Usual time between orders",
        _ORDERS,
        "days",
        "Not known with fewer than two orders.",
    ),
    _number(
        "coupon_order_share", "Orders with a coupon", _ORDERS, "share, 0 to 1", "Not known without an order."
    ),
    *_windows("sessions", "Visits", _VISITS),
    _number(
        "average_session_minutes",
        "Average visit, last 90 days",
        _VISITS,
        "minutes",
        "Not known without a visit.",
    ),
    *_windows("product_views", "Product views", _VISITS, days=(30, 90)),
    _number("searches_90d", "Searches, last 90 days", _VISITS),
    _number("cart_adds_90d", "Put into the cart, last 90 days", _VISITS, "products"),
    _number(
        "abandoned_carts_90d",
        "Carts left behind, last 90 days",
        _VISITS,
        help="Visits that filled a cart and no order within a day.",
    ),
    _number(
        "cart_abandonment_rate_90d",
        "Share of carts left behind, last 90 days",
        _VISITS,
        "share, 0 to 1",
        "Not known without a cart.",
    ),
    _number("days_since_seen", "Since the last visit", _VISITS, "days"),
    _number("days_since_first_seen", "Since the first visit", _VISITS, "days"),
    Feature(
        "favourite_category",
        "Favourite category",
        Kind.TEXT,
        _VISITS,
        help="Path of the category looked at most in 90 days: camping/tents.",
    ),
    _number("age", "Age", _PERSON, "years"),
    Feature("gender", "Gender", Kind.TEXT, _PERSON),
    Feature("country", "Country", Kind.TEXT, _PERSON, help="Two letters: DE."),
    Feature("region", "Region", Kind.TEXT, _PERSON),
    Feature("city", "City", Kind.TEXT, _PERSON),
    Feature("language", "Language", Kind.TEXT, _PERSON),
    Feature("device", "Device", Kind.TEXT, _PERSON, choices=DEVICES),
    Feature("loyalty_status", "Loyalty status", Kind.TEXT, _PERSON),
    Feature(
        "interests",
        "Stated interests",
        Kind.LIST,
        _PERSON,
        help="Categories and brands that the customer named.",
    ),
    _number("account_age_days", "Age of the account", _PERSON, "days"),
    Feature("is_customer", "Has an account", Kind.BOOLEAN, _PERSON),
    Feature(
        "lifecycle",
        "Stage",
        Kind.TEXT,
        _STAGE,
        choices=LIFECYCLES,
        help=(
            "new: first seen within 14 days, one order at most. active: buys in their own rhythm. at_risk: silent for longer than usual. "
            "churned: silent for three times as long. prospect: has not bought yet. dormant: has not bought, unseen for 60 days."
        ),
    ),
    _number(
        "rfm_recency", "Recency score", _STAGE, "1 to 5", "5: the fifth that bought last. 0 without an order."
    ),
    _number(
        "rfm_frequency",
        "Frequency score",
        _STAGE,
        "1 to 5",
        "5: the fifth that buys most often. 0 without an order.",
    ),
    _number(
        "rfm_monetary", "Money score", _STAGE, "1 to 5", "5: the fifth that spends most. 0 without an order."
    ),
]

FEATURES: Final[Mapping[str, Feature]] = MappingProxyType({feature.name: feature for feature in _FEATURES})
