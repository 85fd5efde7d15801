"""What a shopper's timeline is made of. Apps that stand higher than tracking hang their own sources in here.

Tracking brings events, orders, consent and identity; recommendations bring what shelves showed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import Q

from accounts.models import Customer, Store, Visitor
from accounts.selectors.persons import records_of
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
        """Rows of the visits: `visitor` is theirs, `moment` lies in their time. Nothing where there are no visits."""
        within = Q(pk__in=[])
        for session in self.sessions:
            within |= Q(
                visitor=session.visitor_id,
                **{f"{moment}__gte": session.started_at - lead, f"{moment}__lte": session.ended_at},
            )
        return within

    def in_time(self, moment: str) -> Q:
        return Q(**{f"{moment}__gte": self.since, f"{moment}__lt": self.until})


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
