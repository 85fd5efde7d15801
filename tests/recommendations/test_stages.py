"""Filters, rules and selection hold whatever the shop, the scores and the merchandiser do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommendations.serving.assortment import Assortment, Taxonomy
from recommendations.serving.configuration import BlendSettings, Rule, density_of
from recommendations.shelf import ShelfProduct
from recommendations.stages.control import in_control_group
from recommendations.stages.reranking import Candidates, rerank
from recommendations.stages.rules import CompiledRules, compile_rules
from recommendations.stages.selection import popular, top_up

TAXONOMY = Taxonomy(
    {1: "camping", 2: "camping/tents", 3: "home"},
    {1: "Camping", 2: "Tents", 3: "Home"},
    {"nord": 1, "sud": 2},
)


def product(n: int, **fields: object) -> ShelfProduct:
    values: dict[str, object] = {
        "pk": n + 100, "external_id": f"p{n}", "name": f"P{n}", "url": "", "image_url": "", "price_minor_units": 100,
        "list_price_minor_units": None, "currency": "EUR", "stock": 1, "is_available": True, "category_id": 2, "category_name": "Tents",
        "brand_id": 1, "brand_name": "Nord", "variant_group": "", "published_at": float(n),
    }  # fmt: skip
    return ShelfProduct(**{**values, **fields})  # type: ignore[arg-type]


def assortment(*products: ShelfProduct, sold: dict[str, float] | None = None) -> Assortment:
    return Assortment.build(products, [p.external_id for p in products], TAXONOMY, sold or {})


def rule(action: str, **fields: object) -> Rule:
    values: dict[str, object] = {
        "pk": 1, "name": "rule", "action": action, "placement_id": None, "product_id": None, "category_id": None, "brand_id": None,
        "factor": 2.0, "rank": None, "starts_at": None, "ends_at": None,
    }  # fmt: skip
    return Rule(**{**values, **fields})  # type: ignore[arg-type]


def settings_of(**fields: object) -> BlendSettings:
    values: dict[str, object] = {
        "number": 1, "normalisation": "max", "max_per_brand": None, "max_per_category": None, "diversity": 0.0, "rows": {(None, ""): {}},
        "segment_names": {},
    }  # fmt: skip
    return BlendSettings(**{**values, **fields})  # type: ignore[arg-type]


ALL = np.ones


def select(
    goods: Assortment,
    scores: np.ndarray,
    mask: np.ndarray,
    limit: int,
    blend: BlendSettings | None,
    rules: CompiledRules,
) -> list[int]:
    """The shelf of scores that no strategy is told apart in."""
    return rerank(goods, Candidates.scored(scores, limit), mask, limit, blend, rules).places


@st.composite
def shops(draw: st.DrawFn) -> tuple[Assortment, np.ndarray, np.ndarray]:
    """An assortment, scores and a mask."""
    n = draw(st.integers(1, 30))
    products = [
        product(
            i,
            brand_id=draw(st.sampled_from([None, 1, 2])),
            category_id=draw(st.sampled_from([None, 1, 2, 3])),
            variant_group=draw(st.sampled_from(["", "", "a", "b"])),
        )
        for i in range(n)
    ]
    scores = np.array(
        draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 1.0]), min_size=n, max_size=n)), np.float32
    )
    mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return assortment(*products), scores * mask, mask


@st.composite
def rule_sets(draw: st.DrawFn) -> tuple[Rule, ...]:
    actions = st.sampled_from(["pin", "boost", "bury", "hide"])
    return tuple(
        rule(
            draw(actions),
            pk=pk,
            product_id=draw(st.one_of(st.none(), st.integers(100, 131))),
            category_id=draw(st.sampled_from([None, 1, 2, 9])),
            brand_id=draw(st.sampled_from([None, 1, 2])),
            rank=draw(st.one_of(st.none(), st.integers(1, 8))),
            factor=draw(st.floats(0.1, 10.0)),
        )
        for pk in range(draw(st.integers(0, 4)))
    )


@given(shops(), rule_sets(), st.integers(1, 12), st.integers(1, 3), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=200, deadline=None)
def test_a_shelf_is_always_sound(
    shop: tuple[Assortment, np.ndarray, np.ndarray],
    rules: tuple[Rule, ...],
    limit: int,
    cap: int,
    diversity: float,
) -> None:
    goods, scores, mask = shop
    compiled = compile_rules(goods, rules)
    if compiled.hidden is not None:
        mask = mask & ~compiled.hidden
    factor = 1.0 if compiled.factor is None else compiled.factor
    scores = (scores * mask * factor).astype(np.float32)
    chosen = select(goods, scores, mask, limit, settings_of(max_per_brand=cap, diversity=diversity), compiled)
    filled = [*chosen, *top_up(goods, chosen, mask, limit, compiled)]

    assert len(filled) == len(set(filled)) <= limit
    assert all(mask[place] for place in filled)
    families = [goods.family[place] for place in filled if goods.family[place] >= 0]
    assert len(families) == len(set(families))
    # Never short while something eligible is left that is no second variant.
    eligible = int(mask.sum())
    kinds = len({int(goods.family[p]) if goods.family[p] >= 0 else -1 - int(p) for p in np.flatnonzero(mask)})
    assert len(filled) == min(limit, kinds) <= eligible
    assert popular(goods, mask, limit, compiled) == popular(goods, mask, limit, compiled)
    assert filled == [*chosen, *top_up(goods, chosen, mask, limit, compiled)]


@given(shops(), st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_without_rules_and_caps_better_scores_stand_higher(
    shop: tuple[Assortment, np.ndarray, np.ndarray], limit: int
) -> None:
    goods, scores, mask = shop
    chosen = select(goods, scores, mask, limit, None, compile_rules(goods, ()))
    ranked = [float(scores[place]) for place in chosen]
    assert ranked == sorted(ranked, reverse=True)
    assert all(score > 0 for score in ranked)


def test_rules_by_hand() -> None:
    goods = assortment(*(product(n, brand_id=1 + n % 2) for n in range(6)), product(6, category_id=3))
    rules = (
        rule("boost", pk=1, name="Own brand", brand_id=1, factor=2.0),
        rule("bury", pk=2, name="Slow sellers", product_id=102, factor=4.0),
        rule("hide", pk=3, product_id=105),
        rule("boost", pk=4, name="Everything"),  # names nothing: matches nothing
    )
    compiled = compile_rules(goods, rules)
    assert compiled.factor is not None
    assert compiled.hidden is not None
    # Places 0, 2, 4 and 6 are of brand 1 (6 has the default brand); place 2 is buried by 4 on top: 2 / 4.
    assert compiled.factor.tolist() == [2.0, 1.0, 0.5, 1.0, 2.0, 1.0, 2.0]
    assert np.flatnonzero(compiled.hidden).tolist() == [5]
    assert compiled.names_for(2) == ("Own brand (boost × 2)", "Slow sellers (bury ÷ 4)")
    assert compiled.names_for(5) == ()
    assert compile_rules(goods, rules) is compiled


def test_a_category_rule_reaches_what_is_below_it() -> None:
    goods = assortment(product(0, category_id=1), product(1, category_id=2), product(2, category_id=3))
    hidden = compile_rules(goods, (rule("hide", category_id=1),)).hidden
    assert hidden is not None
    assert hidden.tolist() == [True, True, False]


def test_pins_stand_at_their_rank_if_they_may_stand_at_all() -> None:
    goods = assortment(*(product(n) for n in range(6)))
    scores = np.array([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], np.float32)
    mask = np.ones(6, np.bool_)
    pins = (rule("pin", pk=1, product_id=105, rank=2), rule("pin", pk=2, product_id=104, rank=2))
    assert select(goods, scores, mask, 4, None, compile_rules(goods, pins)) == [0, 5, 4, 1]
    mask[5] = False
    assert select(goods, scores * mask, mask, 4, None, compile_rules(goods, pins)) == [0, 4, 1, 2]
    # Too few others to reach rank 3: the pin moves up.
    alone = compile_rules(goods, (rule("pin", product_id=104, rank=3),))
    assert select(goods, np.zeros(6, np.float32), mask, 4, None, alone) == [4]


def test_rules_have_their_time_and_place() -> None:
    dated = rule("hide", product_id=101, starts_at=100.0, ends_at=200.0, placement_id=7)
    assert [dated.applies(7, at) for at in (99.9, 100.0, 199.9, 200.0)] == [False, True, True, False]
    assert not dated.applies(8, 150.0)
    assert replace(dated, placement_id=None).applies(8, 150.0)


def test_caps_hold_until_places_would_stay_empty() -> None:
    goods = assortment(
        *(product(n, brand_id=1) for n in range(4)), product(4, brand_id=2), product(5, brand_id=None)
    )
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    mask = np.ones(6, np.bool_)
    none = compile_rules(goods, ())
    assert select(goods, scores, mask, 4, settings_of(max_per_brand=2), none) == [0, 1, 4, 5]
    assert select(goods, scores, mask, 6, settings_of(max_per_brand=2), none) == [0, 1, 4, 5, 2, 3]


def test_diversity_brings_other_categories_up() -> None:
    goods = assortment(*(product(n) for n in range(5)), product(5, category_id=3, brand_id=2))
    scores = np.array([1.0, 0.95, 0.9, 0.85, 0.8, 0.75], np.float32)
    mask = np.ones(6, np.bool_)
    none = compile_rules(goods, ())
    assert select(goods, scores, mask, 3, settings_of(), none) == [0, 1, 2]
    # Place 5 shares neither category nor brand with place 0: with trade-off 0.5 its gain 0.375 beats 0.475 - 0.5.
    assert select(goods, scores, mask, 3, settings_of(diversity=0.5), none)[:2] == [0, 5]


def test_popular_products_by_what_sold_then_by_age() -> None:
    goods = assortment(product(0), product(1), product(2), product(3), sold={"p1": 5.0, "p3": 9.0})
    # p3 and p1 sold; of p0 and p2 the newer (published_at 2) comes first.
    assert popular(goods, np.ones(4, np.bool_), 4, compile_rules(goods, ())) == [3, 1, 2, 0]


def test_an_assortment_changes_without_changing_its_places() -> None:
    goods = assortment(product(0), product(1, variant_group="a"))
    changed = goods.with_changes(
        [
            product(1, variant_group="a", is_available=False, price_minor_units=7),
            product(9, variant_group="a"),
        ]
    )
    assert changed.position == {"p0": 0, "p1": 1, "p9": 2}
    assert changed.available.tolist() == [True, False, True]
    assert changed.price.tolist() == [100.0, 7.0, 100.0]
    assert changed.family[1] == changed.family[2] >= 0
    assert goods.available.tolist() == [True, True]  # the old one is what it was
    assert len(goods) == 2


def test_places_of_the_model_come_first_whatever_became_of_their_products() -> None:
    goods = Assortment.build([product(0), product(1)], ["gone", "p1"], TAXONOMY, {})
    assert goods.position == {"gone": 0, "p1": 1, "p0": 2}
    assert goods.available.tolist() == [False, True, True]
    with pytest.raises(KeyError):
        goods.product(0)


def test_ranks_within_a_category() -> None:
    goods = Assortment.build(
        [product(n, category_id=2 if n < 3 else 3) for n in range(5)],
        [f"p{n}" for n in range(5)],
        TAXONOMY,
        {},
        np.array([1.0, 3.0, 2.0, 5.0, 6.0], np.float32),
    )
    assert goods.standing.category_rank.tolist() == [3, 1, 2, 2, 1]
    assert goods.standing.values.tolist() == pytest.approx([1 / 6, 3 / 6, 2 / 6, 5 / 6, 1.0])


def test_weights_go_to_the_first_segment_then_to_density() -> None:
    rows = {
        (None, ""): {"a": 1.0},
        (None, "much"): {"b": 1.0},
        (5, ""): {"c": 1.0},
        (5, "little"): {"d": 1.0},
        (6, ""): {"e": 1.0},
    }
    blend = settings_of(rows=rows, segment_names={5: "VIP", 6: "New"})
    assert blend.weights_for((), density_of(0)).by_strategy == {"a": 1.0}
    assert blend.weights_for((), density_of(9)).by_strategy == {"b": 1.0}
    assert blend.weights_for((5, 6), density_of(9)).by_strategy == {"c": 1.0}
    assert blend.weights_for((5, 6), density_of(2)) == blend.weights_for((5,), density_of(2))
    assert blend.weights_for((5,), density_of(2)).source == "segment VIP, 1 to 4 interactions"
    assert blend.weights_for((6, 5), density_of(2)).by_strategy == {"e": 1.0}
    assert blend.weights_for((77,), density_of(0)).by_strategy == {"a": 1.0}


@given(st.text(min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_the_control_group_is_stable_and_grows(key: str, share: float, other: float) -> None:
    assert in_control_group(1, key, share) == in_control_group(1, key, share)
    if in_control_group(1, key, min(share, other)):
        assert in_control_group(1, key, max(share, other))
    assert not in_control_group(1, key, 0.0)
    assert in_control_group(1, key, 1.0)


def test_the_control_group_has_its_share() -> None:
    # 10,000 draws at 10 %: the standard deviation is 30.
    assert 880 < sum(in_control_group(1, f"v:{n}", 0.1) for n in range(10_000)) < 1120
