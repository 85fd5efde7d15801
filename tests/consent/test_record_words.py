"""Whatever exports and receipts call their columns and counts has a name for people, and so a translation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from accounts.models import Store
from accounts.models.customer import PROFILE_FIELDS
from accounts.personal_data import Subject, processors
from consent.record_words import COLUMNS, LINES, counted_words, in_words


def _keys(tree: ast.AST) -> Iterator[str]:
    """Keys of every row that a generator yields or a list holds, and names of tables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ExportTable":
            yield from _texts(node.args[:1])
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Dict):
            yield from _texts(node.value.keys)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Tuple):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id.lower().endswith("fields"):
                yield from _texts(node.value.elts)


def _texts(nodes: list[ast.expr] | list[ast.expr | None]) -> Iterator[str]:
    yield from (
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize(
    "path", sorted(Path(settings.BASE_DIR).glob("*/privacy.py")), ids=lambda path: path.parent.name
)
def test_columns_of_exports_have_words(path: Path) -> None:
    named = set(_keys(ast.parse(path.read_text())))
    assert named, f"{path} names no table: has the way of writing exports changed?"
    assert sorted(named - set(COLUMNS)) == [], "add them to consent/record_words.py"


def test_fields_of_a_profile_have_words() -> None:
    assert set(PROFILE_FIELDS) <= set(COLUMNS)


def test_counts_of_receipts_have_words(store: Store) -> None:
    for each in processors():
        report = each.erase(Subject(store=store, anonymous_ids=("nobody",)))
        told = {*report.deleted, *report.anonymised, *(kept.what for kept in report.kept)}
        assert sorted(told - set(LINES)) == [], f"{each.name}: add them to consent/record_words.py"


def test_words_follow_the_language() -> None:
    assert in_words("last_login_at") == "Last login at"
    assert counted_words("carts") == "carts"
    with translation.override("de"):
        assert in_words("last_login_at") == "Letzte Anmeldung"
        assert counted_words("carts") == "Warenkörbe"
        assert in_words("a_field_of_the_shop") == "A field of the shop"
    assert in_words("") == counted_words("") == ""
