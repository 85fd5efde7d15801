"""Do simulated shoppers behave like real ones? Traits of a log of messages, beside those of real shops.

Sources of the targets: RetailRocket and eShop 2008 (views, repeats, categories, popularity), Online Shoppers Intention
and common experience of general shops (orders), Online Retail (orders per customer), Olist (payments).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np

SESSION_GAP: Final = timedelta(minutes=30)


@dataclass(frozen=True)
class Target:
    """A real figure and the range that a simulation must stay in."""

    figure: str
    low: float
    high: float


TARGETS: Final[Mapping[str, Target]] = {
    "views_per_session_mean": Target("5.4 (RetailRocket), 6.9 (eShop 2008)", 4.6, 6.9),
    "views_per_session_median": Target("4", 3, 5),
    "views_per_session_p90": Target("9 (RetailRocket), 16 (eShop 2008)", 8, 16),
    "repeated_view_share": Target("31 % of views", 0.27, 0.35),
    "repeated_next_share": Target("38 % of next items", 0.33, 0.43),
    "same_category_next_share": Target("81 %", 0.77, 0.85),
    "views_of_top_1_percent": Target("11 % of views", 0.06, 0.16),
    "views_of_top_10_percent": Target("42 % of views", 0.34, 0.50),
    "popularity_gini": Target("0.53", 0.46, 0.60),
    "visits_with_order_share": Target("2–4 %", 0.02, 0.04),
    "new_visitor_share": Target("14 % of visits", 0.10, 0.19),
    "paid_by_card_share": Target("70 %", 0.60, 0.80),
    "paid_by_transfer_share": Target("18 % (bank slip)", 0.11, 0.25),
    "paid_by_voucher_share": Target("11 %", 0.05, 0.17),
    "buyers_who_return_share": Target(
        "median 2 orders a year: about a quarter within three months", 0.12, 0.5
    ),
}


@dataclass
class TraitMeter:
    """Give it every message in order of time for each browser. Crawlers are left out, as in any evaluation."""

    item_count: int
    main_of: Mapping[str, str]
    views: Counter[str] = field(default_factory=Counter)
    sessions: list[list[str]] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)
    payments: Counter[str] = field(default_factory=Counter)
    ordering_visits: int = 0
    new_visits: int = 0
    all_visits: int = 0
    _open: dict[str, tuple[datetime, list[str]]] = field(default_factory=dict)

    def observe(self, message: Mapping[str, Any]) -> None:
        browser = message.get("anonymousId") or message.get("userId") or ""
        event, at = message.get("event", ""), message["timestamp"]
        if "bot" in message["context"].get("userAgent", "").lower() or event in {
            "Order Refunded",
            "Order Cancelled",
        }:
            return
        if event == "Order Completed":
            self.orders[message.get("userId") or browser] += 1
            self.payments[message["properties"]["payment_method"]] += 1
        if browser.startswith("order-"):
            return
        known = self._open.get(browser)
        if known is None or at - known[0] > SESSION_GAP:
            self.all_visits += 1
            self.new_visits += known is None
            known = (at, [])
            self.sessions.append(known[1])
        self._open[browser] = (at, known[1])
        if event == "Product Viewed":
            known[1].append(message["properties"]["product_id"])
            self.views[message["properties"]["product_id"]] += 1
        self.ordering_visits += event == "Order Completed"

    def measure(self) -> dict[str, float]:
        """Traits by name, as in TARGETS. Raises ValueError for a log without views."""
        viewed = [session for session in self.sessions if session]
        if not viewed:
            raise ValueError("Nobody looked at anything: there is nothing to measure.")
        lengths = np.array([len(session) for session in viewed])
        following = [
            (a, b, position, session)
            for session in viewed
            for position, (a, b) in enumerate(pairwise(session))
        ]
        repeats = sum(b in session[: position + 1] for _, b, position, session in following)
        same = sum(self.main_of[a] == self.main_of[b] for a, b, _, _ in following)
        counts = np.zeros(self.item_count)
        counts[: len(self.views)] = sorted(self.views.values(), reverse=True)
        paid = sum(self.payments.values()) or 1
        return {
            "views_per_session_mean": float(lengths.mean()),
            "views_per_session_median": float(np.median(lengths)),
            "views_per_session_p90": float(np.percentile(lengths, 90)),
            "repeated_view_share": repeats / lengths.sum(),
            "repeated_next_share": repeats / max(len(following), 1),
            "same_category_next_share": same / max(len(following), 1),
            "views_of_top_1_percent": float(
                counts[: max(1, round(self.item_count * 0.01))].sum() / counts.sum()
            ),
            "views_of_top_10_percent": float(
                counts[: max(1, round(self.item_count * 0.1))].sum() / counts.sum()
            ),
            "popularity_gini": gini(counts),
            "visits_with_order_share": self.ordering_visits / max(self.all_visits, 1),
            "new_visitor_share": self.new_visits / max(self.all_visits, 1),
            "paid_by_card_share": self.payments["card"] / paid,
            "paid_by_transfer_share": self.payments["bank_transfer"] / paid,
            "paid_by_voucher_share": self.payments["voucher"] / paid,
            "buyers_who_return_share": sum(count > 1 for count in self.orders.values())
            / max(len(self.orders), 1),
        }


def gini(counts: Iterable[float]) -> float:
    """Gini coefficient of non-negative counts: 0 all alike, towards 1 one has all. Source: Gini 1912, by ranks."""
    ordered = np.sort(np.asarray(list(counts), dtype=float))
    if not len(ordered) or ordered.sum() == 0:
        return 0.0
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


def outside_of_targets(traits: Mapping[str, float]) -> dict[str, str]:
    """What is not as in real shops: {trait: sentence}."""
    return {
        name: f"{traits[name]:.3f} is outside of {target.low} to {target.high} (real: {target.figure})"
        for name, target in TARGETS.items()
        if not target.low <= traits[name] <= target.high
    }
