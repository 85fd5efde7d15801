"""Who stands before the privacy centre: a customer who is logged in, a browser that is recognised, or nobody we know."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from accounts.current_customer import current_customer
from accounts.models import Customer, IdentityLink, Store, Visitor
from accounts.personal_data import Subject
from accounts.selectors.identity import subject_of, subject_of_visitor
from consent.cookies import anonymous_id_of
from consent.models import DataSubjectRequest

Source = DataSubjectRequest.Source


@dataclass(frozen=True)
class Person:
    """`visitor`: a recognised browser that stands for nobody else. The browser of a customer who is not logged in is nobody's."""

    store: Store
    customer: Customer | None = None
    visitor: Visitor | None = None

    @property
    def is_known(self) -> bool:
        return self.customer is not None or self.visitor is not None

    @property
    def source(self) -> str:
        return Source.ACCOUNT if self.customer is not None else Source.BROWSER

    def subject(self) -> Subject | None:
        if self.customer is not None:
            return subject_of(self.customer)
        return subject_of_visitor(self.visitor) if self.visitor is not None else None


def person_of(request: HttpRequest, store: Store) -> Person:
    customer = current_customer(request, store)
    if customer is not None:
        return Person(store, customer=customer)
    anonymous_id = anonymous_id_of(request)
    visitor = (
        Visitor.objects.for_store(store).filter(anonymous_id=anonymous_id).first() if anonymous_id else None
    )
    if (
        visitor is None
        or IdentityLink.objects.for_store(store).filter(visitor=visitor, undone_at=None).exists()
    ):
        return Person(store)
    return Person(store, visitor=visitor)
