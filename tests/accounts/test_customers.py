from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts import shopper_changes
from accounts.models import Customer, ProfileSource
from accounts.services import customer_upsert, customers_upsert, sort_traits
from tests.factories import CustomerFactory, StoreFactory

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
DECLARED, CRM, INFERRED = ProfileSource.DECLARED, ProfileSource.CRM, ProfileSource.INFERRED


def told(store, source, at, **profile) -> Customer:
    return customer_upsert(store=store, external_id="ann", profile=profile, source=source, at=at)


def test_a_customer_is_made_once():
    store = StoreFactory()
    first = customer_upsert(store=store, external_id="ann")
    assert customer_upsert(store=store, external_id="ann") == first
    assert customer_upsert(store=StoreFactory(), external_id="ann") != first


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((CRM, MONDAY), (DECLARED, MONDAY), "FR"),
        ((DECLARED, MONDAY), (CRM, TUESDAY), "DE"),
        ((CRM, MONDAY), (INFERRED, TUESDAY), "DE"),
        ((INFERRED, TUESDAY), (CRM, MONDAY), "FR"),
        ((CRM, MONDAY), (CRM, TUESDAY), "FR"),
        ((CRM, TUESDAY), (CRM, MONDAY), "DE"),
        ((CRM, MONDAY), (CRM, MONDAY), "FR"),
    ],
)
def test_the_better_source_wins_then_the_later_word(first, second, expected):
    store = StoreFactory()
    told(store, *first, country="DE")
    told(store, *second, country="FR")
    assert Customer.objects.for_store(store).get().country == expected


def test_what_a_customer_emptied_stays_empty():
    store = StoreFactory()
    told(store, CRM, MONDAY, gender="female", city="Berlin")
    told(store, DECLARED, TUESDAY, gender="")
    customer = told(store, CRM, TUESDAY, gender="female", city="Bonn")
    assert (customer.gender, customer.city) == ("", "Bonn")


def test_the_origin_of_a_field_is_kept():
    customer = told(StoreFactory(), DECLARED, MONDAY, birth_year=1990)
    assert customer.field_sources == {"birth_year": {"source": "declared", "at": MONDAY.isoformat()}}


@pytest.mark.parametrize(
    "profile",
    [
        {"birth_year": 1800},
        {"birth_year": 2999},
        {"country": "Germany"},
        {"interests": "tents"},
        {"interests": [{"kind": "colour", "value": "red"}]},
        {"interests": [{"kind": "category", "value": ""}]},
    ],
)
def test_values_that_do_not_fit_are_refused_and_nothing_changes(profile):
    store = StoreFactory()
    before = told(store, CRM, MONDAY, city="Berlin")
    with pytest.raises(ValidationError) as caught:
        told(store, DECLARED, TUESDAY, city="Bonn", **profile)
    assert set(caught.value.message_dict) == set(profile)
    after = Customer.objects.for_store(store).get()
    assert (after.city, after.field_sources) == ("Berlin", before.field_sources)


def test_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match="shoe_size"):
        told(StoreFactory(), CRM, MONDAY, shoe_size=44)


def test_many_at_once_in_a_handful_of_queries(django_assert_max_num_queries):
    store = StoreFactory()
    CustomerFactory(
        store=store,
        external_id="c0",
        country="FR",
        field_sources={"country": {"source": "declared", "at": MONDAY.isoformat()}},
    )
    profiles = {f"c{number}": {"country": "DE"} for number in range(50)}
    with django_assert_max_num_queries(9):
        assert customers_upsert(store=store, profiles=profiles, at=TUESDAY) == 49
    countries = dict(Customer.objects.for_store(store).values_list("external_id", "country"))
    assert countries["c0"] == "FR"
    assert countries["c49"] == "DE"
    assert customers_upsert(store=store, profiles=profiles, at=TUESDAY) == 0


def test_one_faulty_profile_of_many_stores_none():
    store = StoreFactory()
    with pytest.raises(ValidationError):
        customers_upsert(store=store, profiles={"a": {"country": "DE"}, "b": {"birth_year": 1}})
    assert not Customer.objects.for_store(store).exists()


def test_whoever_keeps_copies_hears_of_a_change(monkeypatch, django_capture_on_commit_callbacks):
    heard = []
    monkeypatch.setattr(
        shopper_changes, "_listeners", [lambda store_id, **who: heard.append((store_id, who))]
    )
    store = StoreFactory()
    with django_capture_on_commit_callbacks(execute=True):
        told(store, CRM, MONDAY, city="Berlin")
        told(store, CRM, MONDAY, city="Berlin")
    assert heard == [(store.pk, {"anonymous_ids": (), "customer_ids": ("ann",)})]


def test_traits_are_sorted_into_profile_and_vault():
    traits = sort_traits(
        {
            "email": "ann@example.org",
            "firstName": "Ann",
            "birthday": "1990-05-01",
            "gender": "F",
            "address": {"street": "Hauptstr. 1", "postalCode": "10115", "city": "Berlin", "country": "de"},
            "createdAt": 1_700_000_000,
            "loyaltyStatus": "gold",
            "interests": ["tents", {"kind": "brand", "value": "Northfold"}, 7],
            "shoeSize": 44,
        }
    )
    assert traits.identifiers == {
        "email": "ann@example.org",
        "first_name": "Ann",
        "address": "Hauptstr. 1, 10115",
    }
    assert traits.profile == {
        "birth_year": 1990,
        "gender": "female",
        "country": "DE",
        "city": "Berlin",
        "loyalty_status": "gold",
        "account_created_at": datetime.fromtimestamp(1_700_000_000, UTC),
        "interests": [{"kind": "category", "value": "tents"}, {"kind": "brand", "value": "Northfold"}],
    }


@pytest.mark.parametrize(
    "traits",
    [
        {"birthday": "soon"},
        {"birthday": 1e300},
        {"age": "old"},
        {"age": True},
        {"age": -5},
        {"createdAt": "2026-13-45"},
        {"email": 7},
        {"email": "x" * 301},
        {"email": "a\0b"},
        {"address": "Berlin"},
        {"address": {"country": "Atlantis"}},
        {"interests": "tents"},
    ],
)
def test_a_value_of_the_wrong_kind_is_passed_over(traits):
    assert sort_traits({**traits, "city": "Berlin"}) == sort_traits({"city": "Berlin"})
