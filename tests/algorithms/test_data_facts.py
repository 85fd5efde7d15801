"""Facts of a log of three people, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms import STRATEGIES
from algorithms.data_facts import QUANTILES, data_facts, spread
from algorithms.needs import FACTS, Need, Readiness, judge
from algorithms.types import TrainingData

DAY = 86_400.0


def log() -> TrainingData:
    """Person 0: visit 0 sees items 0, 1, 0; visit 1 buys 0 and 1 in order 0; visit 2 buys 0 in order 1. Person 1: visit 3 sees 0
    forty days before. Person 2 did nothing. Item 3 was met by nobody."""
    user = [0, 0, 0, 0, 0, 0, 1]
    item = [0, 1, 0, 0, 1, 0, 0]
    session = [0, 0, 0, 1, 1, 2, 3]
    basket = [-1, -1, -1, 0, 0, 1, -1]
    day = [50, 50, 50, 51, 51, 60, 20]
    return TrainingData(
        user=np.array(user, np.int32),
        item=np.array(item, np.int32),
        timestamp=np.array(day, np.float64) * DAY,
        weight=np.ones(7, np.float32),
        session=np.array(session, np.int32),
        basket=np.array(basket, np.int32),
        n_users=3,
        n_items=4,
        now=60 * DAY,
        item_texts=["a tent", "", " ", "a stove"],
        item_category=np.array([0, 0, -1, 1], np.int32),
    )


def test_counts():
    facts = data_facts(log())
    assert facts.counts() == {
        "people": 2,
        "items": 4,
        "items_met": 2,
        "interactions": 7,
        "recent_interactions": 6,  # all but the one of day 20
        "sessions": 4,
        "purchases": 3,
        "baskets": 2,
        "pairs": 3,  # (0, 0), (0, 1), (1, 0)
        "people_of_several": 1,
        "items_of_several": 1,  # item 0, by both
        "sessions_of_several": 2,  # visits 0 and 1
        "baskets_of_several": 1,  # order 0
        "repeats": 2,  # person 0 met items 0 and 1 more than once
        "repurchases": 1,  # person 0 bought item 0 in both orders
        "items_with_text": 2,
        "items_with_text_vectors": 0,
        "items_with_picture_vectors": 0,
        "items_with_category": 3,
        "items_with_features": 0,
        "people_of_groups": 0,
    }
    assert facts.density == 3 / (2 * 4)
    assert facts.days == 40.0


def test_spread_over_products():
    facts = data_facts(log())
    # Interactions of the items: 5, 2, 0, 0. Gini: 2·(1·0 + 2·0 + 3·2 + 4·5) / (4·7) − 5/4 = 52/28 − 1.25.
    assert facts.per_item.mean == 7 / 4
    assert facts.per_item.gini == pytest.approx(52 / 28 - 1.25)
    assert dict(zip(QUANTILES, facts.per_item.quantiles, strict=True))[0.5] == 1.0
    assert facts.per_person.quantiles[0] == 1.0
    assert facts.per_person.quantiles[-1] == 6.0


def test_spread_of_what_is_alike_is_nought():
    assert spread([3, 3, 3]).gini == pytest.approx(0.0)
    assert spread([]) == spread([0, 0])


def test_a_log_of_nothing():
    facts = data_facts(log().select(np.zeros(7, np.bool_)))
    assert (facts.interactions, facts.people, facts.density, facts.days) == (0, 0, 0.0, 0.0)
    assert facts.items == 4


def test_a_need_is_met_thinly_met_or_not_met():
    needs = (Need("baskets_of_several", 1, 200),)
    assert judge(needs, {"baskets_of_several": 200}) == (Readiness.READY, [])
    assert judge(needs, {"baskets_of_several": 199}) == (
        Readiness.THIN,
        ["199 orders of two products or more; 200 would be enough"],
    )
    assert judge(needs, {}) == (Readiness.IMPOSSIBLE, ["0 orders of two products or more; needs 1"])


def test_one_impossible_need_outweighs_a_thin_one():
    needs = (Need("interactions", 5, 10), Need("items_with_text", 2, 20), Need("repeats", 1, 10))
    verdict, lacks = judge(needs, {"interactions": 7, "items_with_text": 1, "repeats": 5})
    assert verdict is Readiness.IMPOSSIBLE
    assert len(lacks) == 3


@pytest.mark.parametrize("fields", [("customers", 1, 2), ("interactions", 0, 2), ("interactions", 3, 2)])
def test_a_need_without_sense_is_refused(fields):
    with pytest.raises(ValueError, match=r"no fact|0 < least"):
        Need(*fields)


def test_every_strategy_says_what_it_needs():
    for name, strategy in STRATEGIES.items():
        assert strategy.needs, name


def test_every_count_that_a_need_may_name_is_counted_here_or_by_the_shop():
    assert set(FACTS) - set(data_facts(log()).counts()) == {"new_items", "stated_interests"}
