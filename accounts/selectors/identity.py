"""Who was it? Links between visitors and customers, read at the moment that is asked about.

What a browser did before anybody identified on it belongs to the one customer who later did; where several customers
used it, only what lies in their own intervals is theirs, and the time before the first is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from accounts import vault
from accounts.models.customer import Customer
from accounts.models.identity import IdentityLink, Visitor
from accounts.models.store import Store
from accounts.personal_data import Subject, VisitInterval
from accounts.selectors.persons import person_of, persons, record_ids_of, records_of

# A common table expression `identity(visitor_id, customer_id, valid_from, valid_until)` with the rule above worked in, for
# statements that resolve many rows: `LEFT JOIN identity ON identity.visitor_id = e.visitor_id AND e.occurred_at >=
# identity.valid_from AND e.occurred_at < identity.valid_until`. Wants the parameter `store`. Of merged customers it names the
# kept record; an event's own customer is resolved by `LEFT JOIN accounts_personrecord`.
IDENTITY_CTE: Final = """
link AS (
    SELECT link.id, link.visitor_id, COALESCE(record.person_id, link.customer_id) AS customer_id, link.valid_from, link.valid_until
      FROM accounts_identitylink link LEFT JOIN accounts_personrecord record ON record.customer_id = link.customer_id
     WHERE link.store_id = %(store)s AND link.undone_at IS NULL
),
identity AS (
    SELECT visitor_id,
           customer_id,
           CASE WHEN row_number() OVER by_start = 1 AND min(customer_id) OVER whole = max(customer_id) OVER whole
                THEN '-infinity'::timestamptz ELSE valid_from END AS valid_from,
           COALESCE(valid_until, 'infinity'::timestamptz) AS valid_until
      FROM link
    WINDOW whole AS (PARTITION BY visitor_id), by_start AS (PARTITION BY visitor_id ORDER BY valid_from, id)
)
"""


def customer_at(visitor: Visitor, at: datetime) -> Customer | None:
    """The customer that this visitor was at that moment; of merged ones the kept record."""
    links = list(
        _links(visitor.store_id)
        .filter(visitor=visitor)
        .select_related("customer")
        .order_by("valid_from", "pk")
    )
    people = persons(visitor.store_id) if links else {}
    for link in reversed(links):
        if link.valid_from <= at and (link.valid_until is None or at < link.valid_until):
            return person_of(link.customer)
    owners = {people.get(link.customer_id, link.customer_id) for link in links}
    if links and at < links[0].valid_from and len(owners) == 1:
        return person_of(links[0].customer)
    return None


def visitors_of(customer: Customer, at: datetime | None = None) -> list[Visitor]:
    """Visitors linked to the customer, in any record of theirs, newest link first; with `at`, those whose link holds then."""
    links = (
        _links(customer.store_id)
        .filter(customer__in=record_ids_of(customer))
        .select_related("visitor")
        .order_by("-valid_from")
    )
    if at is not None:
        links = links.filter(Q(valid_until=None) | Q(valid_until__gt=at), valid_from__lte=at)
    return list({link.visitor_id: link.visitor for link in links}.values())


def subject_of(customer: Customer) -> Subject:
    """Everything that the store knows the person by, for export and erasure: all of their records, this one first. Links
    taken back do not count."""
    records = sorted(records_of(customer), key=lambda record: record.pk != customer.pk)
    links = list(
        _links(customer.store_id)
        .filter(customer__in=records)
        .select_related("visitor")
        .order_by("valid_from")
    )
    shared_ids = set(
        _links(customer.store_id)
        .filter(visitor_id__in={link.visitor_id for link in links})
        .exclude(customer__in=records)
        .values_list("visitor_id", flat=True)
    )
    own = {link.visitor_id: link.visitor for link in links if link.visitor_id not in shared_ids}
    opened = vault.get_many(customer.store_id, [record.pk for record in records], ["email"])
    emails = [opened[record.pk]["email"] for record in records if opened.get(record.pk, {}).get("email")]
    return Subject(
        store=customer.store,
        customer=records[0],
        merged_customers=tuple(records[1:]),
        visitor_ids=tuple(own),
        anonymous_ids=tuple(visitor.anonymous_id for visitor in own.values()),
        user_ids=tuple(record.external_id for record in records),
        emails=tuple(dict.fromkeys(emails)),
        shared_visits=tuple(
            VisitInterval(link.visitor_id, link.visitor.anonymous_id, link.valid_from, link.valid_until)
            for link in links
            if link.visitor_id in shared_ids
        ),
    )


def subject_of_visitor(visitor: Visitor) -> Subject:
    """A browser that no customer is linked to; where one is, the subject is that customer (see `subject_of`)."""
    return Subject(store=visitor.store, visitor_ids=(visitor.pk,), anonymous_ids=(visitor.anonymous_id,))


def find_subjects(
    store: Store, *, email: str = "", user_id: str = "", anonymous_id: str = ""
) -> list[Subject]:
    """People who go by one of these ids; a visitor counts as the customer they are linked to."""
    customers = {customer.pk: customer for customer in vault.find_by_email(store, email)} if email else {}
    if user_id:
        customers |= {
            customer.pk: customer
            for customer in Customer.objects.for_store(store).filter(external_id=user_id)
        }
    alone: list[Visitor] = []
    for visitor in Visitor.objects.for_store(store).filter(anonymous_id=anonymous_id) if anonymous_id else []:
        linked = (
            Customer.objects.for_store(store).filter(links__visitor=visitor, links__undone_at=None).distinct()
        )
        customers |= {customer.pk: customer for customer in linked}
        if not linked:
            alone.append(visitor)
    subjects: dict[int, Subject] = {}
    for customer in customers.values():
        if customer.pk not in {pk for subject in subjects.values() for pk in subject.customer_ids}:
            subjects[customer.pk] = subject_of(customer)
    return [*subjects.values(), *map(subject_of_visitor, alone)]


@dataclass(frozen=True)
class IdentityMap:
    """The links of a store as arrays, to resolve many (visitor, moment) pairs at once; of merged customers the kept record.

    `visitor` (n,) int64 sorted, then `valid_from` (n,) float64 Unix seconds sorted within a visitor, `valid_until` (n,)
    float64 with +inf for open, `customer` (n,) int64. Starts before an only customer's first link are moved to -inf.
    """

    visitor: NDArray[np.int64]
    valid_from: NDArray[np.float64]
    valid_until: NDArray[np.float64]
    customer: NDArray[np.int64]
    persons: Mapping[int, int] = field(default_factory=dict)

    def people(self, customer: NDArray[np.int64]) -> NDArray[np.int64]:
        """The kept record of each customer id; ids of who has one record, and 0, stay as they are."""
        if not self.persons or not len(customer):
            return customer
        records = np.array(sorted(self.persons), dtype=np.int64)
        named = np.array([self.persons[record] for record in records.tolist()], dtype=np.int64)
        position = np.minimum(np.searchsorted(records, customer), len(records) - 1)
        return np.where(records[position] == customer, named[position], customer)

    def resolve(self, visitor: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.int64]:
        """Customer id of each (visitor id, Unix seconds), (m,) int64; -1 where it was nobody known."""
        found = np.full(len(visitor), -1, dtype=np.int64)
        if not len(self.visitor) or not len(visitor):
            return found
        # Rank both by (visitor, moment); a link that starts at the very moment counts, hence its lower third key.
        m, n = len(visitor), len(self.visitor)
        order = np.lexsort(
            (
                np.concatenate([np.zeros(n, np.int8), np.ones(m, np.int8)]),
                np.concatenate([self.valid_from, at]),
                np.concatenate([self.visitor, visitor]),
            )
        )
        is_link = order < n
        latest = np.maximum.accumulate(np.where(is_link, order, -1))
        asked = order[~is_link] - n
        link = latest[~is_link]
        holds = (link >= 0) & (self.visitor[link] == visitor[asked]) & (at[asked] < self.valid_until[link])
        found[asked[holds]] = self.customer[link[holds]]
        return found


def identity_map(store: Store | int) -> IdentityMap:
    """All links of the store that hold, in two queries."""
    store_id = store if isinstance(store, int) else store.pk
    people = persons(store_id)
    rows = _links(store_id).order_by("visitor_id", "valid_from", "pk")
    by_visitor: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for visitor_id, customer_id, valid_from, valid_until in rows.values_list(
        "visitor_id", "customer_id", "valid_from", "valid_until"
    ).iterator():
        end_at = valid_until.timestamp() if valid_until else np.inf
        by_visitor[visitor_id].append((valid_from.timestamp(), end_at, people.get(customer_id, customer_id)))
    visitor, start, end, customer = [], [], [], []
    for visitor_id, links in by_visitor.items():
        has_one_customer = len({customer_id for _, _, customer_id in links}) == 1
        for position, (valid_from, valid_until, customer_id) in enumerate(links):
            visitor.append(visitor_id)
            start.append(-np.inf if position == 0 and has_one_customer else valid_from)
            end.append(valid_until)
            customer.append(customer_id)
    return IdentityMap(
        np.array(visitor, dtype=np.int64),
        np.array(start, dtype=np.float64),
        np.array(end, dtype=np.float64),
        np.array(customer, dtype=np.int64),
        people,
    )


def _links(store_id: int):  # type: ignore[no-untyped-def]
    return IdentityLink.objects.for_store(store_id).filter(undone_at=None)


def customer_ids_of(store: Store, external_ids: Iterable[str]) -> dict[str, int]:
    """{external id: customer id} of those that exist."""
    return dict(
        Customer.objects.for_store(store)
        .filter(external_id__in=list(external_ids))
        .values_list("external_id", "pk")
    )
