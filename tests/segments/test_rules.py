from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.defaults import DEFAULT_SEGMENTS
from segments.features import FEATURES, Kind, Operator
from segments.rules import InvalidRules, describe, matches, validate

COLUMNS = {
    "orders_90d": np.array([0.0, 1.0, 2.0, 5.0]),
    "age": np.array([np.nan, 30.0, 40.0, 50.0]),
    "country": np.array(["", "de", "fr", "de"]),
    "device": np.array(["mobile", "desktop", "mobile", ""]),
    "is_customer": np.array([False, True, True, True]),
    "interests": np.array(
        [frozenset(), frozenset({"tents"}), frozenset({"tents", "stoves"}), frozenset({"boots"})],
        dtype=object,
    ),
}


def condition(field: str, name: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "operator": name} | ({} if value is None else {"value": value})


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (condition("orders_90d", "eq", 2), [2]),
        (condition("orders_90d", "neq", 2), [0, 1, 3]),
        (condition("orders_90d", "gt", 1), [2, 3]),
        (condition("orders_90d", "gte", 1), [1, 2, 3]),
        (condition("orders_90d", "lt", 1), [0]),
        (condition("orders_90d", "lte", 1), [0, 1]),
        (condition("orders_90d", "between", [1, 2]), [1, 2]),
        # An unknown age is no age: it matches no comparison, whichever way round.
        (condition("age", "lt", 100), [1, 2, 3]),
        (condition("age", "neq", 30), [2, 3]),
        (condition("age", "is_set"), [1, 2, 3]),
        (condition("age", "is_not_set"), [0]),
        (condition("country", "eq", "DE"), [1, 3]),
        (condition("country", "neq", "DE"), [2]),
        (condition("country", "in", ["de", "fr"]), [1, 2, 3]),
        (condition("country", "not_in", ["fr"]), [1, 3]),
        (condition("country", "is_not_set"), [0]),
        (condition("is_customer", "eq", False), [0]),
        (condition("interests", "contains", "Tents"), [1, 2]),
        (condition("interests", "contains_any", ["boots", "stoves"]), [2, 3]),
        (condition("interests", "is_not_set"), [0]),
        ({"all": [condition("country", "eq", "de"), condition("orders_90d", "gte", 2)]}, [3]),
        ({"any": [condition("country", "eq", "fr"), condition("orders_90d", "eq", 0)]}, [0, 2]),
        (
            {
                "all": [
                    condition("is_customer", "eq", True),
                    {"any": [condition("age", "gt", 45), condition("device", "eq", "mobile")]},
                ]
            },
            [2, 3],
        ),
    ],
)
def test_who_matches(rules, expected):
    validate(rules)
    assert np.flatnonzero(matches(rules, COLUMNS, 4)).tolist() == expected


@pytest.mark.parametrize(
    ("rules", "place", "words"),
    [
        ({}, "", "empty"),
        ([], "", "not an object"),
        ({"all": []}, "all", "at least one"),
        ({"all": {}}, "all", "at least one"),
        ({"all": [{}]}, "all[0]", "empty"),
        ({"none": [condition("age", "gt", 1)]}, "", "neither all, any nor field"),
        ({"all": [condition("age", "gt", 1)], "any": [condition("age", "gt", 1)]}, "", "stands alone"),
        ({"all": [condition("age", "gt", 1), condition("shoe_size", "gt", 1)]}, "all[1].field", "shoe_size"),
        (condition("age", "contains", "x"), "operator", "contains"),
        (condition("age", "gt", "many"), "value", "number"),
        (condition("age", "gt", True), "value", "number"),
        (condition("age", "gt", float("nan")), "value", "number"),
        (condition("age", "between", [50, 30]), "value", "lowest"),
        (condition("age", "is_set", 3), "value", "without"),
        (condition("country", "eq", 49), "value", "text"),
        (condition("country", "in", []), "value", "list"),
        (condition("country", "eq", "a\0b"), "value", "text"),
        (condition("device", "eq", "toaster"), "value", "desktop, mobile, tablet"),
        (condition("lifecycle", "in", ["new", "old"]), "value", "'old'"),
        (condition("is_customer", "eq", "yes"), "value", "true or false"),
        ({**condition("age", "gt", 1), "unit": "years"}, "", "unit"),
        ({"field": ["age"], "operator": "gt", "value": 1}, "field", "no field"),
        ({"any": [{"all": [condition("age", "gt", None)]}]}, "any[0].all[0].value", "number"),
    ],
)
def test_what_is_wrong_and_where(rules, place, words):
    with pytest.raises(InvalidRules) as caught:
        validate(rules)
    assert words in caught.value.problems[place]


def test_every_fault_is_named_at_once():
    with pytest.raises(InvalidRules) as caught:
        validate({"all": [condition("age", "gt", "x"), condition("nothing", "eq", 1), {}]})
    assert set(caught.value.problems) == {"all[0].value", "all[1].field", "all[2]"}


def test_nesting_and_number_of_conditions_are_bounded():
    leaf = condition("age", "gt", 1)
    deep: dict[str, Any] = leaf
    for _ in range(4):
        deep = {"all": [deep]}
    validate(deep)
    with pytest.raises(InvalidRules, match="deeper"):
        validate({"any": [deep]})
    validate({"any": [leaf] * 50})
    with pytest.raises(InvalidRules, match="51 conditions"):
        validate({"any": [leaf] * 51})


@pytest.mark.parametrize("default", DEFAULT_SEGMENTS, ids=lambda default: default.slug)
def test_the_usual_segments_are_valid_and_can_be_told_in_words(default):
    validate(default.rules)
    assert FEATURES[next(iter(default.rules["all"]))["field"]].label in describe(default.rules)


def test_rules_in_words():
    rules = {
        "all": [
            condition("orders_90d", "gte", 2),
            {"any": [condition("device", "eq", "mobile"), condition("age", "between", [18, 30])]},
        ]
    }
    assert (
        describe(rules)
        == "Orders, last 90 days is at least 2 and (Device is mobile or Age is between 18 and 30)"
    )


numbers = st.floats(-10, 10, allow_nan=False)
texts = st.sampled_from(["de", "fr", "it"])


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    number = st.builds(
        condition,
        st.sampled_from(["orders_90d", "age"]),
        st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]),
        numbers,
    )
    text = st.builds(condition, st.just("country"), st.sampled_from(["eq", "neq"]), texts)
    known = st.builds(
        condition, st.sampled_from(["age", "country"]), st.sampled_from(["is_set", "is_not_set"])
    )
    return number | text | known


def rule_trees() -> st.SearchStrategy[dict[str, Any]]:
    def joined(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        lists = st.lists(children, min_size=1, max_size=3)
        return lists.map(lambda inner: {"all": inner}) | lists.map(lambda inner: {"any": inner})

    return conditions() | joined(conditions()) | joined(joined(conditions()))


@st.composite
def shoppers(draw: st.DrawFn) -> dict[str, np.ndarray]:
    n = draw(st.integers(1, 6))
    return {
        "orders_90d": np.array(draw(st.lists(numbers, min_size=n, max_size=n))),
        "age": np.array(draw(st.lists(numbers | st.just(float("nan")), min_size=n, max_size=n))),
        "country": np.array(draw(st.lists(texts | st.just(""), min_size=n, max_size=n))),
    }


def one_by_one(rules: dict[str, Any], shopper: dict[str, Any]) -> bool:
    """The language once more, in plain Python and for one shopper."""
    if "all" in rules:
        return all(one_by_one(child, shopper) for child in rules["all"])
    if "any" in rules:
        return any(one_by_one(child, shopper) for child in rules["any"])
    value, wanted = shopper[rules["field"]], rules.get("value")
    is_known = value != "" and value == value
    match rules["operator"]:
        case "is_set":
            return is_known
        case "is_not_set":
            return not is_known
    if not is_known:
        return False
    compare = {
        "eq": operator.eq,
        "neq": operator.ne,
        "gt": operator.gt,
        "gte": operator.ge,
        "lt": operator.lt,
        "lte": operator.le,
    }
    return compare[rules["operator"]](value, wanted)


@given(rule_trees(), shoppers())
def test_columns_and_single_shoppers_agree(rules, columns):
    validate(rules)
    n = len(columns["age"])
    found = matches(rules, columns, n)
    assert found.dtype == bool
    assert found.shape == (n,)
    assert found.tolist() == [
        one_by_one(rules, {name: column[position] for name, column in columns.items()})
        for position in range(n)
    ]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["age", "gt", "all", "field"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["all", "any", "field", "operator", "value", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_validation_refuses_or_the_rules_can_be_evaluated(value):
    """Whatever somebody posts: either a list of what is wrong, or rules that run and can be told in words."""
    try:
        validate(value)
    except InvalidRules:
        return
    columns = {}
    for feature in FEATURES.values():
        empty = {Kind.NUMBER: np.nan, Kind.TEXT: "", Kind.BOOLEAN: False, Kind.LIST: frozenset()}[
            feature.kind
        ]
        columns[feature.name] = np.array([empty], dtype=object if feature.kind == Kind.LIST else None)
    assert matches(value, columns, 1).shape == (1,)
    assert describe(value)


def test_every_operator_has_a_place():
    used = {usable for feature in FEATURES.values() for usable in feature.operators}
    assert used == set(Operator)
