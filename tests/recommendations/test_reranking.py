"""Reranking as serving does it, by hand: newcomers, chance, rest, price bands, margin, doubt; and what consent means for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recommendations.rerank_settings import NOTHING, PARAMETERS, RerankSettings
from recommendations.serving.assortment import Assortment
from recommendations.serving.configuration import BlendSettings
from recommendations.serving.traits import traits_of
from recommendations.stages.reranking import Candidates, Evidence, Reranked, rerank
from recommendations.stages.rules import compile_rules
from tests.recommendations.test_stages import assortment, product, rule, settings_of

DAY = 86_400.0
NOW = 1_000 * DAY


def blend(**parameters: object) -> BlendSettings:
    return replace(settings_of(), rerank=RerankSettings(**parameters))  # type: ignore[arg-type]


def shelf(
    goods: Assortment,
    scores: list[float],
    settings: BlendSettings,
    evidence: Evidence,
    limit: int = 4,
    rules: tuple[object, ...] = (),
    **contributions: list[float],
) -> Reranked:
    given = {name: np.array(row, np.float32) for name, row in contributions.items()}
    row = np.array(scores, np.float32)
    candidates = Candidates.of(row, given or {"content": row}, limit)
    mask = goods.available.copy()
    return rerank(goods, candidates, mask, limit, settings, compile_rules(goods, rules), evidence)  # type: ignore[arg-type]


class TestNewcomers:
    def goods(self) -> Assortment:
        """Places 6 and 7 came lately, 8 is new and sold out, 9 is still to come."""
        fields: dict[int, dict[str, object]] = {
            6: {"published_at": NOW - 3 * DAY},
            7: {"published_at": NOW - 20 * DAY},
            8: {"published_at": NOW - DAY, "is_available": False},
            9: {"published_at": NOW + DAY},
        }
        return assortment(*(product(n, **fields.get(n, {"published_at": 1.0})) for n in range(10)))

    SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.01, 0.02, 0.0, 0.03]

    def test_places_are_kept_for_them_and_the_end_gives_way(self) -> None:
        goods = self.goods()
        evidence = Evidence(now=NOW)
        assert shelf(goods, self.SCORES, blend(), evidence).places == [0, 1, 2, 3]
        # One place of four stands at rank 2; without other opinions, 7 is before 6 by its score of 0.02.
        one = shelf(goods, self.SCORES, blend(new_slots=1), evidence)
        assert one.places == [0, 7, 1, 2]
        assert [move.code for move in one.moves[7]] == ["newcomer"]
        assert shelf(goods, self.SCORES, blend(new_slots=2), evidence).places == [7, 0, 6, 1]
        # Within ten days only 6 is new; 8 is sold out and 9 not there yet.
        assert shelf(goods, self.SCORES, blend(new_slots=3, new_days=10), evidence).places == [0, 6, 1, 2]

    def test_they_are_ranked_among_themselves(self) -> None:
        liked = Evidence(
            now=NOW, newcomer_scores=lambda places: np.where(places == 6, 0.9, 0.1).astype(np.float32)
        )
        assert shelf(self.goods(), self.SCORES, blend(new_slots=1), liked).places == [0, 6, 1, 2]

    def test_who_stands_there_by_itself_needs_no_kept_place(self) -> None:
        scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.85, 0.0, 0.0, 0.0]
        assert shelf(self.goods(), scores, blend(new_slots=1), Evidence(now=NOW)).places == [0, 6, 1, 2]

    def test_hardly_known_products_count_as_new_too(self) -> None:
        goods = assortment(*(product(n) for n in range(6)))
        known = Evidence(now=NOW, observations=np.array([90.0, 80, 70, 60, 4, 50]))
        settings = blend(new_slots=1, new_days=1, new_interactions=5)
        assert shelf(goods, [0.9, 0.8, 0.7, 0.6, 0.1, 0.5], settings, known).places == [0, 4, 1, 2]

    def test_no_second_variant_nothing_pinned_and_nothing_hidden(self) -> None:
        goods = assortment(
            product(0, published_at=1.0, variant_group="a"),
            product(1, published_at=1.0),
            product(2, published_at=NOW - DAY, variant_group="a"),
            product(3, published_at=NOW - 2 * DAY),
        )
        scores = [0.9, 0.8, 0.3, 0.2]
        assert shelf(goods, scores, blend(new_slots=1), Evidence(now=NOW), limit=2).places == [3, 0]
        pin = rule("pin", product_id=103, rank=1)
        assert shelf(goods, scores, blend(new_slots=1), Evidence(now=NOW), limit=2, rules=(pin,)).places == [
            3,
            0,
        ]


class TestChance:
    def test_the_same_shopper_sees_the_same_all_day_and_another_something_else(self) -> None:
        goods = assortment(*(product(n) for n in range(40)))
        scores = np.linspace(1, 0.1, 40).tolist()
        settings = blend(exploration=0.3)
        shelves = [shelf(goods, scores, settings, Evidence(seed=seed), limit=10).places for seed in range(12)]
        again = [shelf(goods, scores, settings, Evidence(seed=seed), limit=10).places for seed in range(12)]
        assert shelves == again
        assert len({tuple(places) for places in shelves}) > 6
        assert all(len(set(places)) == 10 for places in shelves)

    def test_explored_products_come_from_the_less_known_half_below(self) -> None:
        """Ten places, twenty candidates looked at below; of those the ten with fewest observations may be drawn."""
        goods = assortment(*(product(n) for n in range(40)))
        observations = np.where(np.arange(40) % 2 == 0, 100.0, 1.0)
        below = {n for n in range(10, 30) if n % 2}
        drawn: set[int] = set()
        for seed in range(60):
            evidence = Evidence(seed=seed, observations=observations)
            made = shelf(goods, np.linspace(1, 0.1, 40).tolist(), blend(exploration=0.3), evidence, limit=10)
            explored = {place for place in made.places if place >= 10}
            assert all(made.propensity[place] == pytest.approx(0.3 / 10) for place in explored)
            assert all(made.propensity[place] == pytest.approx(0.7) for place in set(made.places) - explored)
            assert all("chance" in {move.code for move in made.moves[place]} for place in explored)
            drawn |= explored
        assert drawn == below

    def test_nobody_is_explored_on_without_a_seed(self) -> None:
        goods = assortment(*(product(n) for n in range(40)))
        made = shelf(
            goods, np.linspace(1, 0.1, 40).tolist(), blend(exploration=0.3), Evidence(seed=None), limit=10
        )
        assert made.places == list(range(10))
        assert made.propensity == {}

    def test_caps_hold_whoever_is_drawn(self) -> None:
        goods = assortment(*(product(n, brand_id=1 + n % 4) for n in range(40)))
        settings = replace(blend(exploration=0.3), max_per_brand=3)
        for seed in range(30):
            places = shelf(
                goods, np.linspace(1, 0.1, 40).tolist(), settings, Evidence(seed=seed), limit=8
            ).places
            assert np.bincount(goods.brand[places]).max() <= 3


class TestFactors:
    def test_what_was_shown_in_vain_goes_down(self) -> None:
        goods = assortment(*(product(n) for n in range(3)))
        made = shelf(goods, [0.9, 0.8, 0.5], blend(fatigue=0.2), Evidence(shown={0: 5, 2: 1}))
        # 0.9 / (1 + 0.2 · 5) = 0.45; 0.5 / 1.2 = 0.4167.
        assert made.places == [1, 0, 2]
        assert made.scores == pytest.approx({1: 0.8, 0: 0.45, 2: 0.5 / 1.2})
        assert made.ranks == {1: 2, 0: 1, 2: 3}
        (move,) = made.moves[0]
        assert (move.code, move.text, move.factor) == (
            "fatigue",
            "shown 5 times and never opened",
            pytest.approx(0.5),
        )
        assert made.moves[2][0].text == "shown 1 time and never opened"

    def test_few_observations_shrink_what_shoppers_taught_and_nothing_else(self) -> None:
        """Place 0 has 5 observations: with a prior of 5 its 0.8 of session k-NN counts half, its 0.1 of content in full."""
        goods = assortment(product(0), product(1))
        made = shelf(
            goods, [0.9, 0.6], blend(confidence=5), Evidence(observations=np.array([5.0, 95.0])),
            session_knn=[0.8, 0.6], content=[0.1, 0.0],
        )  # fmt: skip
        assert made.places == [1, 0]
        assert made.parts[0] == pytest.approx({"session_knn": 0.4, "content": 0.1})
        assert made.parts[1] == pytest.approx({"session_knn": 0.57})
        assert made.scores == pytest.approx({1: 0.57, 0: 0.5})
        assert made.moves[0][0].factor == pytest.approx(0.5 / 0.9)

    def test_margin_moves_scores_within_the_bound_and_the_category(self) -> None:
        """Margins in Camping: 10, 20, 30 → percentiles 0, 0.5, 1. The shop of lamps has none known: left alone."""
        goods = assortment(
            product(0, price_minor_units=100, cost_minor_units=90),
            product(1, price_minor_units=100, cost_minor_units=80),
            product(2, price_minor_units=100, cost_minor_units=70),
            product(3, category_id=3),
        )
        percentile = traits_of(goods).margin_percentile(goods, np.arange(4, dtype=np.int32))
        assert percentile == pytest.approx([0.0, 9 / 19, 1.0, 0.5])
        made = shelf(goods, [0.5, 0.5, 0.45, 0.52], blend(value_bound=0.25), Evidence())
        assert made.scores[0] == pytest.approx(0.4)
        assert made.scores[2] == pytest.approx(0.5625)
        assert made.scores[3] == pytest.approx(0.52)
        assert made.places[0] == 2
        assert made.places[-1] == 0

    def test_shoppers_who_spend_much_may_be_pushed_less(self) -> None:
        goods = assortment(
            product(0, price_minor_units=100, cost_minor_units=90),
            product(1, price_minor_units=100, cost_minor_units=50),
        )
        settings = blend(value_bound=0.25, shopper_value=-1)
        best = shelf(goods, [0.5, 0.45], settings, Evidence(shopper_value=1.0))
        assert best.places == [0, 1]
        assert best.scores == pytest.approx({0: 0.5, 1: 0.45})
        # Of the least valuable the push would double; the bound holds.
        least = shelf(goods, [0.5, 0.45], settings, Evidence(shopper_value=0.0))
        assert least.scores == pytest.approx({1: 0.5625, 0: 0.4})
        unknown = shelf(goods, [0.5, 0.45], settings, Evidence())
        assert unknown.scores == least.scores


class TestPriceBands:
    def goods(self) -> Assortment:
        """Ten tents at 10 to 100, ten lamps at 1 to 10: band 0 is the two cheapest of each, band 4 the two dearest."""
        return assortment(
            *(product(n, price_minor_units=10 * (n + 1), category_id=2) for n in range(10)),
            *(product(10 + n, price_minor_units=n + 1, category_id=3) for n in range(10)),
        )

    def test_dear_for_a_lamp_is_cheap_for_a_tent(self) -> None:
        goods = self.goods()
        band = traits_of(goods).price_band(goods, np.arange(20, dtype=np.int32))
        assert band.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] * 2

    def test_who_buys_cheap_tents_sees_cheap_tents_first(self) -> None:
        goods = self.goods()
        scores = [0.1 + 0.01 * n for n in range(10)] + [0.0] * 10  # the dearest first
        cheap = Evidence(items=np.array([0, 1, 0, 1], np.int32), weights=np.full(4, 5.0, np.float32))
        assert shelf(goods, scores, blend(), cheap).places == [9, 8, 7, 6]
        assert set(shelf(goods, scores, blend(price_bands=0.9), cheap).places[:2]) == {0, 1}
        # Nothing known: nothing to follow.
        assert shelf(goods, scores, blend(price_bands=0.9), Evidence()).places == [9, 8, 7, 6]

    def test_the_mix_of_categories_stays_with_the_scores(self) -> None:
        """Only tents are known, dear ones. Lamps keep their half of the shelf."""
        goods = self.goods()
        scores = [0.5] * 20
        dear = Evidence(items=np.array([9, 8], np.int32), weights=np.full(2, 20.0, np.float32))
        places = shelf(goods, scores, blend(price_bands=0.8), dear, limit=4).places
        assert {place for place in places if place < 10} <= {8, 9}
        assert set(places[:2]) <= {8, 9, 18, 19}


class TestSettings:
    def test_what_is_stored_is_what_differs(self) -> None:
        settings = RerankSettings(new_slots=2, fatigue=0.2)
        assert settings.stored() == {"new_slots": 2, "fatigue": 0.2}
        assert RerankSettings.read(settings.stored()) == settings
        assert RerankSettings.read({}) == NOTHING
        assert not NOTHING.is_on

    def test_what_cannot_be_counts_as_the_default_when_it_is_read(self) -> None:
        stored = {
            "new_slots": 99,
            "fatigue": "much",
            "exploration": float("nan"),
            "confidence": 5,
            "of_tomorrow": 1,
            "new_days": True,
        }
        assert RerankSettings.read(stored) == RerankSettings(confidence=5)

    def test_each_parameter_has_bounds_and_says_them(self) -> None:
        for parameter in PARAMETERS:
            for value in (parameter.maximum + parameter.step, parameter.minimum - parameter.step):
                (problem,) = replace(NOTHING, **{parameter.name: value}).problems()[parameter.name]
                assert parameter.label in problem
                assert f"from {parameter.minimum:g} to {parameter.maximum:g}" in problem
            assert parameter.help
        assert replace(NOTHING, new_slots=1.5).problems() == {
            "new_slots": ["“Places kept for new products” is 1.5: give a whole number from 0 to 6."]
        }
