from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import auditing
from accounts.models import Store, User
from segments import caches
from segments.defaults import DEFAULT_SEGMENTS
from segments.models import Segment
from segments.rules import InvalidRules, validate

RESERVED_SLUG: Final = "of-shopper"


def _check(segment: Segment) -> None:
    """Raises ValidationError."""
    if segment.kind != Segment.Kind.CLUSTER:
        try:
            validate(segment.rules)
        except InvalidRules as error:
            problems = [
                f"{place}: {problem}" if place else problem for place, problem in error.problems.items()
            ]
            raise ValidationError({"rules": problems}) from error
    if segment.slug == RESERVED_SLUG:
        raise ValidationError(
            {"slug": [f"{RESERVED_SLUG!r} is an address of the interface: choose another."]}
        )
    segment.full_clean()


@transaction.atomic
def segment_save(*, segment: Segment, actor: User | None = None) -> Segment:
    """Make or change a segment. Raises ValidationError, which names what is wrong in the rules and where.

    Its members are found by the next computation; `segment_recompute` finds them now.
    """
    _check(segment)
    is_new = segment.pk is None
    segment.save()
    action = "segment.created" if is_new else "segment.changed"
    auditing.record(
        store=segment.store,
        actor=actor,
        action=action,
        target=f"segment:{segment.slug}",
        details={"rules": segment.rules},
    )
    caches.forget_on_commit(segment.store_id)
    return segment


@transaction.atomic
def segment_delete(*, segment: Segment, actor: User | None = None, reason: str = "") -> None:
    auditing.record(
        store=segment.store,
        actor=actor,
        action="segment.deleted",
        target=f"segment:{segment.slug}",
        reason=reason,
    )
    store_id = segment.store_id
    segment.delete()
    caches.forget_on_commit(store_id)


@transaction.atomic
def default_segments_create(*, store: Store) -> list[Segment]:
    """The segments that a store starts with; those whose slug exists stay as they are. Gives the new ones."""
    known = set(Segment.objects.for_store(store).values_list("slug", flat=True))
    new = [
        Segment(store=store, **_fields(default)) for default in DEFAULT_SEGMENTS if default.slug not in known
    ]
    for segment in new:
        _check(segment)
    Segment.all_stores.bulk_create(new, ignore_conflicts=True)
    caches.forget_on_commit(store.pk)
    return new


def _fields(default: Any) -> Mapping[str, Any]:
    return {
        name: getattr(default, name) for name in ("slug", "name", "description", "kind", "priority", "rules")
    }
