from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from accounts import shopper_changes
from accounts.identifiers import is_forbidden_id
from accounts.models.customer import PROFILE_FIELDS, Customer, ProfileSource
from accounts.models.statement import ProfileStatement
from accounts.models.store import Store
from accounts.services.statements import Told, statements_keep, take

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
    origin: str = "",
    confidence: Mapping[str, float] | None = None,
) -> Customer:
    """Make the customer or bring their profile up to date, field by field.

    A field is taken unless it came from a better source (declared > CRM > inferred) or, from the same source, later than
    `at` (default now); what a weaker source says is kept beside it. A value that the customer emptied stays empty. `origin`
    says in plain words where it was said, `confidence` (field → 0 to 1) how sure a guess is. Raises ValueError for an id that
    names nobody or an unknown field, ValidationError for a value that does not fit.
    """
    with connection.cursor() as cursor:
        customer_id = customers_get_or_create(cursor, store.pk, [external_id])[external_id]
    customer = Customer.objects.for_store(store).select_for_update(no_key=True).get(pk=customer_id)
    told = Told(profile or {}, ProfileSource(source), at or timezone.now(), origin, confidence or {})
    if taken := _take_all([customer], {customer.pk: told}).get(customer.pk):
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
    origin: str = "",
    confidence: Mapping[str, Mapping[str, float]] | None = None,
) -> int:
    """`customer_upsert` for many, {external id: profile}, in a handful of queries. Gives how many profiles changed.

    Raises as it does, for the first faulty profile; nothing is stored then.
    """
    moment = at or timezone.now()
    with connection.cursor() as cursor:
        ids = customers_get_or_create(cursor, store.pk, profiles)
    rows = Customer.objects.for_store(store).filter(pk__in=ids.values()).order_by("pk")
    customers = list(rows.select_for_update(no_key=True))
    sure = confidence or {}
    told = {
        customer.pk: Told(
            profiles[customer.external_id],
            ProfileSource(source),
            moment,
            origin,
            sure.get(customer.external_id, {}),
        )
        for customer in customers
    }
    taken = _take_all(customers, told)
    changed = [customer for customer in customers if taken.get(customer.pk)]
    for customer in changed:
        customer.updated_at = moment
    Customer.all_stores.bulk_update(changed, [*PROFILE_FIELDS, "field_sources", "updated_at"], batch_size=500)
    shopper_changes.changed(store.pk, customer_ids=[customer.external_id for customer in changed])
    return len(changed)


def _take_all(customers: Sequence[Customer], told: Mapping[int, Told]) -> dict[int, list[str]]:
    """Set what may be set, unsaved, and keep what is outranked. {customer id: names of the fields that changed}."""
    taken: dict[int, list[str]] = {}
    beside: list[ProfileStatement] = []
    for customer in customers:
        said = told[customer.pk]
        if unknown := set(said.profile) - set(PROFILE_FIELDS):
            raise ValueError(
                f"Unknown profile fields: {', '.join(sorted(unknown))}. Known: {', '.join(PROFILE_FIELDS)}."
            )
        taken[customer.pk], outranked = take(customer, said)
        beside += outranked
        if taken[customer.pk]:
            _check(customer, taken[customer.pk])
    statements_keep(beside)
    return taken


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
