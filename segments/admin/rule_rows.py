"""Rules as rows of a form and back: one joiner over conditions and groups of conditions, two levels deep.

Deeper rules are edited as JSON, which says everything; the rows say what people usually want.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from segments.features import FEATURES, Kind, Operator

_FIELD: Final = re.compile(r"^c-(\d{1,4})-field$")
_LISTS: Final = (Operator.IN, Operator.NOT_IN, Operator.CONTAINS_ANY)
_WITHOUT_VALUE: Final = (Operator.IS_SET, Operator.IS_NOT_SET)


@dataclass(frozen=True)
class Row:
    """`group` is 0 for a condition that stands by itself, else the number of its group (from 1)."""

    field: str = ""
    operator: str = ""
    value: str = ""
    group: int = 0


@dataclass(frozen=True)
class RuleRows:
    """`joiner` is `all` or `any`; conditions within a group are joined by the other word."""

    joiner: str = "all"
    rows: list[Row] = field(default_factory=list)

    @property
    def inner_joiner(self) -> str:
        return "any" if self.joiner == "all" else "all"

    @property
    def groups(self) -> int:
        return max((row.group for row in self.rows), default=0)


def rows_of(rules: Mapping[str, Any]) -> RuleRows | None:
    """None for rules that are nested deeper than the rows can say."""
    if not rules:
        return RuleRows()
    if "field" in rules:
        return RuleRows("all", [_row(rules, 0)])
    joiner = "all" if "all" in rules else "any"
    children = rules.get(joiner)
    if not isinstance(children, list):
        return None
    rows: list[Row] = []
    group = 0
    for child in children:
        if "field" in child:
            rows.append(_row(child, 0))
            continue
        inner = child.get("any" if joiner == "all" else "all")
        if not isinstance(inner, list) or not all(
            isinstance(each, dict) and "field" in each for each in inner
        ):
            return None
        group += 1
        rows += [_row(each, group) for each in inner]
    return RuleRows(joiner, rows)


def _row(condition: Mapping[str, Any], group: int) -> Row:
    value = condition.get("value")
    text = (
        ", ".join(str(each) for each in value)
        if isinstance(value, list)
        else ""
        if value is None
        else str(value)
    )
    return Row(
        str(condition.get("field", "")),
        str(condition.get("operator", "")),
        text.lower() if isinstance(value, bool) else text,
        group,
    )


def rules_posted(data: QueryDict) -> dict[str, Any]:
    """The rules that were posted, unchecked: `segments.rules.validate` says what is wrong with them.

    Raises ValueError for JSON that cannot be read.
    """
    if data.get("mode") == "json":
        rules = json.loads(data.get("rules", "") or "{}")
        if not isinstance(rules, dict):
            raise ValueError("The rules are one object: {…}.")
        return rules
    return _rules(read_rows(data))


def read_rows(data: QueryDict) -> RuleRows:
    joiner = data.get("joiner", "all")
    numbers = sorted(int(found.group(1)) for name in data if (found := _FIELD.match(name)))
    rows = [
        Row(
            data.get(f"c-{number}-field", ""),
            data.get(f"c-{number}-operator", ""),
            data.get(f"c-{number}-value", "").strip(),
            int(group) if (group := data.get(f"c-{number}-group", "0")).isdigit() else 0,
        )
        for number in numbers
        if data.get(f"c-{number}-field")
    ]
    return RuleRows("any" if joiner == "any" else "all", rows)


def _rules(rows: RuleRows) -> dict[str, Any]:
    return {rows.joiner: list(_children(rows))} if rows.rows else {}


def _children(rows: RuleRows) -> Iterator[dict[str, Any]]:
    """In the order of the rows; a group stands where its first condition stands."""
    told: set[int] = set()
    for row in rows.rows:
        if row.group == 0:
            yield _condition(row)
        elif row.group not in told:
            told.add(row.group)
            yield {rows.inner_joiner: [_condition(each) for each in rows.rows if each.group == row.group]}


def _condition(row: Row) -> dict[str, Any]:
    condition: dict[str, Any] = {"field": row.field, "operator": row.operator}
    feature = FEATURES.get(row.field)
    if feature is None or row.operator in _WITHOUT_VALUE:
        return condition
    condition["value"] = _value(feature.kind, row.operator, row.value)
    return condition


def _value(kind: Kind, operator: str, text: str) -> Any:
    """As the field's kind needs it; a text that does not fit stays a text, which `validate` then names."""
    if operator == Operator.BETWEEN:
        return [_number(part) for part in re.split(r"[,;]|\s+(?:and|to)\s+", text) if part.strip()]
    if operator in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == Kind.NUMBER:
        return _number(text)
    if kind == Kind.BOOLEAN:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    return text


def _number(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
