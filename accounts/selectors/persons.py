"""Customer records that staff declared to be one person, resolved when read. Who has one record is not in any table here.

A person is named by the kept record. Every reader that asks for a customer asks for all records of the person; a record
by itself is never changed by a merge, so that undoing one gives both back as they were.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from django.db.models import Q

from accounts.models.customer import PROFILE_FIELDS, RANK, Customer, ProfileSource
from accounts.models.merge import CustomerMerge, PersonRecord
from accounts.models.store import Store

_FLAGS: Final = ("is_processing_restricted", "has_objected_to_profiling", "is_personalisation_paused")


def persons(store: Store | int) -> dict[int, int]:
    """{customer id: id of the person's kept record} of those alone who have several records. One query."""
    return dict(PersonRecord.objects.for_store(store).values_list("customer_id", "person_id"))


def records_of(customer: Customer) -> list[Customer]:
    """Every record of the person, the kept one first; `[customer]` where there is one. One query, none where the row came
    with `select_related("person_record")` and has none."""
    fetched = customer._state.fields_cache
    if "person_record" in fetched and fetched["person_record"] is None:
        return [customer]
    rows = (
        PersonRecord.objects.for_store(customer.store_id)
        .filter(person__records__customer=customer.pk)
        .select_related("customer__store")
    )
    kept_first = sorted(rows, key=lambda row: (row.customer_id != row.person_id, row.customer_id))
    return [customer if row.customer_id == customer.pk else row.customer for row in kept_first] or [customer]


def record_ids_of(customer: Customer) -> tuple[int, ...]:
    """Keys of `records_of`, the kept record's first."""
    return tuple(record.pk for record in records_of(customer))


def person_of(customer: Customer) -> Customer:
    """The kept record of the person: the customer itself where there is one record."""
    return records_of(customer)[0]


def kin_ids(store_id: int, external_ids: Iterable[str]) -> list[str]:
    """Customer ids of all records of these people, their own included. One query."""
    asked = list(dict.fromkeys(external_ids))
    if not asked:
        return []
    people = (
        PersonRecord.objects.for_store(store_id).filter(customer__external_id__in=asked).values("person_id")
    )
    kin = PersonRecord.objects.for_store(store_id).filter(person_id__in=people)
    return list(dict.fromkeys([*asked, *kin.values_list("customer__external_id", flat=True)]))


def person_view(customer: Customer) -> Customer:
    """The person as one customer: an unsaved copy of the kept record with the best value of each field over all records,
    and every restriction of any. The customer itself where there is one record."""
    records = records_of(customer)
    return merged_view(records) if len(records) > 1 else customer


def merged_view(records: Sequence[Customer]) -> Customer:
    """`person_view` of records that are at hand, the kept one first. Do not save what it gives."""
    view = copy.copy(records[0])
    view.field_sources = dict(view.field_sources)
    for field, best in best_records(records).items():
        setattr(view, field, getattr(best, field))
        if field in best.field_sources:
            view.field_sources[field] = best.field_sources[field]
    for flag in _FLAGS:
        setattr(view, flag, any(getattr(record, flag) for record in records))
    return view


def best_records(records: Sequence[Customer]) -> dict[str, Customer]:
    """{profile field: the record whose value counts}: best source first, then the latest, then the kept record.

    A field that somebody emptied by declaring so beats a value of the shop's systems, as within one record.
    """
    return {field: min(records, key=partial(_standing, field)) for field in PROFILE_FIELDS}


def _standing(field: str, record: Customer) -> tuple[bool, int, float]:
    """Sorts the best first. A value without a source is older than sources are; no value and no source comes last."""
    told = record.field_sources.get(field)
    if told is None:
        return getattr(record, field) in (None, "", []), len(RANK), 0.0
    at = datetime.fromisoformat(told["at"]).timestamp() if told.get("at") else 0.0
    return False, RANK[ProfileSource(told["source"])], -at


def views(store: Store | int, customers: Collection[Customer]) -> list[Customer]:
    """`person_view` of many kept records (or single ones), in two queries at most."""
    by_person: dict[int, list[Customer]] = {}
    rows = (
        PersonRecord.objects.for_store(store)
        .filter(person_id__in=[customer.pk for customer in customers])
        .select_related("customer")
    )
    for row in rows:
        by_person.setdefault(row.person_id, []).append(row.customer)
    return [
        merged_view([customer, *(record for record in by_person[customer.pk] if record.pk != customer.pk)])
        if len(by_person.get(customer.pk, ())) > 1
        else customer
        for customer in customers
    ]


def merges_of(store: Store | int, customer_ids: Collection[int]) -> list[CustomerMerge]:
    """Merges of these records, undone ones too, newest first."""
    return list(
        CustomerMerge.objects.for_store(store)
        .filter(Q(kept__in=customer_ids) | Q(merged__in=customer_ids))
        .select_related("kept", "merged", "merged_by", "undone_by")
        .order_by("-merged_at", "-pk")
    )
