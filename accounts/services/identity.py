"""Joining browsers to customers, as links with an interval. Nothing is ever re-keyed.

A link says: from here on this browser is that customer. When another customer identifies on the same browser, the
earlier link ends there and theirs begins: two people who both identified themselves are never merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
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


Witness = Callable[[int, int, datetime, "datetime | None"], "datetime | None"]
"""(visitor id, customer id, after, before) → when the log first tells between the two that the visitor identified as the
customer; `before` None: until now."""

_witness: Witness | None = None


def register_witness(witness: Witness) -> None:
    """Identifications that a link covers already leave no row of their own. Who keeps them tells here, so that one of somebody
    else that comes late does not swallow them."""
    global _witness
    _witness = witness


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
    links, undone = _links_of(store_id, unknown), _undone_of(store_id, unknown)
    new: list[IdentityLink] = []
    changed: dict[int, IdentityLink] = {}
    for visitor_id, wanted in unknown.items():
        for identification in sorted(wanted, key=lambda one: one.at):
            if not any(_was_taken_back(link, identification) for link in undone[visitor_id]):
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


def _undone_of(store_id: int, visitor_ids: Iterable[int]) -> dict[int, list[IdentityLink]]:
    undone: dict[int, list[IdentityLink]] = defaultdict(list)
    rows = IdentityLink.objects.for_store(store_id).filter(visitor_id__in=list(visitor_ids))
    for link in rows.exclude(undone_at=None):
        undone[link.visitor_id].append(link)
    return undone


def _was_taken_back(link: IdentityLink, one: Identification) -> bool:
    """Whether a person has judged this very identification, which comes again or late: it never held."""
    return (
        link.customer_id == one.customer_id and _covers(link, one.at) and one.at <= (link.undone_at or one.at)
    )


def _not_yet_covered(
    store_id: int, by_visitor: dict[int, list[Identification]]
) -> dict[int, list[Identification]]:
    """The visitors of whom something is news, with all that was told of them: what is covered now may not be after that."""
    links = _links_of(store_id, by_visitor)
    return {
        visitor_id: wanted
        for visitor_id, wanted in by_visitor.items()
        if not all(_is_known(links[visitor_id], one) for one in wanted)
    }


def _is_known(links: Iterable[IdentityLink], one: Identification) -> bool:
    return any(link.customer_id == one.customer_id and _covers(link, one.at) for link in links)


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
        if (again := _identified_again(current, one.at, until)) is not None:
            # Told late that somebody else was there in between: whose link it was came back at that moment.
            back = Identification(one.visitor_id, current.customer_id, again, current.source)
            new.append(_link_for(store_id, back, until, links))
            new.append(_link_for(store_id, one, again, links))
            return
    if following is not None and following.customer_id == one.customer_id and following.valid_from == until:
        # Told late that the same person had identified earlier.
        following.valid_from = one.at
        _mark(following, changed)
        return
    new.append(_link_for(store_id, one, until, links))


def _identified_again(link: IdentityLink, after: datetime, before: datetime | None) -> datetime | None:
    return _witness(link.visitor_id, link.customer_id, after, before) if _witness is not None else None


def _link_for(
    store_id: int, one: Identification, until: datetime | None, links: list[IdentityLink]
) -> IdentityLink:
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
    return link


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


class LinkRefused(ValueError):
    """The link cannot be changed so; the message says why."""


@transaction.atomic
def identity_unlink(*, link: IdentityLink, at: datetime | None = None) -> None:
    """Take a link back: it never held. Once undone it stays as a row, so that the undoing can be answered for."""
    IdentityLink.objects.for_store(link.store_id).filter(pk=link.pk, undone_at=None).update(
        undone_at=at or timezone.now()
    )
    link.refresh_from_db()
    _relinked(link)


@transaction.atomic
def identity_relink(*, link: IdentityLink) -> None:
    """Take the undoing back: the link holds again. Raises LinkRefused where the browser was linked otherwise since, or the
    link was not undone."""
    if link.undone_at is None:
        raise LinkRefused("This link was not undone: it holds.")
    list(Visitor.objects.for_store(link.store_id).filter(pk=link.visitor_id).select_for_update(no_key=True))
    others = _links_of(link.store_id, [link.visitor_id])[link.visitor_id]
    end = link.valid_until
    overlapping = [
        other
        for other in others
        if (end is None or other.valid_from < end)
        and (other.valid_until is None or link.valid_from < other.valid_until)
    ]
    if overlapping:
        raise LinkRefused(
            f"The browser was {overlapping[0].customer} at that time: end or undo that link first."
        )
    IdentityLink.objects.for_store(link.store_id).filter(pk=link.pk).update(undone_at=None)
    link.refresh_from_db()
    _relinked(link)


@transaction.atomic
def identity_link_end(*, link: IdentityLink, at: datetime) -> None:
    """Split a shared browser: from `at` on it was somebody else, who is not known. Raises LinkRefused for a moment outside of
    the link, or a link that was undone."""
    current = IdentityLink.objects.for_store(link.store_id).select_for_update().get(pk=link.pk)
    if current.undone_at is not None:
        raise LinkRefused("The link was undone: it never held.")
    if at <= current.valid_from or (current.valid_until is not None and at >= current.valid_until):
        raise LinkRefused("The moment lies outside of the link: choose one between its start and its end.")
    current.valid_until = at
    current.save(update_fields=["valid_until"])
    link.refresh_from_db()
    _relinked(link)


def _relinked(link: IdentityLink) -> None:
    """A person judged who was at a browser: copies go, and what was folded under the old judgement is made anew."""
    shopper_changes.relinked(link.store_id, [link.visitor_id])
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
