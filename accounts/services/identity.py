"""Joining browsers to customers, as links with an interval. Nothing is ever re-keyed.

A link says: from here on this browser is that customer. When another customer identifies on the same browser, the
earlier link ends there and theirs begins: two people who both identified themselves are never merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import shopper_changes
from accounts.models.customer import Customer
from accounts.models.identity import IdentityLink, Visitor
from accounts.models.store import Store


@dataclass(frozen=True)
class Identification:
    """This visitor identified as this customer at this moment."""

    visitor_id: int
    customer_id: int
    at: datetime
    source: str = IdentityLink.Source.IDENTIFY


@transaction.atomic
def identities_link(store_id: int, identifications: Iterable[Identification]) -> int:
    """Record a whole batch, in any order of arrival and as often as it is resent. Gives the number of links made.

    Locks the visitors (by id, so that overlapping batches wait in turn) and runs in the caller's transaction if there is
    one. Where every identification is known already, two queries.
    """
    by_visitor: dict[int, list[Identification]] = defaultdict(list)
    for identification in identifications:
        by_visitor[identification.visitor_id].append(identification)
    if not by_visitor:
        return 0
    unknown = _not_yet_covered(store_id, by_visitor)
    if not unknown:
        return 0
    list(
        Visitor.objects.for_store(store_id)
        .filter(pk__in=unknown)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk")
    )
    links = _links_of(store_id, unknown)
    new: list[IdentityLink] = []
    changed: dict[int, IdentityLink] = {}
    for visitor_id, wanted in unknown.items():
        for identification in sorted(wanted, key=lambda one: one.at):
            _insert(store_id, links[visitor_id], identification, new, changed)
    IdentityLink.all_stores.bulk_update(changed.values(), ["valid_from", "valid_until"], batch_size=500)
    IdentityLink.all_stores.bulk_create(new, batch_size=1000)
    return len(new)


def _links_of(store_id: int, visitor_ids: Iterable[int]) -> dict[int, list[IdentityLink]]:
    links: dict[int, list[IdentityLink]] = defaultdict(list)
    rows = IdentityLink.objects.for_store(store_id).filter(visitor_id__in=list(visitor_ids), undone_at=None)
    for link in rows.order_by("visitor_id", "valid_from", "pk"):
        links[link.visitor_id].append(link)
    return links


def _not_yet_covered(
    store_id: int, by_visitor: dict[int, list[Identification]]
) -> dict[int, list[Identification]]:
    links = _links_of(store_id, by_visitor)
    uncovered = {
        visitor_id: [
            one
            for one in wanted
            if not any(
                link.customer_id == one.customer_id and _covers(link, one.at) for link in links[visitor_id]
            )
        ]
        for visitor_id, wanted in by_visitor.items()
    }
    return {visitor_id: wanted for visitor_id, wanted in uncovered.items() if wanted}


def _covers(link: IdentityLink, at: datetime) -> bool:
    return link.valid_from <= at and (link.valid_until is None or at < link.valid_until)


def _insert(
    store_id: int,
    links: list[IdentityLink],
    one: Identification,
    new: list[IdentityLink],
    changed: dict[int, IdentityLink],
) -> None:
    """Put one identification among a visitor's links (sorted by start), ending, extending or making links as needed."""
    before = [link for link in links if link.valid_from <= one.at]
    after = [link for link in links if link.valid_from > one.at]
    current = next((link for link in reversed(before) if _covers(link, one.at)), None)
    if current is not None and current.customer_id == one.customer_id:
        return
    following = after[0] if after else None
    until = following.valid_from if following else None
    if current is not None:
        until = current.valid_until
        current.valid_until = one.at
        _mark(current, changed)
    if following is not None and following.customer_id == one.customer_id:
        # Told late that the same person had identified earlier.
        following.valid_from = one.at
        _mark(following, changed)
        return
    link = IdentityLink(
        store_id=store_id,
        visitor_id=one.visitor_id,
        customer_id=one.customer_id,
        valid_from=one.at,
        valid_until=until,
        source=one.source,
    )
    links.append(link)
    links.sort(key=lambda known: known.valid_from)
    new.append(link)


def _mark(link: IdentityLink, changed: dict[int, IdentityLink]) -> None:
    if link.pk is not None:
        changed[link.pk] = link


def identity_link(
    *,
    store: Store,
    visitor: Visitor,
    customer: Customer,
    at: datetime | None = None,
    source: str = IdentityLink.Source.LOGIN,
) -> IdentityLink:
    """From `at` (default now) this visitor is this customer. Gives the link that covers that moment.

    Raises ValueError where visitor or customer belong to another store.
    """
    if visitor.store_id != store.pk or customer.store_id != store.pk:
        raise ValueError("Visitor and customer must belong to the store that links them.")
    moment = at or timezone.now()
    if identities_link(store.pk, [Identification(visitor.pk, customer.pk, moment, source)]):
        _announce(store.pk, visitor, customer)
    return (
        IdentityLink.objects.for_store(store)
        .filter(visitor=visitor, customer=customer, undone_at=None, valid_from__lte=moment)
        .order_by("-valid_from")
        .select_related("visitor", "customer")[0]
    )


@transaction.atomic
def identity_unlink(*, link: IdentityLink, at: datetime | None = None) -> None:
    """Take a link back: it never held. Once undone it stays as a row, so that the undoing can be answered for."""
    IdentityLink.objects.for_store(link.store_id).filter(pk=link.pk, undone_at=None).update(
        undone_at=at or timezone.now()
    )
    link.refresh_from_db()
    _announce(link.store_id, link.visitor, link.customer)


@transaction.atomic
def identity_end(*, store: Store, visitor: Visitor, at: datetime | None = None) -> int:
    """Somebody else sits at the browser from `at` on, and is not known (log-out on a shared device). Gives links ended."""
    moment = at or timezone.now()
    open_links = IdentityLink.objects.for_store(store).filter(
        visitor=visitor, undone_at=None, valid_from__lte=moment, valid_until=None
    )
    ended = open_links.update(valid_until=moment)
    if ended:
        _announce(store.pk, visitor)
    return ended


def _announce(store_id: int, visitor: Visitor, *customers: Customer) -> None:
    shopper_changes.changed(
        store_id,
        anonymous_ids=[visitor.anonymous_id],
        customer_ids=[customer.external_id for customer in customers],
    )
