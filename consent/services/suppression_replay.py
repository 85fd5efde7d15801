"""After a restore: erase again whoever the backup has brought back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import structlog
from django.db.models import QuerySet

from accounts import auditing, vault
from accounts.models import Customer, Store, Visitor
from accounts.personal_data import Subject, processors
from accounts.selectors.identity import subject_of, subject_of_visitor
from consent.models import Suppression
from consent.pseudonyms import IdentifierKind, pseudonyms
from consent.services.erasure import erasure_barrier
from consent.services.suppression import suppressions_load

CHUNK: Final = 2000

log = structlog.get_logger(__name__)


def _came_back(store: Store, erased_until: dict[str, datetime]) -> Iterator[Subject]:
    """Customers and lone visitors who bear a suppressed identifier and whose row is older than their erasure.

    Who was erased and has come anew has a row made after it, and is left alone.
    """

    def is_back(kind: IdentifierKind, value: str, row_made_at: datetime) -> bool:
        untils = [
            erased_until[digest] for digest in pseudonyms(store.pk, kind, value) if digest in erased_until
        ]
        return any(row_made_at <= until for until in untils)

    covered: set[int] = set()
    for customers in _chunks(Customer.objects.for_store(store).order_by("pk")):
        emails = vault.get_many(store, [customer.pk for customer in customers], ["email"])
        for customer in customers:
            email = emails.get(customer.pk, {}).get("email", "")
            if is_back(IdentifierKind.USER_ID, customer.external_id, customer.created_at) or (
                email and is_back(IdentifierKind.EMAIL, email, customer.created_at)
            ):
                subject = subject_of(customer)
                covered.update(subject.visitor_ids)
                yield subject
    for visitors in _chunks(Visitor.objects.for_store(store).exclude(pk__in=covered).order_by("pk")):
        for visitor in visitors:
            if is_back(IdentifierKind.ANONYMOUS_ID, visitor.anonymous_id, visitor.first_seen_at):
                yield subject_of_visitor(visitor)


def _chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """Pages by key: rows may be deleted while they are read."""
    page = list(rows[:CHUNK])
    while page:
        last = page[-1].pk
        yield page
        page = list(rows.filter(pk__gt=last)[:CHUNK])


def suppression_replay() -> int:
    """Erase everybody in the tables whom the suppression list knows as erased. Gives the number of people.

    Entries of the list's file that the restored table lacks are brought back first. Safe to run at any time.
    """
    count = 0
    for store in Store.objects.order_by("pk"):
        suppressions_load(store)
        erased_until = dict(Suppression.objects.for_store(store).values_list("digest", "suppressed_until"))
        if not erased_until:
            continue
        erasure_barrier(store)
        people = 0
        for subject in _came_back(store, erased_until):
            for processor in processors():
                processor.erase(subject)
            people += 1
        if people:
            details = {"people": people}
            auditing.record(
                store=store, actor=auditing.SYSTEM, action="suppression.replayed", details=details
            )
        log.info("suppression.replayed", store_id=store.pk, people=people)
        count += people
    return count
