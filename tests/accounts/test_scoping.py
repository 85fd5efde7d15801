from __future__ import annotations

import pytest
from django.apps import apps

from accounts.models import Customer
from accounts.scoping import StoreScoped, UnscopedQuery
from tests.factories import CustomerFactory, StoreFactory

SCOPED = [model for model in apps.get_models() if issubclass(model, StoreScoped)]


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model._meta.label)
@pytest.mark.parametrize("method", ["all", "filter", "count", "first", "exists", "values"])
def test_a_query_that_forgets_its_store_is_refused(model, method):
    with pytest.raises(UnscopedQuery, match="for_store"):
        getattr(model.objects, method)()


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model._meta.label)
def test_relations_and_cascades_use_the_plain_manager(model):
    assert model._default_manager.name == "all_stores"
    assert model._base_manager.name in ("all_stores", "_base_manager")


def test_nothing_may_be_asked_without_a_store():
    assert list(Customer.objects.none()) == []


@pytest.mark.django_db
def test_a_row_needs_a_store():
    with pytest.raises(UnscopedQuery):
        Customer.objects.create(external_id="ann")
    assert not Customer.all_stores.exists()


@pytest.mark.django_db
def test_one_stores_rows():
    mine, other = CustomerFactory(), CustomerFactory()
    assert list(Customer.objects.for_store(mine.store)) == [mine]
    assert list(Customer.objects.for_store(other.store_id)) == [other]
    assert not Customer.objects.for_store(StoreFactory()).exists()
