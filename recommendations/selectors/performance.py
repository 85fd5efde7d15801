"""What shelves were worth: seen, clicked, bought, and compared with the control group.

All figures are of people who permit analytics, without bots, over [since, until). A conversion is an order that holds a product which its buyer
had clicked on a shelf in the `ATTRIBUTION_DAYS` before; its revenue is that of those products' lines, net of refunds. What people of the two
groups buy at all, shelf or not, is what the uplift compares: who is shown better things may buy elsewhere on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
from django.db import connection
from django.utils import timezone

from accounts.models import Store
from algorithms.experiments import Interval, bootstrap_mean, two_proportions, uplift
from consent.purposes import Purpose
from tracking.models import Order

ATTRIBUTION_DAYS: Final = 7
CONTROL, PERSONALISED = "control", "personalised"

_LINES: Final = f"""
WITH click AS (
  SELECT placement, product_id, visitor_id, customer_id, clicked_at FROM recommendations_impressionclick
   WHERE store_id = %(store)s AND clicked_at >= %(since)s - interval '{ATTRIBUTION_DAYS} days' AND clicked_at < %(until)s
), sold AS (
  SELECT DISTINCT ON (line.id) line.id, o.id AS order_id, o.placed_at, click.placement,
         (line.quantity - line.refunded_quantity) * line.unit_price_minor_units - line.discount_minor_units AS revenue
    FROM tracking_order o
    JOIN tracking_orderline line ON line.order_id = o.id
    JOIN click ON click.product_id = line.product_id
     AND (click.customer_id = o.customer_id OR click.visitor_id = o.visitor_id)
     AND click.clicked_at <= o.placed_at AND click.clicked_at > o.placed_at - interval '{ATTRIBUTION_DAYS} days'
   WHERE o.store_id = %(store)s AND o.placed_at >= %(since)s AND o.placed_at < %(until)s AND NOT o.is_blocked
     AND o.status NOT IN ('{Order.Status.UNCONFIRMED}', '{Order.Status.CANCELLED}', '{Order.Status.REFUNDED}')
     AND o.purposes & {int(Purpose.ANALYTICS)} <> 0
   ORDER BY line.id, click.clicked_at DESC
)
"""
_SEEN: Final = """
SELECT {group}, count(*), count(DISTINCT request_id), count(DISTINCT visitor_id) FROM recommendations_impression
 WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s GROUP BY 1
"""
_CLICKED: Final = """
SELECT {group}, count(*), count(DISTINCT request_id) FROM recommendations_impressionclick
 WHERE store_id = %(store)s AND clicked_at >= %(since)s AND clicked_at < %(until)s GROUP BY 1
"""
_SOLD: Final = _LINES + "SELECT {group}, count(DISTINCT order_id), sum(revenue) FROM sold GROUP BY 1"

_PEOPLE: Final = f"""
WITH exposed AS (
  SELECT DISTINCT ON (person) person, variant, first_seen FROM (
    SELECT coalesce('c' || customer_id, 'v' || visitor_id) AS person, variant, min(seen_at) AS first_seen
      FROM recommendations_impression
     WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s AND variant IN ('{CONTROL}', '{PERSONALISED}')
     GROUP BY 1, 2
  ) seen ORDER BY person, first_seen
), bought AS (
  SELECT coalesce('c' || o.customer_id, 'v' || o.visitor_id) AS person, o.placed_at, o.total_minor_units - o.refunded_minor_units AS revenue
    FROM tracking_order o
   WHERE o.store_id = %(store)s AND o.placed_at >= %(since)s AND o.placed_at < %(until)s AND NOT o.is_blocked
     AND o.status NOT IN ('{Order.Status.UNCONFIRMED}', '{Order.Status.CANCELLED}') AND o.purposes & {int(Purpose.ANALYTICS)} <> 0
)
SELECT exposed.variant, count(bought.person), coalesce(sum(bought.revenue), 0)
  FROM exposed LEFT JOIN bought ON bought.person = exposed.person AND bought.placed_at >= exposed.first_seen
 GROUP BY exposed.person, exposed.variant
"""
_CLICKERS: Final = f"""
SELECT variant, count(*), count(*) FILTER (WHERE clicked) FROM (
  SELECT seen.variant, seen.person, bool_or(click.id IS NOT NULL) AS clicked FROM (
    SELECT DISTINCT variant, coalesce('c' || customer_id, 'v' || visitor_id) AS person, request_id FROM recommendations_impression
     WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s AND variant IN ('{CONTROL}', '{PERSONALISED}')
  ) seen LEFT JOIN recommendations_impressionclick click ON click.store_id = %(store)s AND click.request_id = seen.request_id
  GROUP BY 1, 2
) people GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """`shelves` are shown requests, `impressions` products seen on them. Money in minor units of the store's currency."""

    impressions: int = 0
    shelves: int = 0
    visitors: int = 0
    clicks: int = 0
    clicked_shelves: int = 0
    orders: int = 0
    revenue_minor_units: int = 0

    @property
    def click_through(self) -> float:
        """Share of shelves with a click, 0..1; 0 without shelves."""
        return min(1.0, self.clicked_shelves / self.shelves) if self.shelves else 0.0

    @property
    def conversion(self) -> float:
        """Orders per shelf with a click, 0..1."""
        return min(1.0, self.orders / self.clicked_shelves) if self.clicked_shelves else 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """People of one variant. `buyers` ordered anything after they first saw a shelf; `clickers` opened a product on one."""

    people: int
    clickers: int
    buyers: int
    revenue_minor_units: int

    @property
    def conversion(self) -> float:
        return self.buyers / self.people if self.people else 0.0

    @property
    def revenue_per_person(self) -> float:
        return self.revenue_minor_units / self.people if self.people else 0.0


@dataclass(frozen=True)
class Comparison:
    """Personalised against control, with 95 % intervals; None where there is too little to compare.

    `conversion` is the difference of shares (0.01 = one person more in a hundred), `conversion_uplift` the relative change,
    `revenue` the difference per person in minor units.
    """

    personalised: Group
    control: Group
    click: Interval | None
    conversion: Interval | None
    conversion_uplift: Interval | None
    revenue: Interval | None

    @property
    def is_certain(self) -> bool:
        """The interval of the conversion's difference does not hold 0."""
        return self.conversion is not None and (self.conversion.low > 0 or self.conversion.high < 0)


@dataclass(frozen=True)
class Performance:
    total: Figures
    by_placement: Mapping[str, Figures]
    by_day: Mapping[date, Figures]
    by_strategy: Mapping[str, tuple[int, int]]  # impressions, clicks
    comparison: Comparison


def performance(store: Store | int, *, since: datetime, until: datetime | None = None) -> Performance:
    """Eleven aggregate queries, none of them per person. Days are the store's own."""
    store_id = store if isinstance(store, int) else store.pk
    zone = "UTC" if isinstance(store, int) else store.time_zone
    window = {"store": store_id, "since": since, "until": until or timezone.now(), "zone": zone}
    return Performance(
        total=_figures(window, "''", "''", "''").get("", Figures()),
        by_placement=_figures(window, "placement", "placement", "placement"),
        by_day=_figures(window, _day("seen_at"), _day("clicked_at"), _day("placed_at")),
        by_strategy=_by_strategy(window),
        comparison=compare(store_id, since=since, until=until),
    )


def compare(
    store: Store | int, *, since: datetime, until: datetime | None = None, seed: int = 0
) -> Comparison:
    """Everybody who saw a shelf, by the variant that they saw first."""
    store_id = store if isinstance(store, int) else store.pk
    window = {"store": store_id, "since": since, "until": until or timezone.now()}
    revenue: dict[str, list[int]] = {CONTROL: [], PERSONALISED: []}
    buyers = {CONTROL: 0, PERSONALISED: 0}
    for variant, orders, spent in _rows(_PEOPLE, window):
        revenue[variant].append(int(spent))
        buyers[variant] += orders > 0
    clickers = {variant: clicked for variant, _people, clicked in _rows(_CLICKERS, window)}
    groups = {
        variant: Group(
            len(revenue[variant]),
            min(clickers.get(variant, 0), len(revenue[variant])),
            buyers[variant],
            sum(revenue[variant]),
        )
        for variant in revenue
    }
    return _compared(groups[PERSONALISED], groups[CONTROL], revenue, seed)


def _compared(
    personalised: Group, control: Group, revenue: Mapping[str, Sequence[int]], seed: int
) -> Comparison:
    if not personalised.people or not control.people:
        return Comparison(personalised, control, None, None, None, None)
    return Comparison(
        personalised,
        control,
        click=two_proportions(personalised.clickers, personalised.people, control.clickers, control.people),
        conversion=two_proportions(personalised.buyers, personalised.people, control.buyers, control.people),
        conversion_uplift=uplift(personalised.buyers, personalised.people, control.buyers, control.people),
        revenue=_difference(revenue[PERSONALISED], revenue[CONTROL], np.random.default_rng(seed)),
    )


def _difference(treated: Sequence[int], control: Sequence[int], rng: np.random.Generator) -> Interval | None:
    """Of two means, by the bootstrap of each group; None while a group has fewer than 20 people."""
    if min(len(treated), len(control)) < 20:
        return None
    a = bootstrap_mean(np.array(treated, np.float64), rng)
    b = bootstrap_mean(np.array(control, np.float64), rng)
    estimate = a.estimate - b.estimate
    below = float(np.hypot(a.estimate - a.low, b.high - b.estimate))
    above = float(np.hypot(a.high - a.estimate, b.estimate - b.low))
    return Interval(estimate, estimate - below, estimate + above)


def _figures(window: Mapping[str, Any], seen: str, clicked: str, sold: str) -> dict[Any, Figures]:
    """By whatever the three expressions group by."""
    found: dict[Any, dict[str, int]] = {}
    for group, impressions, shelves, visitors in _rows(_SEEN.format(group=seen), window):
        found[group] = {"impressions": impressions, "shelves": shelves, "visitors": visitors}
    for group, clicks, clicked_shelves in _rows(_CLICKED.format(group=clicked), window):
        found.setdefault(group, {}).update(clicks=clicks, clicked_shelves=clicked_shelves)
    for group, orders, revenue in _rows(_SOLD.format(group=sold), window):
        found.setdefault(group, {}).update(orders=orders, revenue_minor_units=int(revenue or 0))
    return {group: Figures(**values) for group, values in sorted(found.items())}


def _by_strategy(window: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    query = """
    SELECT seen.strategy, count(*), count(click.id) FROM recommendations_impression seen
      LEFT JOIN recommendations_impressionclick click
        ON click.store_id = seen.store_id AND click.request_id = seen.request_id AND click.product_id = seen.product_id
     WHERE seen.store_id = %(store)s AND seen.seen_at >= %(since)s AND seen.seen_at < %(until)s AND seen.strategy <> ''
     GROUP BY 1 ORDER BY 2 DESC
    """
    return {strategy: (impressions, clicks) for strategy, impressions, clicks in _rows(query, window)}


def _day(column: str) -> str:
    return f"({column} AT TIME ZONE %(zone)s)::date"


def _rows(query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, dict(parameters))
        return list(cursor.fetchall())


def last_days(days: int) -> datetime:
    """The moment `days` ago."""
    return timezone.now() - timedelta(days=days)
