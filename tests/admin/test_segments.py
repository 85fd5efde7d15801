"""Rules as rows and back, the count that follows the editing, and what is saved."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Customer, Store
from consent.models import AuditEntry
from consent.purposes import Purpose
from consent.services.decisions import Decision, decision_record
from segments.admin.rule_rows import Row, RuleRows, rows_of, rules_posted
from segments.features import FEATURES, Kind, Operator
from segments.models import Segment, SegmentMembership
from segments.rules import validate
from segments.selectors.sizes import forget_tables
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, StoreFactory


@pytest.fixture(autouse=True)
def _no_table_of_another_test() -> None:
    forget_tables()


def _posted(rules: dict[str, Any]) -> QueryDict:
    """What the page posts for rules that it shows as rows."""
    rows = rows_of(rules)
    assert rows is not None
    data = QueryDict(mutable=True)
    data["mode"], data["joiner"] = "rows", rows.joiner
    for number, row in enumerate(rows.rows):
        data.update(
            {
                f"c-{number}-field": row.field,
                f"c-{number}-operator": row.operator,
                f"c-{number}-value": row.value,
                f"c-{number}-group": str(row.group),
            }
        )
    return data


CONDITIONS = st.one_of(
    st.builds(
        lambda name, value: {"field": name, "operator": "gte", "value": value},
        st.sampled_from([n for n, f in FEATURES.items() if f.kind is Kind.NUMBER]),
        st.integers(0, 999),
    ),
    st.builds(
        lambda low, more: {"field": "age", "operator": "between", "value": [low, low + more]},
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    st.builds(
        lambda values: {"field": "country", "operator": "in", "value": values},
        st.lists(st.sampled_from(["DE", "FR", "AT"]), min_size=1, max_size=3),
    ),
    st.builds(lambda value: {"field": "is_customer", "operator": "eq", "value": value}, st.booleans()),
    st.just({"field": "city", "operator": "is_set"}),
    st.just({"field": "interests", "operator": "contains", "value": "tents"}),
)


def _rules(joiner: str) -> st.SearchStrategy[dict[str, Any]]:
    inner = "any" if joiner == "all" else "all"
    group = st.lists(CONDITIONS, min_size=1, max_size=3).map(lambda conditions: {inner: conditions})
    return st.lists(st.one_of(CONDITIONS, group), min_size=1, max_size=4).map(
        lambda children: {joiner: children}
    )


@given(st.sampled_from(["all", "any"]).flatmap(_rules))
def test_rules_survive_the_form(rules: dict[str, Any]) -> None:
    validate(rules)
    assert rules_posted(_posted(rules)) == rules


def test_deeper_rules_are_edited_as_json() -> None:
    condition = {"field": "age", "operator": "gte", "value": 18}
    deep = {"all": [{"any": [{"all": [condition]}]}]}
    validate(deep)
    assert rows_of(deep) is None
    assert rows_of({"all": [{"all": [condition]}]}) is None, (
        "a group of the same word cannot be shown as the other"
    )
    data = QueryDict(mutable=True)
    data.update({"mode": "json", "rules": '{"all": [{"field": "age", "operator": "gte", "value": 18}]}'})
    assert rules_posted(data) == {"all": [condition]}


@pytest.mark.parametrize("text", ["[1]", "nonsense"])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    data = QueryDict(mutable=True)
    data.update({"mode": "json", "rules": text})
    with pytest.raises(ValueError):  # noqa: PT011 (json's own words)
        rules_posted(data)


def test_empty_rows_are_left_out() -> None:
    data = QueryDict(mutable=True)
    data.update(
        {
            "joiner": "all",
            "c-0-field": "",
            "c-1-field": "age",
            "c-1-operator": "gte",
            "c-1-value": "18",
            "c-1-group": "x",
        }
    )
    assert rules_posted(data) == {"all": [{"field": "age", "operator": "gte", "value": 18}]}
    assert RuleRows("any", [Row(group=2)]).groups == 2
    assert Operator.IS_SET == "is_set"


AGED = {
    "mode": "rows",
    "joiner": "all",
    "c-0-field": "age",
    "c-0-operator": "gte",
    "c-0-value": "40",
    "c-0-group": "0",
    "name": "Forty and over",
    "description": "",
    "priority": "50",
    "is_active": "on",
}


@pytest.fixture
def three_customers(store: Store) -> Store:
    """Born 1950, 1960 and 2005, who permit personalisation; one who does not, and one of another store, who count nowhere."""
    for year in (1950, 1960, 2005):
        _permits(store, CustomerFactory(store=store, birth_year=year), Purpose.PERSONALISATION)
    _permits(store, CustomerFactory(store=store, birth_year=1940), Purpose.ANALYTICS)
    other = StoreFactory()
    _permits(other, CustomerFactory(store=other, birth_year=1940), Purpose.PERSONALISATION)
    return store


def _permits(store: Store, customer: Customer, purpose: Purpose) -> None:
    decision_record(store=store, decision=Decision(granted=purpose, method="save", customer=customer))


def test_the_count_is_of_this_store_and_saves_nothing(merchandiser: Staff, three_customers: Store) -> None:
    answer = merchandiser.client.post(reverse("admin:segments_segment_count"), AGED)
    assert answer.json() == {"count": 2, "shoppers": 3}
    assert not Segment.objects.for_store(three_customers).exists()


def test_a_count_says_what_is_wrong(merchandiser: Staff) -> None:
    answer = merchandiser.client.post(reverse("admin:segments_segment_count"), {**AGED, "c-0-value": "old"})
    assert answer.status_code == 422
    assert answer.json() == {"problems": ["all[0].value: is a number."]}


def test_saving_makes_the_segment_and_finds_its_members(merchandiser: Staff, three_customers: Store) -> None:
    answer = merchandiser.client.post(reverse("admin:segments_segment_add"), {**AGED, "save": "1"})
    assert answer.status_code == 302
    segment = Segment.objects.for_store(three_customers).get()
    assert (segment.slug, segment.priority, segment.member_count) == ("forty-and-over", 50, 2)
    assert segment.rules == {"all": [{"field": "age", "operator": "gte", "value": 40}]}
    assert SegmentMembership.objects.for_store(three_customers).filter(segment=segment).count() == 2
    merchandiser.client.post(reverse("admin:segments_segment_add"), {**AGED, "save": "1"})
    assert Segment.objects.for_store(three_customers).filter(slug="forty-and-over-2").exists()


def test_faulty_rules_are_named_and_not_saved(merchandiser: Staff, store: Store) -> None:
    page = merchandiser.client.post(
        reverse("admin:segments_segment_add"), {**AGED, "c-0-value": "old", "save": "1"}
    )
    assert page.status_code == 200
    assert "is a number." in page.content.decode()
    assert 'value="old"' in page.content.decode(), "what was typed is still there"
    assert not Segment.objects.for_store(store).exists()


def test_changing_keeps_the_slug_and_counts_again(merchandiser: Staff, three_customers: Store) -> None:
    merchandiser.client.post(reverse("admin:segments_segment_add"), {**AGED, "save": "1"})
    segment = Segment.objects.for_store(three_customers).get()
    url = reverse("admin:segments_segment_change", args=[segment.pk])
    merchandiser.client.post(url, {**AGED, "name": "Seniors", "c-0-value": "70", "save": "1"})
    segment.refresh_from_db()
    assert (segment.name, segment.slug, segment.member_count) == ("Seniors", "forty-and-over", 1)


def test_deleting_asks_and_says_what_goes(merchandiser: Staff, three_customers: Store) -> None:
    merchandiser.client.post(reverse("admin:segments_segment_add"), {**AGED, "save": "1"})
    segment = Segment.objects.for_store(three_customers).get()
    url = reverse("admin:segments_segment_delete", args=[segment.pk])
    assert "2 memberships" in merchandiser.client.get(url).content.decode()
    assert Segment.objects.for_store(three_customers).exists()
    merchandiser.client.post(url, {"reason": ""})
    assert not Segment.objects.for_store(three_customers).exists()
    assert AuditEntry.objects.for_store(three_customers).filter(action="segment.deleted").exists()


def test_who_may_only_read_changes_nothing(privacy_officer: Staff, three_customers: Store) -> None:
    client = privacy_officer.client
    segment = Segment.objects.create(store=three_customers, slug="all", name="All", rules={})
    for name, args in (
        ("add", []),
        ("change", [segment.pk]),
        ("delete", [segment.pk]),
        ("recompute", [segment.pk]),
    ):
        answer = client.post(reverse(f"admin:segments_segment_{name}", args=args), {**AGED, "save": "1"})
        assert answer.status_code == 403, name
    assert list(Segment.objects.for_store(three_customers).values_list("name", flat=True)) == ["All"]
    assert client.get(reverse("admin:segments_segment_change", args=[segment.pk])).status_code == 200


def test_a_clusters_words_follow_its_centre(merchandiser: Staff, store: Store) -> None:
    cluster = Segment.objects.create(
        store=store, slug="cluster-1", name="Big spenders", kind="cluster", priority=200
    )
    url = reverse("admin:segments_segment_change", args=[cluster.pk])
    merchandiser.client.post(url, {"name": "Renamed", "priority": "20", "is_active": "on", "save": "1"})
    cluster.refresh_from_db()
    assert (cluster.name, cluster.priority) == ("Big spenders", 20)
