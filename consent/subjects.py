"""Persons as a request keeps them while it is carried out: by ids, so that what failed can be tried again when they are gone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from accounts.models import Customer, Store
from accounts.personal_data import Subject, VisitInterval
from consent.pseudonyms import IdentifierKind, pseudonym


def subject_to_json(subject: Subject) -> dict[str, Any]:
    return {
        "customer": _customer_to_json(subject.customer) if subject.customer else None,
        "merged_customers": [_customer_to_json(customer) for customer in subject.merged_customers],
        "visitor_ids": list(subject.visitor_ids),
        "anonymous_ids": list(subject.anonymous_ids),
        "user_ids": list(subject.user_ids),
        "emails": list(subject.emails),
        "shared_visits": [
            [
                visit.visitor_id,
                visit.anonymous_id,
                visit.valid_from.isoformat(),
                visit.valid_until.isoformat() if visit.valid_until else None,
            ]
            for visit in subject.shared_visits
        ],
    }


def _customer_to_json(customer: Customer) -> dict[str, Any]:
    return {
        "id": customer.pk,
        "external_id": customer.external_id,
        "public_id": str(customer.public_id),
    }


def _customer_from_json(store: Store, known: dict[str, Any]) -> Customer:
    customer = Customer.objects.for_store(store).filter(pk=known["id"]).first()
    return customer or Customer(
        pk=known["id"], store=store, external_id=known["external_id"], public_id=known["public_id"]
    )


def subject_from_json(store: Store, content: dict[str, Any]) -> Subject:
    """Customers are as the database has them, or, once deleted, rows in memory with their ids."""
    known = content["customer"]
    return Subject(
        store=store,
        customer=_customer_from_json(store, known) if known else None,
        # Requests that were taken before customers could be merged do not say it.
        merged_customers=tuple(
            _customer_from_json(store, merged) for merged in content.get("merged_customers", [])
        ),
        visitor_ids=tuple(content["visitor_ids"]),
        anonymous_ids=tuple(content["anonymous_ids"]),
        user_ids=tuple(content["user_ids"]),
        emails=tuple(content["emails"]),
        shared_visits=tuple(
            VisitInterval(
                visitor_id,
                anonymous_id,
                datetime.fromisoformat(start),
                datetime.fromisoformat(end) if end else None,
            )
            for visitor_id, anonymous_id, start, end in content["shared_visits"]
        ),
    )


def identifiers(subject: Subject) -> Iterable[tuple[IdentifierKind, str]]:
    """Everything that must not come back. A shared device's id is not the person's alone, and stays out."""
    for user_id in subject.user_ids:
        yield IdentifierKind.USER_ID, user_id
    for anonymous_id in subject.anonymous_ids:
        yield IdentifierKind.ANONYMOUS_ID, anonymous_id
    for email in subject.emails:
        yield IdentifierKind.EMAIL, email


def subject_pseudonym(subject: Subject) -> str:
    """One digest by which requests of a person are told apart: of the customer id, else the first id known. "" for nobody."""
    first = next(iter(identifiers(subject)), None)
    return pseudonym(subject.store.pk, *first) if first else ""
