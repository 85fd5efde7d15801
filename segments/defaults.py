"""Segments that every store starts with. Their rules can be edited like any other's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from segments.models import Segment


@dataclass(frozen=True)
class DefaultSegment:
    slug: str
    name: str
    description: str
    kind: str
    priority: int
    rules: dict[str, Any]


def _is(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def _stage(slug: str, name: str, description: str, priority: int, stage: str) -> DefaultSegment:
    return DefaultSegment(
        slug, name, description, Segment.Kind.LIFECYCLE, priority, {"all": [_is("lifecycle", "eq", stage)]}
    )


RULE, LIFECYCLE = Segment.Kind.RULE, Segment.Kind.LIFECYCLE

DEFAULT_SEGMENTS: Final = (
    DefaultSegment(
        "vip",
        "VIPs",
        "The fifth that spends most, with three orders or more within a year, and not gone.",
        LIFECYCLE,
        10,
        {
            "all": [
                _is("rfm_monetary", "gte", 5),
                _is("orders_365d", "gte", 3),
                _is("lifecycle", "neq", "churned"),
            ]
        },
    ),
    DefaultSegment(
        "cart-abandoners",
        "Cart abandoners",
        "Left a filled cart behind in the last 90 days, and were here within two weeks.",
        RULE,
        20,
        {"all": [_is("abandoned_carts_90d", "gte", 1), _is("days_since_seen", "lte", 14)]},
    ),
    _stage(
        "at-risk",
        "At risk",
        "Have been silent for longer than they usually are between orders.",
        30,
        "at_risk",
    ),
    _stage(
        "churned", "Churned", "Have been silent for three times as long as they usually are.", 40, "churned"
    ),
    _stage("new-visitors", "New visitors", "First seen within 14 days, with one order at most.", 50, "new"),
    _stage("active-customers", "Active customers", "Buy in their own rhythm.", 60, "active"),
    _stage("window-shoppers", "Window shoppers", "Look around and have not bought yet.", 70, "prospect"),
    _stage(
        "dormant-visitors",
        "Dormant visitors",
        "Have never bought and were not seen for 60 days.",
        75,
        "dormant",
    ),
    DefaultSegment(
        "bargain-hunters",
        "Bargain hunters",
        "Use a coupon for at least half of their orders.",
        RULE,
        80,
        {"all": [_is("orders_total", "gte", 2), _is("coupon_order_share", "gte", 0.5)]},
    ),
    DefaultSegment(
        "loyalty-members",
        "Loyalty members",
        "Have a loyalty status.",
        RULE,
        85,
        {"all": [{"field": "loyalty_status", "operator": "is_set"}]},
    ),
    DefaultSegment(
        "mobile-shoppers",
        "Mobile shoppers",
        "Mostly come by phone.",
        RULE,
        90,
        {"all": [_is("device", "eq", "mobile")]},
    ),
)
