"""Declaring two customer records one person, and taking it back. Rows are written, nothing is re-keyed.

Staff alone do this, from the merge review: two people who both identified themselves are never merged by a machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import auditing, shopper_changes
from accounts.models.customer import Customer
from accounts.models.identity import Visitor
from accounts.models.merge import CustomerMerge, CustomersApart, PersonRecord
from accounts.models.user import User
from accounts.selectors.persons import record_ids_of

# What a reason may hold, here and in the audit log.
REASON_LENGTH: Final = 500
_LOCK: Final = 6_120_441  # first half of an advisory lock's key; the second is the store's id


class Judgement(Protocol):
    """Called in the transaction in which staff judged two records: one person (`are_one`), or two."""

    def __call__(
        self, first: Customer, second: Customer, *, are_one: bool, actor: User, reason: str
    ) -> None: ...


_listeners: list[Judgement] = []


def on_judgement(listener: Judgement) -> None:
    """For who has proposed the pair. Registering the same listener twice is harmless."""
    if listener not in _listeners:
        _listeners.append(listener)


class MergeRefused(ValueError):
    """The records cannot be merged, or the merge not be undone; the message says why and what to do."""


@transaction.atomic
def customers_merge(
    *,
    kept: Customer,
    merged: Customer,
    actor: User,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> CustomerMerge:
    """From now on both records, with all that belong to either already, are one person, named by `kept`'s record.

    `evidence` holds kinds and scores, no direct identifiers. Raises MergeRefused where they are one person already, were
    declared apart, stand in two stores, or no reason is given.
    """
    store = kept.store
    if merged.store_id != store.pk:
        raise MergeRefused("Two stores never share a customer: these records stand in different ones.")
    if not (why := _kept(reason)):
        raise MergeRefused("Say why: a merge must be answered for later.")
    _lock(store.pk)
    one, other = set(record_ids_of(kept)), set(record_ids_of(merged))
    if one & other:
        raise MergeRefused(f"{kept} and {merged} are one person already.")
    if (apart := _apart_between(store.pk, one, other)) is not None:
        raise MergeRefused(
            f"{apart.first} and {apart.second} were declared two people on {apart.decided_at:%Y-%m-%d}. "
            "Take that back first, if it was a mistake."
        )
    merge = CustomerMerge.objects.create(
        store=store,
        kept=kept,
        merged=merged,
        evidence=dict(evidence or {}),
        reason=why,
        merged_at=at or timezone.now(),
        merged_by=actor,
    )
    _settle(store.pk, one | other)
    _record(merge, "customers.merged", actor, merge.reason)
    _announce(store.pk, one | other)
    for listener in _listeners:
        listener(kept, merged, are_one=True, actor=actor, reason=merge.reason)
    return merge


@transaction.atomic
def merge_undo(*, merge: CustomerMerge, actor: User, reason: str = "") -> None:
    """The two are two again, each with what belongs to it. Raises MergeRefused for a merge that is undone already."""
    _lock(merge.store_id)
    people = set(record_ids_of(merge.kept))
    undone = CustomerMerge.objects.for_store(merge.store_id).filter(pk=merge.pk, undone_at=None)
    if not undone.update(undone_at=timezone.now(), undone_by=actor, undo_reason=_kept(reason)):
        raise MergeRefused("This merge was undone before: both records are as they were.")
    merge.refresh_from_db()
    _settle(merge.store_id, people)
    _record(merge, "customers.merge_undone", actor, merge.undo_reason)
    _announce(merge.store_id, people)


@transaction.atomic
def customers_keep_apart(*, one: Customer, other: Customer, actor: User, reason: str = "") -> CustomersApart:
    """Two people after all: never proposed again. Harmless to repeat. Raises MergeRefused where they are merged now."""
    if one.store_id != other.store_id:
        raise MergeRefused("Records of two stores are apart anyway.")
    _lock(one.store_id)
    if other.pk in record_ids_of(one):
        raise MergeRefused(f"{one} and {other} are merged. Undo the merge first.")
    first, second = sorted((one, other), key=lambda customer: customer.pk)
    apart, is_new = CustomersApart.all_stores.get_or_create(
        first=first,
        second=second,
        defaults={"store_id": one.store_id, "reason": _kept(reason), "decided_by": actor},
    )
    if is_new:
        auditing.record(
            store=one.store,
            actor=actor,
            action="customers.kept_apart",
            target=f"customer:{first.public_id}",
            reason=_kept(reason),
            details={"other": str(second.public_id)},
        )
    for listener in _listeners:
        listener(first, second, are_one=False, actor=actor, reason=apart.reason)
    return apart


@transaction.atomic
def apart_take_back(*, apart: CustomersApart, actor: User, reason: str = "") -> None:
    """The pair may be proposed and merged again."""
    auditing.record(
        store=apart.store,
        actor=actor,
        action="customers.apart_taken_back",
        target=f"customer:{apart.first.public_id}",
        reason=_kept(reason),
        details={"other": str(apart.second.public_id)},
    )
    apart.delete()


def _kept(reason: str) -> str:
    """The reason as it is stored. A browser counts a line break as one character and posts two: what a text box took in may
    be longer than the column."""
    return reason.replace("\r\n", "\n").strip()[:REASON_LENGTH]


def _lock(store_id: int) -> None:
    """Merges of a store wait for each other: two at once could each miss the other's records."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, store_id])


def _apart_between(store_id: int, one: Collection[int], other: Collection[int]) -> CustomersApart | None:
    pairs = Q(first__in=one, second__in=other) | Q(first__in=other, second__in=one)
    return CustomersApart.objects.for_store(store_id).filter(pairs).select_related("first", "second").first()


def _settle(store_id: int, customer_ids: Collection[int]) -> None:
    """Write anew which person these records belong to, from the merges in force among them."""
    merges = list(
        CustomerMerge.objects.for_store(store_id)
        .filter(undone_at=None)
        .filter(Q(kept__in=customer_ids) | Q(merged__in=customer_ids))
        .order_by("merged_at", "pk")
    )
    PersonRecord.objects.for_store(store_id).filter(customer__in=customer_ids).delete()
    rows = [
        PersonRecord(
            store_id=store_id,
            customer_id=customer_id,
            person_id=_named_by(group),
            since=max(merge.merged_at for merge in group),
        )
        for group in _groups(merges)
        for customer_id in sorted({pk for merge in group for pk in (merge.kept_id, merge.merged_id)})
    ]
    PersonRecord.all_stores.bulk_create(rows)


def _groups(merges: Iterable[CustomerMerge]) -> list[list[CustomerMerge]]:
    """Merges that hang together through their records, each group in order of time."""
    groups: list[tuple[set[int], list[CustomerMerge]]] = []
    for merge in merges:
        ends = {merge.kept_id, merge.merged_id}
        touched = [group for group in groups if group[0] & ends]
        joined: tuple[set[int], list[CustomerMerge]] = (ends, [merge])
        for group in touched:
            joined = (joined[0] | group[0], [*group[1], *joined[1]])
            groups.remove(group)
        groups.append(joined)
    return [sorted(found, key=lambda merge: (merge.merged_at, merge.pk)) for _, found in groups]


def _named_by(group: list[CustomerMerge]) -> int:
    """The kept record of the newest merge, or what that had itself been merged into before."""
    before = {merge.merged_id: merge.kept_id for merge in group}
    name = group[-1].kept_id
    while (into := before.pop(name, None)) is not None:
        name = into
    return name


def _record(merge: CustomerMerge, action: str, actor: User, reason: str) -> None:
    auditing.record(
        store=merge.store,
        actor=actor,
        action=action,
        target=f"customer:{merge.kept.public_id}",
        reason=reason,
        details={"merge": merge.pk, "other": str(merge.merged.public_id), **merge.evidence},
    )


def _announce(store_id: int, customer_ids: Collection[int]) -> None:
    """Whoever keeps a copy of what is known of these people drops it, once this has committed."""
    visitors = Visitor.objects.for_store(store_id).filter(
        links__customer__in=customer_ids, links__undone_at=None
    )
    customers = Customer.objects.for_store(store_id).filter(pk__in=customer_ids)
    shopper_changes.changed(
        store_id,
        anonymous_ids=set(visitors.values_list("anonymous_id", flat=True)),
        customer_ids=set(customers.values_list("external_id", flat=True)),
    )
