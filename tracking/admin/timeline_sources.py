"""What a shopper's timeline is made of. Apps that stand higher than tracking hang their own sources in here.

Tracking brings events, orders, consent and identity; recommendations bring what shelves showed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from django.db.models import Q

from accounts.models import Customer, IdentityLink, Store, Visitor
from accounts.selectors.persons import records_of
from profiles.reading import who_is
from tracking.models import Session

# A decision or a login comes a moment before the first event that it permits.
LEAD = timedelta(minutes=10)
# Of one source on one page: more is a robot's.
MOST = 2_000

Key = tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """A product on a shelf that somebody saw."""

    product_id: str
    rank: int
    strategy: str
    is_clicked: bool
    name: str = ""


@dataclass(frozen=True)
class Moment:
    """Something that happened. `visitor_id` is the browser's, None where it happened on none.

    `tells` are keys of events that need not be shown beside it: (name, product id or order id, request id).
    """

    at: datetime
    kind: str
    title: str
    detail: str = ""
    url: str = ""
    tone: str = ""
    visitor_id: int | None = None
    products: tuple[Product, ...] = ()
    tells: frozenset[Key] = frozenset()
    key: Key = ()


@dataclass(frozen=True)
class Stretch:
    """A page of a timeline: some visits of one shopper, and the time around them: [since, until)."""

    store: Store
    subject: Customer | Visitor
    sessions: Sequence[Session]
    since: datetime
    until: datetime

    @cached_property
    def customers(self) -> list[Customer]:
        """All records of the person; none for a browser."""
        return records_of(self.subject) if isinstance(self.subject, Customer) else []

    @property
    def visitor_ids(self) -> set[int]:
        return {session.visitor_id for session in self.sessions}

    def in_visits(self, moment: str, lead: timedelta = timedelta(0)) -> Q:
        """Rows of the visits: `visitor` is theirs, `moment` lies in their time. Nothing where there are no visits.

        Of a customer only what names them, or nobody in their own time: others may have used the browser in the same visit.
        """
        within = Q(pk__in=[])
        for session in self.sessions:
            visit = Q(
                visitor=session.visitor_id,
                **{f"{moment}__gte": session.started_at - lead, f"{moment}__lte": session.ended_at},
            )
            if self.customers:
                nobody = Q(customer=None) & self.in_own_time(session.visitor_id, moment)
                visit &= Q(customer__in=self.customers) | nobody
            within |= visit
        return within

    def in_own_time(self, visitor_id: int, moment: str) -> Q:
        """`moment` lies where the customer's links say that the browser was theirs. Anywhere for a browser that nobody is
        linked to, and where the timeline is a browser's own."""
        if not self.customers or visitor_id not in self._linked:
            return Q()
        within = Q(pk__in=[])
        for since, until in self._own_times[visitor_id]:
            time = {f"{moment}__gte": since, f"{moment}__lt": until}
            bounds = Q(**{bound: value for bound, value in time.items() if value is not None})
            if not bounds:
                return Q()
            within |= bounds
        return within

    @cached_property
    def _linked(self) -> set[int]:
        links = IdentityLink.objects.for_store(self.store).filter(
            visitor__in=self.visitor_ids, undone_at=None
        )
        return set(links.values_list("visitor_id", flat=True))

    @cached_property
    def _own_times(self) -> defaultdict[int, list[tuple[datetime | None, datetime | None]]]:
        """{visitor id: [since, until) of the customer there}; None: without an end on that side."""
        records = [customer.pk for customer in self.customers]
        found: defaultdict[int, list[tuple[datetime | None, datetime | None]]] = defaultdict(list)
        for time in who_is(self.store.pk, None, self.subject.pk, record_ids=records).stretches:
            found[time.visitor_id].append((_moment(time.since), _moment(time.until)))
        return found

    def in_time(self, moment: str) -> Q:
        return Q(**{f"{moment}__gte": self.since, f"{moment}__lt": self.until})


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) else None


@dataclass(frozen=True)
class Source:
    """`label` is what the page's filter says. `moments` may come in any order."""

    kind: str
    label: str
    rank: int
    moments: Callable[[Stretch], list[Moment]]


_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    _sources[source.kind] = source


def sources() -> list[Source]:
    return sorted(_sources.values(), key=lambda source: source.rank)
