"""The rule language: conditions on features, joined by `all` and `any`, nested.

    {"all": [{"field": "orders_90d", "operator": "gte", "value": 2},
             {"any": [{"field": "device", "operator": "eq", "value": "mobile"},
                      {"field": "days_since_seen", "operator": "lte", "value": 7}]}]}

What is not known of a shopper matches `is_not_set` and no other condition, so that "country is not DE" speaks of
people whose country is known. Texts are compared without regard to case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segments.features import FEATURES, OPERATOR_LABELS, Feature, Kind, Operator

MAX_DEPTH: Final = 5
MAX_CONDITIONS: Final = 50
MAX_CHOICES: Final = 200
MAX_TEXT: Final = 200
_JOINERS: Final = ("all", "any")

Mask = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]


class InvalidRules(ValueError):
    """`problems`: place in the rules (`all[1].any[0].value`) → what is wrong there."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(
            "; ".join(f"{place}: {problem}" if place else problem for place, problem in problems.items())
        )


def validate(rules: Any) -> None:
    """Raises InvalidRules, which names every place that is wrong."""
    checker = _Checker()
    checker.check_node(rules, "", 1)
    if checker.conditions > MAX_CONDITIONS:
        checker.problems[""] = f"{checker.conditions} conditions; at most {MAX_CONDITIONS}."
    if checker.problems:
        raise InvalidRules(checker.problems)


def is_valid(rules: Any) -> bool:
    """Whether `matches` can be asked: rules may have been written past the services."""
    try:
        validate(rules)
    except InvalidRules:
        return False
    return True


class _Checker:
    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.conditions = 0

    def check_node(self, node: Any, place: str, depth: int) -> None:
        if not isinstance(node, Mapping):
            self.problems[place] = (
                'is not an object: {"all": […]}, {"any": […]} or {"field": …, "operator": …, "value": …}.'
            )
        elif depth > MAX_DEPTH:
            self.problems[place] = f"is nested deeper than {MAX_DEPTH} levels."
        elif joiners := [joiner for joiner in _JOINERS if joiner in node]:
            self._check_group(node, joiners, place, depth)
        elif "field" in node:
            self._check_condition(node, place)
        else:
            self.problems[place] = (
                "is empty: at least one condition is needed."
                if not node
                else "has neither all, any nor field."
            )

    def _check_group(self, node: Mapping[str, Any], joiners: list[str], place: str, depth: int) -> None:
        if len(node) > 1:
            others = ", ".join(sorted(str(key) for key in node if key != joiners[0]))
            self.problems[place] = f"{joiners[0]} stands alone in its object, without {others}."
            return
        children = node[joiners[0]]
        inner = f"{place}.{joiners[0]}" if place else joiners[0]
        if not isinstance(children, list) or not children:
            self.problems[inner] = "is a list of at least one condition."
            return
        for position, child in enumerate(children):
            self.check_node(child, f"{inner}[{position}]", depth + 1)

    def _check_condition(self, node: Mapping[str, Any], place: str) -> None:
        self.conditions += 1

        def at(key: str) -> str:
            return f"{place}.{key}" if place else key

        feature = FEATURES.get(node["field"]) if isinstance(node["field"], str) else None
        if feature is None:
            self.problems[at("field")] = (
                f"There is no field {node['field']!r}. Fields: {', '.join(FEATURES)}."
            )
            return
        operator = node.get("operator")
        if operator not in feature.operators:
            self.problems[at("operator")] = (
                f"{operator!r} is not for {feature.name}: use {', '.join(feature.operators)}."
            )
            return
        if extra := set(node) - {"field", "operator", "value"}:
            self.problems[place] = (
                f"{', '.join(sorted(map(str, extra)))} is not known here: field, operator, value."
            )
        problem = _value_problem(feature, Operator(operator), node.get("value"), "value" in node)
        if problem:
            self.problems[at("value")] = problem


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and "\0" not in value


def _value_problem(feature: Feature, operator: Operator, value: Any, is_given: bool) -> str:
    match operator:
        case Operator.IS_SET | Operator.IS_NOT_SET:
            return "goes without a value." if is_given and value not in (None, "") else ""
        case Operator.BETWEEN:
            if not (
                isinstance(value, list)
                and len(value) == 2
                and all(map(_is_number, value))
                and value[0] <= value[1]
            ):
                return "is [lowest, highest], two numbers."
            return ""
        case Operator.IN | Operator.NOT_IN | Operator.CONTAINS_ANY:
            if not (isinstance(value, list) and 0 < len(value) <= MAX_CHOICES and all(map(_is_text, value))):
                return f"is a list of 1 to {MAX_CHOICES} texts."
            return _choice_problem(feature, value)
    match feature.kind:
        case Kind.NUMBER:
            return "" if _is_number(value) else "is a number."
        case Kind.BOOLEAN:
            return "" if isinstance(value, bool) else "is true or false."
    return (
        _choice_problem(feature, [value]) if _is_text(value) else f"is a text of 1 to {MAX_TEXT} characters."
    )


def _choice_problem(feature: Feature, values: list[str]) -> str:
    unknown = [value for value in values if feature.choices and value.lower() not in feature.choices]
    return f"{unknown[0]!r} is not one of {', '.join(feature.choices)}." if unknown else ""


def matches(rules: Mapping[str, Any], columns: Columns, n: int) -> Mask:
    """(n,) whether each shopper matches. `rules` have passed `validate`.

    `columns`: feature → (n,) float64 with NaN for unknown, lower-case text with "" for unknown, bool, or object array of
    frozensets of lower-case texts.
    """
    if "all" in rules:
        return np.logical_and.reduce([matches(child, columns, n) for child in rules["all"]])
    if "any" in rules:
        return np.logical_or.reduce([matches(child, columns, n) for child in rules["any"]])
    feature = FEATURES[rules["field"]]
    evaluate = {Kind.NUMBER: _number, Kind.TEXT: _text, Kind.BOOLEAN: _boolean, Kind.LIST: _list}[
        feature.kind
    ]
    return evaluate(columns[feature.name], Operator(rules["operator"]), rules.get("value"))


_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQ: np.equal,
    Operator.GT: np.greater,
    Operator.GTE: np.greater_equal,
    Operator.LT: np.less,
    Operator.LTE: np.less_equal,
}


def _number(column: NDArray[Any], operator: Operator, value: Any) -> Mask:
    is_known = ~np.isnan(column)
    match operator:
        case Operator.IS_SET:
            return is_known
        case Operator.IS_NOT_SET:
            return ~is_known
        case Operator.NEQ:
            return np.asarray(is_known & (column != value))
        case Operator.BETWEEN:
            return np.asarray((column >= value[0]) & (column <= value[1]))
    return np.asarray(_COMPARE[operator](column, value))


def _text(column: NDArray[Any], operator: Operator, value: Any) -> Mask:
    is_known = column != ""
    match operator:
        case Operator.IS_SET:
            return np.asarray(is_known)
        case Operator.IS_NOT_SET:
            return np.asarray(~is_known)
    wanted = [value] if operator in {Operator.EQ, Operator.NEQ} else value
    found = np.isin(column, [text.lower() for text in wanted])
    return np.asarray(is_known & ~found if operator in {Operator.NEQ, Operator.NOT_IN} else found)


def _boolean(column: NDArray[Any], operator: Operator, value: Any) -> Mask:
    return np.asarray(column == value)


def _list(column: NDArray[Any], operator: Operator, value: Any) -> Mask:
    match operator:
        case Operator.IS_SET:
            return np.array([bool(entries) for entries in column], dtype=bool)
        case Operator.IS_NOT_SET:
            return np.array([not entries for entries in column], dtype=bool)
    wanted = {text.lower() for text in ([value] if operator == Operator.CONTAINS else value)}
    return np.array([not wanted.isdisjoint(entries) for entries in column], dtype=bool)


def describe(rules: Mapping[str, Any]) -> str:
    """In words: "Orders, last 90 days is at least 2 and (Device is mobile or …)"."""
    for joiner, word in (("all", " and "), ("any", " or ")):
        if joiner in rules:
            return word.join(_in_brackets(child) for child in rules[joiner])
    feature = FEATURES[rules["field"]]
    label = OPERATOR_LABELS[Operator(rules["operator"])]
    value = rules.get("value")
    match value:
        case None:
            return f"{feature.label} {label}"
        case [low, high] if rules["operator"] == Operator.BETWEEN:
            return f"{feature.label} {label} {low} and {high}"
        case list():
            return f"{feature.label} {label} {', '.join(value)}"
        case bool():
            return f"{feature.label}: {'yes' if value else 'no'}"
    return f"{feature.label} {label} {value}"


def _in_brackets(rules: Mapping[str, Any]) -> str:
    children = rules.get("all") or rules.get("any")
    return f"({describe(rules)})" if children and len(children) > 1 else describe(rules)
