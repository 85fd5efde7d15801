"""SQL behind the features. Every statement reads only what its person permits for personalisation: when it happened and when
it came (the event's own mask), and now (whoever has refused, objected, is restricted or has paused is left out). No bots.

A shopper is a pair (customer, visitor) of which one is null: a customer with everything of their browsers, or a browser
that belongs to nobody known.
"""

from __future__ import annotations

from typing import Final

from accounts.selectors.identity import IDENTITY_CTE
from consent.selectors.denied import DENIED_NOW_CTE, permitted_now_sql

SESSION_GAP_MINUTES: Final = 30
HISTORY_DAYS: Final = 365

# Of merged customers the kept record; the links of `identity` name it already.
_WHO: Final = """
    COALESCE(record.person_id, {alias}.customer_id, identity.customer_id) AS customer_id,
    CASE WHEN COALESCE({alias}.customer_id, identity.customer_id) IS NULL THEN {alias}.visitor_id END AS visitor_id
"""
_JOIN_IDENTITY: Final = """
    LEFT JOIN accounts_personrecord record ON record.customer_id = {alias}.customer_id
    LEFT JOIN identity ON identity.visitor_id = {alias}.visitor_id
         AND {alias}.{moment} >= identity.valid_from AND {alias}.{moment} < identity.valid_until
"""
# Told by a browser only, cancelled or wholly refunded is no order.
_PLACED: Final = f"""
placed AS (
    SELECT {_WHO.format(alias="o")}, o.placed_at, o.total_minor_units - o.refunded_minor_units AS revenue, o.coupon <> '' AS has_coupon
      FROM tracking_order o {_JOIN_IDENTITY.format(alias="o", moment="placed_at")}
     WHERE o.store_id = %(store)s AND o.purposes & %(purpose)s <> 0 AND NOT o.is_blocked
       AND o.status IN ('completed', 'partly_refunded') AND o.placed_at <= %(now)s
       AND (o.customer_id IS NOT NULL OR o.visitor_id IS NOT NULL) AND {permitted_now_sql("o")}
)
"""
_SEEN: Final = f"""
seen AS (
    SELECT {_WHO.format(alias="e")}, e.visitor_id AS browser, e.name, e.product_id, e.occurred_at
      FROM tracking_event e {_JOIN_IDENTITY.format(alias="e", moment="occurred_at")}
     WHERE e.store_id = %(store)s AND e.purposes & %(purpose)s <> 0 AND NOT e.is_bot
       AND e.occurred_at > %(now)s - %(history)s AND e.occurred_at <= %(now)s
       AND (e.customer_id IS NOT NULL OR e.visitor_id IS NOT NULL) AND {permitted_now_sql("e")}
)
"""

ORDERS: Final = f"""
WITH {DENIED_NOW_CTE}, {IDENTITY_CTE}, {_PLACED}
SELECT customer_id, visitor_id,
       count(*) FILTER (WHERE placed_at > %(now)s - interval '30 days'),
       count(*) FILTER (WHERE placed_at > %(now)s - interval '90 days'),
       count(*) FILTER (WHERE placed_at > %(now)s - interval '365 days'),
       count(*),
       COALESCE(sum(revenue) FILTER (WHERE placed_at > %(now)s - interval '30 days'), 0)::float8,
       COALESCE(sum(revenue) FILTER (WHERE placed_at > %(now)s - interval '90 days'), 0)::float8,
       COALESCE(sum(revenue) FILTER (WHERE placed_at > %(now)s - interval '365 days'), 0)::float8,
       sum(revenue)::float8,
       extract(epoch FROM min(placed_at))::float8,
       extract(epoch FROM max(placed_at))::float8,
       avg(has_coupon::int)::float8
  FROM placed
 GROUP BY customer_id, visitor_id
"""

VISITS: Final = f"""
WITH {DENIED_NOW_CTE}, {IDENTITY_CTE}, {_PLACED}, {_SEEN},
stepped AS (
    SELECT *, occurred_at - lag(occurred_at) OVER (PARTITION BY customer_id, visitor_id, browser ORDER BY occurred_at) AS gap FROM seen
),
numbered AS (
    SELECT *, count(*) FILTER (WHERE gap IS NULL OR gap > make_interval(mins => {SESSION_GAP_MINUTES}))
              OVER (PARTITION BY customer_id, visitor_id, browser ORDER BY occurred_at) AS session
      FROM stepped
),
visit AS (
    SELECT customer_id, visitor_id, min(occurred_at) AS started_at, max(occurred_at) AS ended_at,
           count(*) FILTER (WHERE name = 'Product Viewed') AS views,
           count(*) FILTER (WHERE name = 'Products Searched') AS searches,
           count(*) FILTER (WHERE name = 'Product Added') AS cart_adds
      FROM numbered
     GROUP BY customer_id, visitor_id, browser, session
),
judged AS (
    SELECT *, cart_adds > 0 AND NOT EXISTS (
               SELECT 1 FROM placed
                WHERE COALESCE(placed.customer_id, -placed.visitor_id) = COALESCE(visit.customer_id, -visit.visitor_id)
                  AND placed.placed_at >= visit.started_at AND placed.placed_at <= visit.ended_at + interval '1 day'
           ) AS is_abandoned
      FROM visit
)
SELECT customer_id, visitor_id,
       count(*) FILTER (WHERE started_at > %(now)s - interval '30 days'),
       count(*) FILTER (WHERE started_at > %(now)s - interval '90 days'),
       count(*),
       (avg(extract(epoch FROM ended_at - started_at)) FILTER (WHERE started_at > %(now)s - interval '90 days') / 60)::float8,
       COALESCE(sum(views) FILTER (WHERE started_at > %(now)s - interval '30 days'), 0)::float8,
       COALESCE(sum(views) FILTER (WHERE started_at > %(now)s - interval '90 days'), 0)::float8,
       COALESCE(sum(searches) FILTER (WHERE started_at > %(now)s - interval '90 days'), 0)::float8,
       COALESCE(sum(cart_adds) FILTER (WHERE started_at > %(now)s - interval '90 days'), 0)::float8,
       count(*) FILTER (WHERE is_abandoned AND started_at > %(now)s - interval '90 days'),
       count(*) FILTER (WHERE cart_adds > 0 AND started_at > %(now)s - interval '90 days'),
       extract(epoch FROM min(started_at))::float8,
       extract(epoch FROM max(ended_at))::float8
  FROM judged
 GROUP BY customer_id, visitor_id
"""

FAVOURITES: Final = f"""
WITH {DENIED_NOW_CTE}, {IDENTITY_CTE}, {_SEEN},
looked AS (
    SELECT seen.customer_id, seen.visitor_id, category.path, count(*) AS looks
      FROM seen
      JOIN catalog_product product ON product.store_id = %(store)s AND product.external_id = seen.product_id
      JOIN catalog_category category ON category.id = product.category_id
     WHERE seen.name IN ('Product Viewed', 'Product Added') AND seen.occurred_at > %(now)s - interval '90 days'
     GROUP BY 1, 2, 3
)
SELECT DISTINCT ON (customer_id, visitor_id) customer_id, visitor_id, path
  FROM looked
 ORDER BY customer_id, visitor_id, looks DESC, path
"""

# Customers who permit it in so many words, even if they have done nothing yet, and the profiles of all who are asked for.
CUSTOMERS: Final = f"""
WITH {DENIED_NOW_CTE}
SELECT customer.id, customer.birth_year, customer.gender, customer.country, customer.region, customer.city, customer.language,
       customer.device, customer.loyalty_status, customer.interests,
       extract(epoch FROM COALESCE(customer.account_created_at, customer.created_at))::float8,
       extract(epoch FROM browser.first_seen_at)::float8, COALESCE(browser.country, ''), COALESCE(browser.device, '')
  FROM accounts_customer customer
  LEFT JOIN newest_decision decision ON decision.subject = 'c:' || customer.external_id
  LEFT JOIN LATERAL (
        SELECT min(visitor.first_seen_at) AS first_seen_at,
               (array_agg(visitor.country ORDER BY visitor.last_seen_at DESC) FILTER (WHERE visitor.country <> ''))[1] AS country,
               (array_agg(visitor.device ORDER BY visitor.last_seen_at DESC) FILTER (WHERE visitor.device <> ''))[1] AS device
          FROM accounts_identitylink link JOIN accounts_visitor visitor ON visitor.id = link.visitor_id
         WHERE link.undone_at IS NULL
           AND (link.customer_id = customer.id
                OR link.customer_id IN (SELECT kin.customer_id FROM accounts_personrecord kin WHERE kin.person_id = customer.id))
       ) browser ON true
 WHERE customer.store_id = %(store)s AND (customer.id = ANY(%(known)s) OR decision.granted & %(purpose)s <> 0)
   AND NOT customer.is_personalisation_paused AND customer.id NOT IN (SELECT id FROM denied_customer)
   AND NOT EXISTS (SELECT 1 FROM accounts_personrecord record WHERE record.customer_id = customer.id AND record.person_id <> customer.id)
   AND NOT EXISTS (SELECT 1 FROM accounts_personrecord kin JOIN accounts_customer paused ON paused.id = kin.customer_id
                    WHERE kin.person_id = customer.id AND paused.is_personalisation_paused)
"""

VISITORS: Final = """
SELECT id, country, device, extract(epoch FROM first_seen_at)::float8
  FROM accounts_visitor WHERE store_id = %(store)s AND id = ANY(%(known)s) AND NOT is_bot
"""
