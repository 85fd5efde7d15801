"""Who the events of a group are about: visitors, customers, the links between them and what was told about
them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.core.exceptions import ValidationError

from accounts import shopper_changes, vault
from accounts.models import Customer, IdentityLink, ProfileSource, Store
from accounts.services.customers import customer_upsert, customers_find, customers_get_or_create
from accounts.services.identity import Identification, identities_link
from accounts.services.statements import identifiers_put, is_news
from accounts.services.traits import sort_traits
from accounts.services.visitors import SeenVisitor, visitors_find, visitors_get_or_create
from consent.gate import Cursors
from consent.purposes import RECOGNITION
from tracking.ingestion.drafts import Draft, Reason
from tracking.models import Event, EventType

log = structlog.get_logger(__name__)

FROM_SERVER = "identify call of the shop's server"
FROM_BROWSER = "identify call of a browser"
_RECOGNITION = int(RECOGNITION)
_LINK_SOURCES = {"identify": IdentityLink.Source.IDENTIFY, "alias": IdentityLink.Source.ALIAS}


def refuse_merges(cursor: Any, store_id: int, drafts: Sequence[Draft]) -> None:
    """Reject each alias whose `previousId` is a customer: two people who both identified themselves are never
    merged."""
    aliases = [draft for draft in drafts if draft.message_type == "alias" and draft.rejection is None]
    if not aliases:
        return
    cursor.execute(
        "SELECT external_id FROM accounts_customer WHERE store_id = %s AND external_id = ANY(%s)",
        [store_id, [draft.anonymous_id for draft in aliases]],
    )
    customers = {external_id for (external_id,) in cursor.fetchall()}
    for draft in aliases:
        if draft.anonymous_id in customers:
            draft.reject(
                Reason.CUSTOMERS_NOT_MERGED,
                "`previousId` is a customer, not a visitor: two customers are never merged automatically. Use the merge review.",
            )


@dataclass(frozen=True, slots=True)
class Known:
    """Cursors that hold, or will hold, what the database knows of the visitors and customers of a group."""

    visitors: Any
    customers: Any


def ask(cursors: Cursors, store_id: int, drafts: Sequence[Draft]) -> Known:
    """Ask about everybody whom the drafts name, before it is known who may be recognised."""
    known = Known(cursors.cursor(), cursors.cursor())
    visitors_find(known.visitors, store_id, {draft.anonymous_id for draft in drafts if draft.anonymous_id})
    customers_find(known.customers, store_id, {draft.user_id for draft in drafts if draft.user_id})
    return known


def resolve(cursor: Any, store: Store, drafts: Sequence[Draft], known: Known) -> None:
    """Set `visitor_id` and `customer_id` of drafts that will be stored, and link those who identified
    themselves.

    Without permission to recognise, an event has no visitor.
    """
    recognised = [draft for draft in drafts if draft.anonymous_id and draft.granted & _RECOGNITION]
    visitors = visitors_get_or_create(cursor, store.pk, map(_seen, recognised), known.visitors.fetchall())
    customers = customers_get_or_create(
        cursor,
        store.pk,
        {draft.user_id for draft in drafts if draft.user_id},
        known.customers.fetchall(),
    )
    for draft in recognised:
        draft.visitor_id = visitors[draft.anonymous_id]
    for draft in drafts:
        if draft.user_id:
            draft.customer_id = customers[draft.user_id]
    _link(store, drafts)
    _apply_traits(store, [draft for draft in drafts if draft.traits and draft.customer_id is not None])


def _link(store: Store, drafts: Sequence[Draft]) -> None:
    identified = [
        draft
        for draft in drafts
        if draft.message_type in _LINK_SOURCES
        and draft.visitor_id is not None
        and draft.customer_id is not None
    ]
    if not identified:
        return
    made = identities_link(
        store.pk,
        [
            Identification(
                draft.visitor_id, draft.customer_id, draft.occurred_at, _LINK_SOURCES[draft.message_type]
            )
            for draft in identified
            if draft.visitor_id is not None and draft.customer_id is not None
        ],
    )
    if made:
        shopper_changes.changed(
            store.pk,
            anonymous_ids={draft.anonymous_id for draft in identified},
            customer_ids={draft.user_id for draft in identified},
        )


def identified_again(
    visitor_id: int, customer_id: int, after: datetime, before: datetime | None
) -> datetime | None:
    """When the log first tells, after one moment and before another, that this visitor identified as this customer."""
    told = Event.all_stores.filter(
        visitor_id=visitor_id,
        customer_id=customer_id,
        type__in=[EventType.IDENTIFY, EventType.ALIAS],
        occurred_at__gt=after,
    )
    if before is not None:
        told = told.filter(occurred_at__lt=before)
    return told.order_by("occurred_at").values_list("occurred_at", flat=True).first()


def _seen(draft: Draft) -> SeenVisitor:
    return SeenVisitor(
        draft.anonymous_id, draft.occurred_at, draft.occurred_at, draft.country, draft.device, draft.is_bot
    )


def _apply_traits(store: Store, drafts: Sequence[Draft]) -> None:
    """Traits of `identify`, newest last: profile fields to the customer, direct identifiers (from servers
    only) to the vault."""
    if not drafts:
        return
    ids = [draft.customer_id for draft in drafts if draft.customer_id is not None]
    known = Customer.objects.for_store(store).in_bulk(ids)
    identifiers: dict[int, dict[str, str]] = {}
    told_at: dict[int, datetime] = {}
    for draft in sorted(drafts, key=lambda draft: draft.occurred_at):
        customer = known[draft.customer_id]
        is_trusted = draft.arrival.source.is_trusted
        source = ProfileSource.CRM if is_trusted else ProfileSource.INFERRED
        traits = sort_traits(draft.traits or {})
        if is_trusted and traits.identifiers:
            identifiers.setdefault(customer.pk, {}).update(traits.identifiers)
            told_at[customer.pk] = draft.occurred_at
        if any(is_news(customer, field, value, source) for field, value in traits.profile.items()):
            try:
                known[customer.pk] = customer_upsert(
                    store=store,
                    external_id=customer.external_id,
                    profile=traits.profile,
                    source=source,
                    at=draft.occurred_at,
                    origin=FROM_SERVER if is_trusted else FROM_BROWSER,
                )
            except ValidationError as error:
                log.info("identify.traits_ignored", fields=sorted(error.message_dict))
    _put_identifiers(store, identifiers, told_at)


def _put_identifiers(
    store: Store, identifiers: dict[int, dict[str, str]], told_at: dict[int, datetime]
) -> None:
    if not identifiers:
        return
    stored = vault.get_many(store, identifiers)
    changed = {
        customer_id: {
            field: value for field, value in fields.items() if stored.get(customer_id, {}).get(field) != value
        }
        for customer_id, fields in identifiers.items()
    }
    if changed := {customer_id: fields for customer_id, fields in changed.items() if fields}:
        identifiers_put(store=store, values=changed, source=ProfileSource.CRM, at=told_at, origin=FROM_SERVER)
