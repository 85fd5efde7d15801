"""Did personal shelves pay? Shoppers who got them against the control group, which got popular products.

Shoppers are compared, not clicks: one person's clicks are not independent of each other. Who belongs to which group was
drawn by their id and not by what they did; whoever saw shelves of both groups (a browser that became a customer) is left
out and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from accounts.models import Store
from algorithms.experiments import Interval, uplift
from consent.purposes import Purpose
from consent.selectors.denied import DENIED_NOW_CTE, denied_now_parameters, permitted_now_sql
from recommendations.selectors.engagement import Period

PERSONALISED: Final = "personalised"
CONTROL: Final = "control"
_Z_95: Final = 1.959964


@dataclass(frozen=True)
class Group:
    """One variant's shoppers. `revenue` in minor units; `revenue_squares` sums the squares of each shopper's revenue."""

    shoppers: int = 0
    clickers: int = 0
    buyers: int = 0
    revenue: int = 0
    revenue_squares: float = 0.0

    @property
    def conversion(self) -> float | None:
        return self.buyers / self.shoppers if self.shoppers else None

    @property
    def click_share(self) -> float | None:
        return self.clickers / self.shoppers if self.shoppers else None

    @property
    def revenue_per_shopper(self) -> float | None:
        return self.revenue / self.shoppers if self.shoppers else None

    @property
    def revenue_variance(self) -> float:
        """Of one shopper's revenue; 0 with fewer than two."""
        if self.shoppers < 2:
            return 0.0
        mean = self.revenue / self.shoppers
        return max(0.0, (self.revenue_squares - self.shoppers * mean**2) / (self.shoppers - 1))


@dataclass(frozen=True)
class Uplift:
    """Relative changes against the control group (0.1 = 10 % more), each with its 95 % interval.

    None where it cannot be told: no control group, or nobody of one group bought or clicked.
    """

    personalised: Group
    control: Group
    crossed_over: int
    conversion: Interval | None
    clicks: Interval | None
    revenue: Interval | None


# Shoppers by customer where known, else by visitor; the group is that of the shelves which they saw.
_GROUPS: Final = f"""
WITH {DENIED_NOW_CTE}, seen AS (
    SELECT coalesce('c' || customer_id, 'v' || visitor_id) AS shopper, min(variant) AS variant, count(DISTINCT variant) AS variants,
           min(seen_at) AS first_seen, max(customer_id) AS customer_id, array_agg(DISTINCT visitor_id) AS visitors
      FROM recommendations_impression impression
     WHERE {permitted_now_sql("impression")}
       AND store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s AND variant IN ('personalised', 'control')
       AND (customer_id IS NOT NULL OR visitor_id IS NOT NULL)
       AND (%(placement)s = '' OR placement = %(placement)s)
     GROUP BY 1
), clicked AS (
    SELECT DISTINCT coalesce('c' || customer_id, 'v' || visitor_id) AS shopper
      FROM recommendations_impressionclick
     WHERE store_id = %(store)s AND clicked_at >= %(since)s AND clicked_at < %(until)s
       AND (%(placement)s = '' OR placement = %(placement)s)
), sale AS (
    SELECT coalesce('c' || customer_id, 'v' || visitor_id) AS shopper, placed_at,
           greatest(total_minor_units - refunded_minor_units, 0) AS revenue
      FROM tracking_order
     WHERE store_id = %(store)s AND placed_at >= %(since)s AND placed_at < %(until)s AND currency = %(currency)s
       AND status <> 'cancelled' AND NOT is_blocked AND purposes & %(analytics)s <> 0
), bought AS (
    SELECT seen.shopper, sum(sale.revenue) AS revenue FROM seen JOIN sale USING (shopper)
     WHERE sale.placed_at >= seen.first_seen GROUP BY 1
)
SELECT CASE WHEN seen.variants > 1 THEN 'both' ELSE seen.variant END, count(*), count(clicked.shopper), count(bought.shopper),
       coalesce(sum(bought.revenue), 0), coalesce(sum(bought.revenue::float8 ^ 2), 0)
  FROM seen LEFT JOIN clicked USING (shopper) LEFT JOIN bought USING (shopper)
 GROUP BY 1
"""


def uplift_of(store: Store, period: Period, placement: str = "") -> Uplift:
    """Of shoppers who permit analytics to this day. One query.

    Purchases count from a shopper's first shelf in the period on. `placement`: a slug, empty for all of them.
    """
    parameters: dict[str, Any] = {
        "store": store.pk,
        "since": period.since,
        "until": period.until,
        "currency": store.currency,
        "analytics": int(Purpose.ANALYTICS),
        **denied_now_parameters(store, Purpose.ANALYTICS),
        "placement": placement,
    }
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, parameters)
        found = {
            name: Group(shoppers, clickers, buyers, int(revenue), float(squares))
            for name, shoppers, clickers, buyers, revenue, squares in cursor.fetchall()
        }
    treated, control = found.get(PERSONALISED, Group()), found.get(CONTROL, Group())
    return Uplift(
        treated,
        control,
        found.get("both", Group()).shoppers,
        conversion=uplift(treated.buyers, treated.shoppers, control.buyers, control.shoppers),
        clicks=uplift(treated.clickers, treated.shoppers, control.clickers, control.shoppers),
        revenue=_revenue_uplift(treated, control),
    )


def _revenue_uplift(treated: Group, control: Group) -> Interval | None:
    """Relative change of the mean revenue of a shopper; interval by the delta method on the log of the ratio of means.

    None unless both groups have at least two shoppers and some revenue: the logarithm of nothing is not a number.
    """
    if min(treated.shoppers, control.shoppers) < 2 or not treated.revenue or not control.revenue:
        return None
    mean, base = treated.revenue / treated.shoppers, control.revenue / control.shoppers
    error = math.sqrt(
        treated.revenue_variance / (treated.shoppers * mean**2)
        + control.revenue_variance / (control.shoppers * base**2)
    )
    ratio = mean / base
    return Interval(ratio - 1, ratio * math.exp(-_Z_95 * error) - 1, ratio * math.exp(_Z_95 * error) - 1)
