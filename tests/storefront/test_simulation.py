from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from storefront.demo import catalogue
from storefront.simulation.shoppers import Answer, Persona
from storefront.simulation.simulation import Simulation, is_badly_built
from storefront.simulation.traits import TARGETS, TraitMeter, gini, outside_of_targets
from storefront.simulation.world import BUNDLES, WorldProduct

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATE = {"Order Refunded", "Order Cancelled"}


def world_products() -> list[WorldProduct]:
    return [
        WorldProduct(
            product.external_id,
            product.name,
            product.category_path,
            product.brand_slug,
            product.price_minor_units / 100,
            product.attributes["season"],
            product.variant_group,
            (NOW - timedelta(days=product.age_days)).date(),
            product.stock > 0,
        )
        for product in catalogue.products()
    ]


PRODUCTS = world_products()
MAIN_OF = {product.product_id: product.category_path.split("/")[0] for product in PRODUCTS}


def simulation(shoppers: int = 120, days: int = 20, seed: int = 5, **values: Any) -> Simulation:
    made = Simulation(PRODUCTS, shoppers, days, seed, NOW, **values)
    made.assign_groups(lambda shopper: shopper.index % 10 == 0)
    return made


@pytest.fixture(scope="module")
def season() -> tuple[Simulation, list[dict[str, Any]]]:
    """Ninety days of seven hundred shoppers."""
    made = simulation(700, 90, seed=1)
    return made, list(made.messages())


Season = tuple[Simulation, list[dict[str, Any]]]


def test_shoppers_behave_as_the_logs_of_real_shops_do(season: Season) -> None:
    meter = TraitMeter(len(PRODUCTS), MAIN_OF)
    for message in season[1]:
        meter.observe(message)
    traits = meter.measure()
    assert traits.keys() == TARGETS.keys()
    assert outside_of_targets(traits) == {}


def test_the_same_seed_tells_the_same_story() -> None:
    first, second, other = (list(simulation(seed=seed).messages()) for seed in (5, 5, 6))
    assert first == second
    assert [message["event"] for message in first if "event" in message] != [
        m["event"] for m in other if "event" in m
    ]


def test_messages_are_numbered_once_in_order_and_never_of_the_future(season: Season) -> None:
    messages = season[1]
    assert len({message["messageId"] for message in messages}) == len(messages)
    times = [message["timestamp"] for message in messages]
    assert max(times) < NOW
    assert min(times) >= NOW - timedelta(days=91)
    # Days follow each other; a visit that runs past midnight belongs to the day on which it began.
    assert sum(later < earlier - timedelta(hours=3) for earlier, later in pairwise(times)) == 0


def test_nobody_sees_a_product_before_it_is_in_the_shop(season: Season) -> None:
    since = {product.product_id: product.published_on for product in PRODUCTS}
    for message in season[1]:
        if message.get("event") == "Product Viewed" and "bot" not in message["context"]["userAgent"].lower():
            assert message["timestamp"].date() >= since[message["properties"]["product_id"]]


def test_who_refuses_is_told_of_by_orders_only(season: Season) -> None:
    made, messages = season
    refusing = {
        anonymous_id
        for shopper in made.shoppers
        if shopper.answer in (Answer.REJECT, Answer.GPC) and not is_badly_built(shopper)
        for anonymous_id in shopper.anonymous_ids
    }
    assert len(refusing) > 80
    assert not refusing & {message["anonymousId"] for message in messages}
    assert any(message["anonymousId"].startswith("order-") for message in messages)


def test_after_a_withdrawal_a_browser_is_silent(season: Season) -> None:
    made, messages = season
    withdrawn = {choice.anonymous_id: choice.at for choice in made.choices() if choice.is_withdrawal}
    careful = {
        anonymous_id
        for shopper in made.shoppers
        if shopper.withdraws_on is not None and not is_badly_built(shopper)
        for anonymous_id in shopper.anonymous_ids
    }
    assert withdrawn.keys() & careful
    for message in messages:
        if message["anonymousId"] in careful & withdrawn.keys() and message.get("event") not in LATE:
            assert message["timestamp"] < withdrawn[message["anonymousId"]] + timedelta(days=1)


def test_every_browser_is_asked_before_it_is_told_of(season: Season) -> None:
    made, messages = season
    asked = {choice.anonymous_id: choice.at for choice in reversed(made.choices())}
    for message in messages:
        if not message["anonymousId"].startswith("order-"):
            assert asked[message["anonymousId"]] <= message["timestamp"]


def test_orders_add_up(season: Season) -> None:
    orders = [message["properties"] for message in season[1] if message.get("event") == "Order Completed"]
    assert len(orders) > 100
    for order in orders:
        lines = sum(round(line["price"] * line["quantity"] * 100) for line in order["products"])
        assert round(order["subtotal"] * 100) == lines
        discount = round(order["discount"] * 100)
        assert discount == (round(lines / 10) if "coupon" in order else 0)
        assert round(order["total"] * 100) == lines + (0 if lines >= 7500 else 490) - discount
    assert 0.05 < sum("coupon" in order for order in orders) / len(orders) < 0.3
    refunds = [message["properties"] for message in season[1] if message.get("event") == "Order Refunded"]
    totals = {order["order_id"]: order["subtotal"] for order in orders}
    assert refunds
    assert all(refund["total"] <= totals[refund["order_id"]] + 1e-9 for refund in refunds)


def test_bundles_are_bought_together(season: Season) -> None:
    sub = {product.product_id: product.category_path.split("/")[-1] for product in PRODUCTS}
    fitting = together = 0
    for message in season[1]:
        if message.get("event") == "Order Completed" and len(message["properties"]["products"]) > 1:
            first, *rest = (sub[line["product_id"]] for line in message["properties"]["products"])
            together += len(rest)
            fitting += sum(other in BUNDLES[first] for other in rest)
    assert together > 30
    assert fitting / together > 0.6


def test_personal_shelves_are_clicked_more_than_those_of_the_control_group(season: Season) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for message in season[1]:
        if message.get("event", "").startswith("Recommendation"):
            counts[message["event"], message["properties"]["variant"]] += 1
    rate = {
        variant: counts["Recommendation Clicked", variant] / counts["Recommendation Viewed", variant]
        for variant in ("personalised", "control")
    }
    assert rate["personalised"] > rate["control"] > 0


def test_a_persona_shops_for_what_they_like() -> None:
    persona = Persona(
        "c-1", "mara@demo.example", ("camping", "footwear"), 25, 1991, "female", "DE", "Freiburg"
    )
    made = simulation(60, 60, personas=[persona])
    views = Counter(
        MAIN_OF[message["properties"]["product_id"]]
        for message in made.messages()
        if message.get("event") == "Product Viewed"
        and message["anonymousId"] in made.shoppers[0].anonymous_ids
    )
    assert sum(views.values()) > 40
    assert (views["camping"] + views["footwear"]) / sum(views.values()) > 0.55


def test_a_shop_without_products_cannot_be_simulated() -> None:
    with pytest.raises(ValueError, match="too few"):
        Simulation(PRODUCTS[:3], 10, 10, 1, NOW)


def test_gini_worked_by_hand() -> None:
    # Four products with 0, 0, 0, 8 views: Σ(2i − n − 1)x / (nΣx) = (2·4 − 5)·8 / (4·8) = 0.75.
    assert gini([0, 8, 0, 0]) == pytest.approx(0.75)
    assert gini([5, 5, 5]) == pytest.approx(0.0)
    assert gini([]) == 0.0


def test_traits_worked_by_hand() -> None:
    """One browser, two visits: a, b, a (categories x, x, x), then two hours later c (y) and an order."""
    meter = TraitMeter(4, {"a": "x", "b": "x", "c": "y", "d": "y"})
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def tell(event: str, minutes: int, **properties: Any) -> None:
        at = start + timedelta(minutes=minutes)
        meter.observe(
            {"event": event, "anonymousId": "v", "timestamp": at, "context": {}, "properties": properties}
        )

    for minute, product_id in ((0, "a"), (5, "b"), (9, "a"), (130, "c")):
        tell("Product Viewed", minute, product_id=product_id)
    tell("Order Completed", 135, payment_method="card")
    traits = meter.measure()
    assert traits["views_per_session_mean"] == 2.0  # (3 + 1) / 2
    assert traits["repeated_view_share"] == 0.25  # the second a, of four views
    assert traits["repeated_next_share"] == 0.5  # of the two next items b and a
    assert traits["same_category_next_share"] == 1.0
    assert traits["visits_with_order_share"] == 0.5
    assert traits["new_visitor_share"] == 0.5
    assert traits["views_of_top_1_percent"] == 0.5  # a has two of four
    assert traits["paid_by_card_share"] == 1.0


def test_what_is_not_as_in_real_shops_is_said() -> None:
    fine = {name: (target.low + target.high) / 2 for name, target in TARGETS.items()}
    assert outside_of_targets(fine) == {}
    assert list(outside_of_targets(fine | {"popularity_gini": 0.99})) == ["popularity_gini"]


def test_popularity_is_as_uneven_for_every_seed() -> None:
    ginis = [gini(simulation(10, 5, seed=seed).world.popularity) for seed in range(4)]
    assert np.ptp(ginis) < 0.05
