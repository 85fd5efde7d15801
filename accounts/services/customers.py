from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts import shopper_changes
from accounts.identifiers import is_forbidden_id
from accounts.models.customer import PROFILE_FIELDS, RANK, Customer, ProfileSource
from accounts.models.store import Store

_FIND = "SELECT external_id, id FROM accounts_customer WHERE store_id = %s AND external_id = ANY(%s)"

_INSERT = """
INSERT INTO accounts_customer (store_id, external_id, public_id, gender, country, region, city, device, language, loyalty_status,
    interests, field_sources, is_processing_restricted, has_objected_to_profiling, is_personalisation_paused, created_at, updated_at)
SELECT %s, wanted.external_id, gen_random_uuid(), '', '', '', '', '', '', '', '[]', '{}', false, false, false, now(), now()
FROM unnest(%s::text[]) AS wanted(external_id)
ORDER BY wanted.external_id
ON CONFLICT (store_id, external_id) DO NOTHING
RETURNING external_id, id
"""


def customers_find(cursor: Any, store_id: int, external_ids: Iterable[str]) -> None:
    """Ask for what `customers_get_or_create` needs first, of these ids or more. The answer stays in the cursor."""
    cursor.execute(_FIND, [store_id, list(external_ids)])


def customers_get_or_create(
    cursor: Any, store_id: int, external_ids: Iterable[str], found: Iterable[Any] | None = None
) -> dict[str, int]:
    """{external id: customer id} of a whole batch, on the caller's cursor and in its transaction.

    One query where all are known, none with the rows of `customers_find` of this transaction as `found`. Raises
    ValueError for an id that names nobody: the caller has checked them.
    """
    wanted = sorted(set(external_ids))
    if not wanted:
        return {}
    if forbidden := [external_id for external_id in wanted if is_forbidden_id(external_id)]:
        raise ValueError(f"{forbidden[0][:40]!r} cannot be a customer id.")
    if found is None:
        customers_find(cursor, store_id, wanted)
        found = cursor.fetchall()
    ids: dict[str, int] = dict(found)
    if missing := [external_id for external_id in wanted if external_id not in ids]:
        cursor.execute(_INSERT, [store_id, missing])
        ids.update(cursor.fetchall())
    if lost := [external_id for external_id in missing if external_id not in ids]:
        # Another transaction made them between our two statements and has committed since.
        cursor.execute(_FIND, [store_id, lost])
        ids.update(cursor.fetchall())
    return ids


@transaction.atomic
def customer_upsert(
    *,
    store: Store,
    external_id: str,
    profile: Mapping[str, Any] | None = None,
    source: ProfileSource = ProfileSource.CRM,
    at: datetime | None = None,
) -> Customer:
    """Make the customer or bring their profile up to date, field by field.

    A field is taken unless it came from a better source (declared > CRM > inferred) or, from the same source, later than
    `at` (default now). A value that the customer emptied stays empty. Raises ValueError for an id that names nobody or an
    unknown field, ValidationError for a value that does not fit.
    """
    with connection.cursor() as cursor:
        customer_id = customers_get_or_create(cursor, store.pk, [external_id])[external_id]
    customer = Customer.objects.for_store(store).select_for_update(no_key=True).get(pk=customer_id)
    if taken := _apply(customer, profile or {}, ProfileSource(source), at or timezone.now()):
        customer.save(update_fields=[*taken, "field_sources", "updated_at"])
        shopper_changes.changed(store.pk, customer_ids=[external_id])
    return customer


@transaction.atomic
def customers_upsert(
    *,
    store: Store,
    profiles: Mapping[str, Mapping[str, Any]],
    source: ProfileSource = ProfileSource.CRM,
    at: datetime | None = None,
) -> int:
    """`customer_upsert` for many, {external id: profile}, in a handful of queries. Gives how many profiles changed.

    Raises as it does, for the first faulty profile; nothing is stored then.
    """
    moment = at or timezone.now()
    with connection.cursor() as cursor:
        ids = customers_get_or_create(cursor, store.pk, profiles)
    rows = Customer.objects.for_store(store).filter(pk__in=ids.values()).order_by("pk")
    changed = [
        customer
        for customer in rows.select_for_update(no_key=True)
        if _apply(customer, profiles[customer.external_id], ProfileSource(source), moment)
    ]
    for customer in changed:
        customer.updated_at = moment
    Customer.all_stores.bulk_update(changed, [*PROFILE_FIELDS, "field_sources", "updated_at"], batch_size=500)
    shopper_changes.changed(store.pk, customer_ids=[customer.external_id for customer in changed])
    return len(changed)


def _apply(customer: Customer, profile: Mapping[str, Any], source: ProfileSource, at: datetime) -> list[str]:
    """Set the fields that may be set from this source and are new, unsaved. Gives their names."""
    if unknown := set(profile) - set(PROFILE_FIELDS):
        raise ValueError(
            f"Unknown profile fields: {', '.join(sorted(unknown))}. Known: {', '.join(PROFILE_FIELDS)}."
        )
    taken = [
        name
        for name, value in profile.items()
        if _takes(known := customer.field_sources.get(name), source, at)
        and (known is None or known["source"] != source.value or getattr(customer, name) != value)
    ]
    for name in taken:
        setattr(customer, name, profile[name])
        customer.field_sources[name] = {"source": source.value, "at": at.isoformat()}
    if taken:
        _check(customer, taken)
    return taken


def _takes(known: Mapping[str, str] | None, source: ProfileSource, at: datetime) -> bool:
    if known is None:
        return True
    known_rank, rank = RANK[ProfileSource(known["source"])], RANK[source]
    if rank != known_rank:
        return rank < known_rank
    known_at = parse_datetime(known["at"])
    return known_at is None or at >= known_at


def _check(customer: Customer, fields: list[str]) -> None:
    everything_else = [field.name for field in customer._meta.concrete_fields if field.name not in fields]
    customer.clean_fields(exclude=everything_else)
    if "birth_year" in fields and customer.birth_year is not None:
        this_year = timezone.now().year
        if not this_year - 125 <= customer.birth_year <= this_year:
            raise ValidationError(
                {"birth_year": [f"{customer.birth_year} is not a plausible year of birth."]}
            )
    if "interests" in fields:
        _check_interests(customer.interests)


def _check_interests(interests: Any) -> None:
    if not isinstance(interests, list) or len(interests) > 100:
        raise ValidationError({"interests": ["A list of at most 100 interests is expected."]})
    for interest in interests:
        kind = interest.get("kind") if isinstance(interest, dict) else None
        value = interest.get("value") if isinstance(interest, dict) else None
        if kind not in {"category", "brand"} or not isinstance(value, str) or not 0 < len(value) <= 120:
            raise ValidationError({"interests": ['Each is {"kind": "category" or "brand", "value": "…"}.']})
