"""What shelves brought in a period: seen, clicked, bought. Read from the folds, so that it can be made again from the log.

Everything here speaks of people who permit analytics: only they are recognised, and only their orders carry the purpose.
A sale counts for a shelf where the same shopper clicked the product there in the seven days before (the last click wins).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from accounts.models import Store
from consent.purposes import Purpose

ATTRIBUTION_WINDOW: Final = timedelta(days=7)


@dataclass(frozen=True)
class Period:
    """[since, until), aware datetimes. Days are those of the store's time zone."""

    since: datetime
    until: datetime

    @property
    def before(self) -> Period:
        """The stretch of the same length just before: what this one is compared with."""
        return Period(self.since - (self.until - self.since), self.since)


def last_days(store: Store, days: int) -> Period:
    """Today so far and the whole days before it, `days` in all, by the store's clock."""
    now = timezone.now()
    today = now.astimezone(ZoneInfo(store.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(today - timedelta(days=days - 1), now)


@dataclass(frozen=True)
class Engagement:
    """Sums of a period. Money in the store's minor units; `shelf_revenue` is the part of `revenue` that shelves brought."""

    visitors: int
    visits: int
    visits_with_order: int
    impressions: int
    clicks: int
    orders: int
    revenue: int
    shelf_orders: int
    shelf_revenue: int

    @property
    def click_through(self) -> float | None:
        """Clicks per product seen on a shelf, 0..1; None where nothing was seen."""
        return self.clicks / self.impressions if self.impressions else None

    @property
    def conversion(self) -> float | None:
        """Share of visits that end in an order, 0..1; None without visits."""
        return self.visits_with_order / self.visits if self.visits else None

    @property
    def shelf_share(self) -> float | None:
        """Share of the revenue that shelves brought, 0..1; None without revenue."""
        return self.shelf_revenue / self.revenue if self.revenue else None


@dataclass(frozen=True)
class Day:
    day: date
    visitors: int = 0
    visits: int = 0
    visits_with_order: int = 0
    impressions: int = 0
    clicks: int = 0
    revenue: int = 0
    shelf_revenue: int = 0


@dataclass(frozen=True)
class PlacementFigures:
    """`placement` is its slug."""

    placement: str
    impressions: int
    clicks: int
    shelf_orders: int
    shelf_revenue: int

    @property
    def click_through(self) -> float | None:
        return self.clicks / self.impressions if self.impressions else None

    @property
    def revenue_per_thousand(self) -> float | None:
        """Minor units per 1,000 products seen: what makes a busy and a quiet shelf comparable."""
        return 1000 * self.shelf_revenue / self.impressions if self.impressions else None


_ORDERS: Final = """
SELECT id, placed_at, customer_id, visitor_id, greatest(total_minor_units - refunded_minor_units, 0) AS revenue
  FROM tracking_order
 WHERE store_id = %(store)s AND placed_at >= %(since)s AND placed_at < %(until)s AND currency = %(currency)s
   AND status <> 'cancelled' AND NOT is_blocked AND purposes & %(analytics)s <> 0
"""
# One row a line that a click on a shelf came before.
SALES: Final = f"""
SELECT DISTINCT ON (line.id) line.id, sale.id AS order_id, sale.placed_at, click.placement, click.request_id,
       greatest((line.quantity - line.refunded_quantity) * line.unit_price_minor_units - line.discount_minor_units, 0) AS revenue
  FROM ({_ORDERS}) sale
  JOIN tracking_orderline line ON line.order_id = sale.id
  JOIN recommendations_impressionclick click
    ON click.store_id = %(store)s AND click.product_id = line.product_id
   AND (click.visitor_id = sale.visitor_id OR click.customer_id = sale.customer_id)
   AND click.clicked_at <= sale.placed_at AND click.clicked_at > sale.placed_at - %(window)s::interval
   AND click.clicked_at >= %(since)s - %(window)s::interval AND click.clicked_at < %(until)s
 ORDER BY line.id, click.clicked_at DESC
"""


def sale_parameters(store: Store, period: Period) -> dict[str, Any]:
    """What `SALES` and the queries here are asked with."""
    return {
        "store": store.pk,
        "since": period.since,
        "until": period.until,
        "currency": store.currency,
        "zone": store.time_zone,
        "analytics": int(Purpose.ANALYTICS),
        "window": ATTRIBUTION_WINDOW,
    }


def _rows(query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def engagement(store: Store, period: Period) -> Engagement:
    """The sums of a period, in one query."""
    query = f"""
        WITH sale AS ({_ORDERS}), shelf_sale AS ({SALES})
        SELECT visits.visitors, visits.visits, visits.with_order,
               (SELECT count(*) FROM recommendations_impression
                 WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s),
               (SELECT count(*) FROM recommendations_impressionclick
                 WHERE store_id = %(store)s AND clicked_at >= %(since)s AND clicked_at < %(until)s),
               (SELECT count(*) FROM sale), (SELECT coalesce(sum(revenue), 0) FROM sale),
               (SELECT count(DISTINCT order_id) FROM shelf_sale), (SELECT coalesce(sum(revenue), 0) FROM shelf_sale)
          FROM (SELECT count(DISTINCT visitor_id) AS visitors, count(*) AS visits, count(*) FILTER (WHERE order_count > 0) AS with_order
                  FROM tracking_session
                 WHERE store_id = %(store)s AND started_at >= %(since)s AND started_at < %(until)s AND NOT is_bot) visits
    """
    return Engagement(*(int(value) for value in _rows(query, sale_parameters(store, period))[0]))


_BY_DAY: Final[Sequence[tuple[tuple[str, ...], str]]] = (
    (
        ("visitors", "visits", "visits_with_order"),
        """SELECT (started_at AT TIME ZONE %(zone)s)::date, count(DISTINCT visitor_id), count(*), count(*) FILTER (WHERE order_count > 0)
             FROM tracking_session
            WHERE store_id = %(store)s AND started_at >= %(since)s AND started_at < %(until)s AND NOT is_bot GROUP BY 1""",
    ),
    (
        ("impressions",),
        """SELECT (seen_at AT TIME ZONE %(zone)s)::date, count(*) FROM recommendations_impression
            WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s GROUP BY 1""",
    ),
    (
        ("clicks",),
        """SELECT (clicked_at AT TIME ZONE %(zone)s)::date, count(*) FROM recommendations_impressionclick
            WHERE store_id = %(store)s AND clicked_at >= %(since)s AND clicked_at < %(until)s GROUP BY 1""",
    ),
    (
        ("revenue",),
        f"SELECT (placed_at AT TIME ZONE %(zone)s)::date, sum(revenue) FROM ({_ORDERS}) sale GROUP BY 1",
    ),
    (
        ("shelf_revenue",),
        f"SELECT (placed_at AT TIME ZONE %(zone)s)::date, sum(revenue) FROM ({SALES}) sale GROUP BY 1",
    ),
)


def engagement_by_day(store: Store, period: Period) -> list[Day]:
    """Every day of the period in the store's time zone, oldest first, quiet ones with zeros. Five queries."""
    parameters = sale_parameters(store, period)
    found: dict[date, dict[str, int]] = {}
    for names, query in _BY_DAY:
        for day, *values in _rows(query, parameters):
            found.setdefault(day, {}).update(zip(names, map(int, values), strict=True))
    first, last = _rows(
        "SELECT (%(since)s AT TIME ZONE %(zone)s)::date, ((%(until)s - interval '1 microsecond') AT TIME ZONE %(zone)s)::date",
        parameters,
    )[0]
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [Day(day, **found.get(day, {})) for day in days]


def engagement_by_placement(store: Store, period: Period) -> list[PlacementFigures]:
    """Every placement that was seen, clicked or sold from, the one with the highest revenue first."""
    query = f"""
        WITH seen AS (SELECT placement, count(*) AS n FROM recommendations_impression
                       WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s GROUP BY 1),
             clicked AS (SELECT placement, count(*) AS n FROM recommendations_impressionclick
                          WHERE store_id = %(store)s AND clicked_at >= %(since)s AND clicked_at < %(until)s GROUP BY 1),
             sold AS (SELECT placement, count(DISTINCT order_id) AS orders, sum(revenue) AS revenue FROM ({SALES}) sale GROUP BY 1)
        SELECT placement, coalesce(seen.n, 0), coalesce(clicked.n, 0), coalesce(sold.orders, 0), coalesce(sold.revenue, 0)
          FROM seen FULL JOIN clicked USING (placement) FULL JOIN sold USING (placement)
         ORDER BY 5 DESC, 3 DESC, 1
    """
    return [
        PlacementFigures(slug, *map(int, rest))
        for slug, *rest in _rows(query, sale_parameters(store, period))
    ]
