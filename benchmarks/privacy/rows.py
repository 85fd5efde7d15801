"""The mass of a shop's rows, made by the database itself: events, visits, orders, impressions and what else hangs on people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import connection

# A shopper `n` is the visitor `bench-n` and the customer `customer-n`. A few do much: the square root of a random number is
# not evenly spread.
_PEOPLE: Final = {
    "visitors": """
INSERT INTO accounts_visitor (store_id, anonymous_id, first_seen_at, last_seen_at, country, device, is_bot)
SELECT %(store)s, 'bench-' || n, now() - interval '60 days', now(), 'DE', 'phone', false
  FROM generate_series(0, %(customers)s - 1) n
""",
    "customers": """
INSERT INTO accounts_customer (store_id, external_id, public_id, gender, country, region, city, device, language, loyalty_status,
    interests, field_sources, is_processing_restricted, has_objected_to_profiling, is_personalisation_paused, created_at, updated_at)
SELECT %(store)s, 'customer-' || n, gen_random_uuid(), '', 'DE', '', '', '', 'de', '', '[]', '{}', false, false, false, now(), now()
  FROM generate_series(0, %(customers)s - 1) n
""",
    "links": """
INSERT INTO accounts_identitylink (store_id, visitor_id, customer_id, valid_from, source, created_at)
SELECT %(store)s, v.id, c.id, now() - interval '50 days', 'identify', now()
  FROM bench_person JOIN accounts_visitor v ON v.id = visitor_id JOIN accounts_customer c ON c.id = customer_id
""",
    "logins": """
WITH login AS (
    INSERT INTO accounts_user (password, is_superuser, email, name, public_id, is_staff, is_active, is_simulated, date_joined)
    SELECT '!', false, 'shopper-' || n || '@shop.example', 'Shopper ' || n, gen_random_uuid(), false, true, true, now()
      FROM bench_person RETURNING id, email
)
INSERT INTO storefront_shopaccount (store_id, user_id, customer_id)
SELECT %(store)s, login.id, customer_id
  FROM login JOIN bench_person ON login.email = 'shopper-' || n || '@shop.example'
""",
}
# So that every other statement finds both keys of a shopper by number.
_PERSON_TABLE: Final = """
CREATE TEMPORARY TABLE bench_person AS
SELECT substr(v.anonymous_id, 7)::int AS n, v.id AS visitor_id, c.id AS customer_id
  FROM accounts_visitor v JOIN accounts_customer c ON c.external_id = 'customer-' || substr(v.anonymous_id, 7)
"""
_PERSON_INDEX: Final = "CREATE UNIQUE INDEX ON bench_person (n)"

EVENTS: Final = """
INSERT INTO tracking_event (id, store_id, message_id, type, name, visitor_id, customer_id, product_id, occurred_at, received_at,
    purposes, is_bot, is_trusted, properties, context, xact_id)
SELECT id, %(store)s, id::text, 1, 'Product Viewed', p.visitor_id, CASE WHEN number %% 3 = 0 THEN p.customer_id END,
       'p' || product, at, at, 7, false, true,
       jsonb_build_object('product_id', 'p' || product, 'category', 'category-' || product / 250, 'price', 19.9, 'currency', 'EUR'),
       '{"page": {"path": "/p/1"}, "locale": "de-DE"}', 1
  FROM (SELECT number, gen_random_uuid() AS id, now() - interval '40 days' * random() AS at,
               (%(products)s * power(random(), 3))::int %% %(products)s AS product,
               %(first)s + floor(%(among)s * power(random(), %(skew)s))::int AS n
          FROM generate_series(1, %(events)s) number) drawn
  JOIN bench_person p ON p.n = drawn.n
"""
_FOLDS: Final = {
    "visits": """
INSERT INTO tracking_session (store_id, id, visitor_id, customer_id, started_at, ended_at, event_count, product_view_count,
    search_count, cart_add_count, order_count, revenue_minor_units, dwell_seconds, device, country, is_bot)
SELECT %(store)s, gen_random_uuid(), visitor_id, max(customer_id), min(occurred_at), max(occurred_at), count(*), count(*),
       0, 0, 0, 0, 60, 'phone', 'DE', false
  FROM tracking_event GROUP BY visitor_id, date_trunc('hour', occurred_at)
""",
    "orders": """
WITH sale AS (
    INSERT INTO tracking_order (store_id, order_id, customer_id, visitor_id, status, placed_at, currency, total_minor_units,
        discount_minor_units, refunded_minor_units, payment_method, coupon, purposes, is_blocked)
    SELECT %(store)s, 'order-' || n || '-' || k, customer_id, visitor_id, 'completed', now() - interval '20 days', 'EUR', 4900,
           0, 0, 'card', '', 7, false
      FROM bench_person, generate_series(1, 2) k WHERE n %% 3 = 0 OR n < %(known)s RETURNING id
)
INSERT INTO tracking_orderline (store_id, order_id, position, product_id, name, quantity, refunded_quantity,
    unit_price_minor_units, discount_minor_units)
SELECT %(store)s, sale.id, k, 'p' || (sale.id * 7 + k) %% %(products)s, 'A product', 1, 0, 2450, 0 FROM sale, generate_series(1, 2) k
""",
    "impressions": """
INSERT INTO recommendations_impression (store_id, request_id, placement, product_id, rank, strategy, variant, model_version,
    visitor_id, customer_id, seen_at)
SELECT store_id, gen_random_uuid(), 'home', product_id, 1, 'session_knn', 'personalised', 1, visitor_id, customer_id, occurred_at
  FROM tracking_event WHERE get_byte(uuid_send(id), 15) < 128
""",
    "clicks": """
INSERT INTO recommendations_impressionclick (store_id, request_id, placement, product_id, rank, variant, visitor_id, customer_id,
    clicked_at)
SELECT store_id, request_id, placement, product_id, rank, variant, visitor_id, customer_id, seen_at
  FROM recommendations_impression WHERE id %% 20 = 0
""",
    "segments": """
WITH made AS (
    INSERT INTO segments_segment (store_id, slug, name, description, kind, rules, priority, is_active, member_count, created_at,
        updated_at)
    SELECT %(store)s, 'bench-' || k, 'Segment ' || k, '', 'rule', '{}', 0, true, 0, now(), now() FROM generate_series(1, 3) k
    RETURNING id
)
INSERT INTO segments_segmentmembership (store_id, segment_id, customer_id, since)
SELECT %(store)s, made.id, customer_id, now() FROM made, bench_person
""",
    "carts": """
INSERT INTO storefront_cart (store_id, id, account_id, created_at, updated_at)
SELECT %(store)s, gen_random_uuid(), account.id, now(), now()
  FROM storefront_shopaccount account JOIN bench_person USING (customer_id) WHERE n %% 3 = 0 OR n < %(known)s
""",
    "messages of the shop": """
INSERT INTO storefront_outboxevent (store_id, message, created_at, customer_id, sent_at, attempts, error)
SELECT %(store)s, jsonb_build_object('type', 'track', 'anonymousId', 'bench-' || n, 'userId', 'customer-' || n), now(), customer_id,
       now(), 1, ''
  FROM bench_person WHERE n %% 5 = 0 OR n < %(known)s
""",
    "statements": """
INSERT INTO accounts_profilestatement (store_id, customer_id, field, source, value, stated_at, origin)
SELECT %(store)s, customer_id, 'city', 'crm', '"Berlin"', now(), 'identify' FROM bench_person
""",
    "findings": """
INSERT INTO tracking_finding (store_id, kind, key, severity, summary, details, evidence, fingerprint, first_seen_at, last_seen_at,
    state, note)
SELECT %(store)s, 'impossible_price', 'bench-' || n, 1, 'A price', '{}', ARRAY['customer:' || customer_id], '', now(), now(), 'open', ''
  FROM bench_person WHERE n %% 50 = 0 OR n < %(known)s
""",
    "quarantine": """
INSERT INTO tracking_quarantinedevent (store_id, message_id, event_name, subject_pseudonyms, raw, digest, reason, detail, state,
    received_at)
SELECT %(store)s, 'faulty-' || n, 'Product Viewed', ARRAY[md5(n::text)], '{}', md5('faulty' || n), 'missing_product_id', '', 'open', now()
  FROM bench_person WHERE n %% 20 = 0
""",
}


def fill(
    values: Mapping[str, Any], added: Mapping[int, tuple[int, int]], step: Callable[[str], None]
) -> None:
    """Everything, in the order in which it hangs together. `added`: {events: (first shopper, number of shoppers)} beside the crowd's."""
    with connection.cursor() as cursor:

        def run(what: str, statement: str, **more: Any) -> None:
            step(what)
            cursor.execute(statement, {**values, **more})

        run("visitors", _PEOPLE["visitors"])
        run("customers", _PEOPLE["customers"])
        run("numbers", _PERSON_TABLE)
        run("numbers", _PERSON_INDEX)
        run("numbers", "ANALYZE bench_person")
        run("links", _PEOPLE["links"])
        run("logins", _PEOPLE["logins"])
        mass = values["events"] - sum(each * people for each, (_, people) in added.items())
        crowd = values["customers"] - values["known"]
        run("events", EVENTS, events=max(mass, 0), first=values["known"], among=crowd, skew=2)
        for each, (first, people) in added.items():
            run("events", EVENTS, events=each * people, first=first, among=people, skew=1)
        for what, statement in _FOLDS.items():
            run(what, statement)
