from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from accounts import vault
from accounts.models import VaultEntry, VaultKey
from tests.factories import CustomerFactory, StoreFactory

pytestmark = pytest.mark.django_db

OLD, NEW = "old-master-key-of-many-characters", "new-master-key-of-many-characters"


def test_what_is_put_comes_out_and_nothing_of_it_stands_in_the_row():
    customer = CustomerFactory()
    vault.put(customer, "email", "Ann@Example.org")
    assert vault.get(customer, "email") == "Ann@Example.org"
    entry = VaultEntry.objects.for_store(customer.store_id).get()
    stored = bytes(entry.ciphertext) + entry.blind_index.encode()
    assert b"ann" not in stored.lower()
    assert b"example" not in stored.lower()


def test_one_value_looks_different_for_each_customer_and_each_time():
    one, other = CustomerFactory.create_batch(2, store=StoreFactory())
    for customer in (one, other):
        vault.put(customer, "name", "Ann")
    first, second = VaultEntry.objects.for_store(one.store_id)
    assert bytes(first.ciphertext) != bytes(second.ciphertext)
    before = bytes(first.ciphertext)
    vault.put(first.customer, "name", "Ann")
    first.refresh_from_db()
    assert bytes(first.ciphertext) != before


def test_putting_replaces_and_an_empty_value_deletes():
    customer = CustomerFactory()
    vault.put(customer, "email", "old@example.org")
    vault.put(customer, "email", "new@example.org")
    vault.put(customer, "phone", "+49 30 1234")
    assert vault.get_all(customer) == {"email": "new@example.org", "phone": "+49 30 1234"}
    vault.put(customer, "phone", "")
    assert vault.get(customer, "phone") is None


def test_people_are_found_by_their_address_in_any_case_and_in_their_store_only():
    ann = CustomerFactory()
    namesake = CustomerFactory()  # of another store
    for customer in (ann, namesake):
        vault.put(customer, "email", "Ann@Example.org")
    assert vault.find_by_email(ann.store, " ann@example.ORG ") == [ann]
    assert vault.find_by_email(ann.store, "ann@example.com") == []
    assert vault.find_by_email(ann.store, "  ") == []
    indexes = set(VaultEntry.all_stores.values_list("blind_index", flat=True))
    assert len(indexes) == 2, "two shops cannot join their lists by the index"


def test_a_ciphertext_moved_to_another_customer_or_field_does_not_open():
    ann, ben = CustomerFactory.create_batch(2, store=StoreFactory())
    vault.put(ann, "email", "ann@example.org")
    vault.put(ben, "email", "ben@example.org")
    entries = VaultEntry.objects.for_store(ann.store_id)
    entries.filter(customer=ben).update(ciphertext=entries.get(customer=ann).ciphertext)
    with pytest.raises(vault.VaultSealed):
        vault.get(ben, "email")
    entries.filter(customer=ann).update(field="name")
    with pytest.raises(vault.VaultSealed):
        vault.get(ann, "name")


def test_a_destroyed_key_leaves_nothing_and_a_copied_entry_does_not_open():
    customer = CustomerFactory()
    vault.put(customer, "email", "ann@example.org")
    copy = VaultEntry.objects.for_store(customer.store_id).get()
    assert vault.destroy(customer) == 1
    assert vault.get_all(customer) == {}
    assert vault.find_by_email(customer.store, "ann@example.org") == []
    copy.pk = None
    copy.save()  # as a restored backup of that one table would
    with pytest.raises(vault.VaultSealed):
        vault.get(customer, "email")
    assert not VaultKey.objects.for_store(customer.store_id).exists()


def test_many_in_few_queries(django_assert_max_num_queries):
    store = StoreFactory()
    customers = CustomerFactory.create_batch(30, store=store)
    values = {
        customer.pk: {"email": f"{customer.external_id}@example.org", "name": "N"} for customer in customers
    }
    with django_assert_max_num_queries(6):
        vault.put_many(store, values)
    with django_assert_max_num_queries(2):
        assert vault.get_many(store, values, ["email"]) == {
            pk: {"email": fields["email"]} for pk, fields in values.items()
        }


def test_an_over_long_value_is_refused_and_nothing_is_stored():
    one, other = CustomerFactory.create_batch(2, store=StoreFactory())
    with pytest.raises(ValueError, match="2001 characters"):
        vault.put_many(one.store_id, {one.pk: {"name": "Ann"}, other.pk: {"name": "x" * 2001}})
    assert not VaultEntry.objects.for_store(one.store_id).exists()


def test_a_new_master_key_opens_the_old_entries_and_after_rewrapping_is_enough(settings):
    customer = CustomerFactory()
    settings.ETALAGE_MASTER_KEY = OLD
    vault.put(customer, "email", "ann@example.org")
    settings.ETALAGE_MASTER_KEY = f"{NEW}, {OLD}"
    assert vault.get(customer, "email") == "ann@example.org"
    assert vault.find_by_email(customer.store, "ann@example.org") == [customer]
    call_command("rewrap_vault")
    assert vault.rewrap(customer.store) == 0
    settings.ETALAGE_MASTER_KEY = NEW
    assert vault.get(customer, "email") == "ann@example.org"
    assert vault.find_by_email(customer.store, "ann@example.org") == [customer]


def test_a_key_whose_master_is_gone_says_so(settings):
    customer = CustomerFactory()
    settings.ETALAGE_MASTER_KEY = OLD
    vault.put(customer, "email", "ann@example.org")
    settings.ETALAGE_MASTER_KEY = NEW
    with pytest.raises(vault.VaultSealed, match="ETALAGE_MASTER_KEY"):
        vault.get(customer, "email")
    with pytest.raises(CommandError, match="ETALAGE_MASTER_KEY"):
        call_command("rewrap_vault")


@pytest.mark.parametrize("key", ["", "short", f"{OLD},short"])
def test_without_a_good_master_key_nothing_is_stored(settings, key):
    settings.ETALAGE_MASTER_KEY = key
    customer = CustomerFactory()
    with pytest.raises(ImproperlyConfigured, match="ETALAGE_MASTER_KEY"):
        vault.put(customer, "email", "ann@example.org")
    assert not VaultEntry.objects.for_store(customer.store_id).exists()
