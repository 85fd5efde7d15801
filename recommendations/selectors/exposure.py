"""What shoppers really saw on shelves, over time: how evenly products are shown, how varied a shopper's shelves are, who clicks.

Read from impressions and clicks: of people who permit analytics. Groups of fewer than ten people are not named; what leaves the
system says nothing of fewer (`as_exported`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from accounts.models import Store
from algorithms.small_cells import is_small, published_part
from catalog.models import Product
from consent.purposes import Purpose
from profiles.events import INTERACTIONS
from recommendations.models import Density
from recommendations.selectors.engagement import Period
from recommendations.serving.configuration import LITTLE, MUCH
from recommendations.training.groups import LEAST_SHOPPERS
from segments.models import Segment


@dataclass(frozen=True)
class ExposureDay:
    """`gini` 0..1 over the catalogue on sale, `shown_share` of it 0..1, `diversity` 0..1: pairs of what a shopper saw on shelves that
    come from different categories, the mean over shoppers; `categories` they saw. None where nothing, or of too few people, is known."""

    day: date
    impressions: int = 0
    gini: float | None = None
    shown_share: float | None = None
    diversity: float | None = None
    categories: float | None = None
    shoppers: int = 0

    def as_exported(self) -> dict[str, Any]:
        """A row of a file; a day on which fewer than ten people saw shelves says nothing."""
        row = asdict(self)
        if is_small(self.shoppers):
            row |= dict.fromkeys(row.keys() - {"day"})
        return row


@dataclass(frozen=True)
class ClicksOf:
    """What a group of shoppers saw and clicked."""

    key: str
    name: str
    shoppers: int
    impressions: int
    clicks: int
    clickers: int

    @property
    def click_through(self) -> float:
        return self.clicks / self.impressions if self.impressions else 0.0

    def as_hidden(self) -> dict[str, Any]:
        """A row of a file that tells nothing but that the group is there."""
        row = self.as_exported()
        return row | dict.fromkeys(row.keys() - {"key", "name"})

    def as_exported(self) -> dict[str, Any]:
        """A row of a file; clicks are left out where fewer than ten people clicked, or did not."""
        row = {**asdict(self), "click_through": round(self.click_through, 5)}
        if published_part(self.clickers, self.shoppers) is None:
            row |= {"clicks": None, "clickers": None, "click_through": None}
        return row


_SEEN: Final = """
SELECT (seen_at AT TIME ZONE %(zone)s)::date AS day, product_id, coalesce(customer_id, -visitor_id) AS person
  FROM recommendations_impression
 WHERE store_id = %(store)s AND seen_at >= %(since)s AND seen_at < %(until)s
"""
# Gini = Σ (2·rank − n − 1) · count / (n · Σ count); products that were not shown hold the first ranks.
_EXPOSURE: Final = f"""
WITH counts AS (SELECT day, product_id, count(*) AS c FROM ({_SEEN}) seen GROUP BY 1, 2),
     ranked AS (SELECT day, c, row_number() OVER (PARTITION BY day ORDER BY c) AS place, count(*) OVER (PARTITION BY day) AS shown
                  FROM counts),
     sized AS (SELECT *, greatest(%(products)s, shown) AS n FROM ranked)
SELECT day, sum(c), max(shown)::float8 / max(n),
       sum((2 * (n - shown + place) - n - 1)::float8 * c) / (max(n) * sum(c)),
       (SELECT count(DISTINCT seen.person) FROM ({_SEEN}) seen WHERE seen.day = sized.day)
  FROM sized GROUP BY day
"""
_DIVERSITY: Final = f"""
WITH of_category AS (
         SELECT seen.day, seen.person, product.category_id, count(DISTINCT seen.product_id) AS c
           FROM ({_SEEN}) seen JOIN catalog_product product ON product.store_id = %(store)s AND product.external_id = seen.product_id
          WHERE seen.person IS NOT NULL GROUP BY 1, 2, 3),
     of_person AS (SELECT day, person, sum(c) AS n, count(*) AS categories, sum(c * (c - 1)) AS same FROM of_category GROUP BY 1, 2)
SELECT day, avg(1 - same::float8 / (n * (n - 1))) FILTER (WHERE n > 1), avg(categories)::float8
  FROM of_person GROUP BY day HAVING count(*) >= %(least)s
"""
_CLICKED: Final = """
  LEFT JOIN recommendations_impressionclick click
    ON click.store_id = %(store)s AND click.request_id = i.request_id AND click.product_id = i.product_id
"""
_BY_SEGMENT: Final = f"""
SELECT member.segment_id, count(DISTINCT coalesce(i.customer_id, -i.visitor_id)), count(*), count(click.id),
       count(DISTINCT coalesce(i.customer_id, -i.visitor_id)) FILTER (WHERE click.id IS NOT NULL)
  FROM recommendations_impression i {_CLICKED}
  JOIN segments_segmentmembership member
    ON member.store_id = %(store)s
   AND (member.customer_id = i.customer_id OR (i.customer_id IS NULL AND member.visitor_id = i.visitor_id))
 WHERE i.store_id = %(store)s AND i.seen_at >= %(since)s AND i.seen_at < %(until)s
 GROUP BY 1 HAVING count(DISTINCT coalesce(i.customer_id, -i.visitor_id)) >= %(least)s
"""
# When a browser or a customer had done so much that little, or much, was known of them.
_BY_DENSITY: Final = f"""
WITH shown AS (
         SELECT i.*, click.id AS click FROM recommendations_impression i {_CLICKED}
          WHERE i.store_id = %(store)s AND i.seen_at >= %(since)s AND i.seen_at < %(until)s),
     deed AS (
         SELECT visitor_id, customer_id, occurred_at FROM tracking_event
          WHERE store_id = %(store)s AND name = ANY(%(names)s) AND product_id <> '' AND NOT is_bot
            AND purposes & %(personalisation)s <> 0 AND occurred_at < %(until)s),
     of_visitor AS (
         SELECT visitor_id, (array_agg(occurred_at ORDER BY occurred_at))[%(little)s] AS little,
                (array_agg(occurred_at ORDER BY occurred_at))[%(much)s] AS much
           FROM deed WHERE visitor_id IN (SELECT visitor_id FROM shown) GROUP BY 1),
     of_customer AS (
         SELECT customer_id, (array_agg(occurred_at ORDER BY occurred_at))[%(little)s] AS little,
                (array_agg(occurred_at ORDER BY occurred_at))[%(much)s] AS much
           FROM deed WHERE customer_id IN (SELECT customer_id FROM shown) GROUP BY 1)
SELECT CASE WHEN least(v.much, c.much) < shown.seen_at THEN '{Density.MUCH}'
            WHEN least(v.little, c.little) < shown.seen_at THEN '{Density.LITTLE}' ELSE '{Density.NOTHING}' END AS density,
       count(DISTINCT coalesce(shown.customer_id, -shown.visitor_id)) AS shoppers, count(*), count(shown.click),
       count(DISTINCT coalesce(shown.customer_id, -shown.visitor_id)) FILTER (WHERE shown.click IS NOT NULL)
  FROM shown LEFT JOIN of_visitor v USING (visitor_id) LEFT JOIN of_customer c ON c.customer_id = shown.customer_id
 GROUP BY 1 HAVING count(DISTINCT coalesce(shown.customer_id, -shown.visitor_id)) >= %(least)s
"""


def exposure_by_day(store: Store, period: Period) -> list[ExposureDay]:
    """Every day of the period by the store's clock, oldest first. Two queries and one that counts products on sale."""
    parameters = {
        **_parameters(store, period),
        "products": Product.objects.for_store(store).filter(is_active=True).count(),
    }
    shown = {day: rest for day, *rest in _rows(_EXPOSURE, parameters)}
    varied = {day: rest for day, *rest in _rows(_DIVERSITY, parameters)}
    zone = ZoneInfo(store.time_zone)
    first, last = (moment.astimezone(zone).date() for moment in (period.since, period.until))
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [_day(day, shown.get(day), varied.get(day)) for day in days]


def _day(day: date, shown: Sequence[Any] | None, varied: Sequence[Any] | None) -> ExposureDay:
    impressions, share, gini, shoppers = shown or (0, None, None, 0)
    diversity, categories = varied or (None, None)
    return ExposureDay(day, int(impressions), gini, share, diversity, categories, shoppers)


def clicks_by_segment(store: Store, period: Period) -> list[ClicksOf]:
    """By the segments that shoppers are in now, the one that sees most first."""
    names = {
        pk: (slug, name)
        for pk, slug, name in Segment.objects.for_store(store)
        .filter(is_active=True)
        .values_list("pk", "slug", "name")
    }
    rows = _rows(_BY_SEGMENT, _parameters(store, period))
    found = [ClicksOf(*names[pk], *map(int, counts)) for pk, *counts in rows if pk in names]
    return sorted(found, key=lambda row: -row.impressions)


def clicks_by_density(store: Store, period: Period) -> list[ClicksOf]:
    """By how much was known of the shopper when they saw the shelf, the least first."""
    parameters = {
        **_parameters(store, period),
        "names": list(INTERACTIONS),
        "personalisation": int(Purpose.PERSONALISATION),
        "little": LITTLE,
        "much": MUCH,
    }
    found = {density: counts for density, *counts in _rows(_BY_DENSITY, parameters)}
    return [
        ClicksOf(density, str(density.label), *map(int, found[density]))
        for density in (Density.NOTHING, Density.LITTLE, Density.MUCH)
        if density in found
    ]


def _parameters(store: Store, period: Period) -> dict[str, Any]:
    return {
        "store": store.pk,
        "since": period.since,
        "until": period.until,
        "zone": store.time_zone,
        "least": LEAST_SHOPPERS,
    }


def _rows(query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
