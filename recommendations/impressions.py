"""Impressions and clicks: folds of Recommendation Viewed and Recommendation Clicked, where analytics is permitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from consent.purposes import Purpose
from recommendations.models import Impression, ImpressionClick
from recommendations.serving.tokens import ShownShelf, read_impression_token
from tracking.folding import Fold, LoggedEvent

VIEWED: Final = "Recommendation Viewed"
CLICKED: Final = "Recommendation Clicked"
BATCH: Final = 2000


@dataclass(frozen=True, slots=True)
class _Told:
    """What an event tells of a product on a shelf, the signed token before the page's own word."""

    event: LoggedEvent
    request_id: UUID
    placement: str
    rank: int
    strategy: str
    variant: str
    model_version: int | None
    bandit_arm: int | None = None
    bandit_epoch: int | None = None
    propensity: float | None = None


def apply(store_id: int, events: Sequence[LoggedEvent]) -> None:
    """Each product counts once a request, however often it was told."""
    told = list(_told(store_id, events))
    Impression.all_stores.bulk_create(
        [_impression(store_id, one) for one in told if one.event.name == VIEWED],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    ImpressionClick.all_stores.bulk_create(
        [_click(store_id, one) for one in told if one.event.name == CLICKED],
        batch_size=BATCH,
        ignore_conflicts=True,
    )


def reset(store_id: int) -> None:
    Impression.objects.for_store(store_id).delete()
    ImpressionClick.objects.for_store(store_id).delete()


def _told(store_id: int, events: Sequence[LoggedEvent]) -> Iterator[_Told]:
    for event in events:
        if event.is_bot or not event.purposes & int(Purpose.ANALYTICS) or event.visitor_id is None:
            continue
        one = _read(store_id, event)
        if one is not None:
            yield one


def _read(store_id: int, event: LoggedEvent) -> _Told | None:
    """None for an event that names no shelf, or whose token is not ours or not of this product."""
    token = event.properties.get("token")
    if isinstance(token, str) and token:
        shelf = read_impression_token(token)
        return None if shelf is None or shelf.store_id != store_id else _of_token(event, shelf)
    return _of_properties(event, event.properties)


def _of_token(event: LoggedEvent, shelf: ShownShelf) -> _Told | None:
    item = shelf.items.get(event.product_id)
    if item is None:
        return None
    return _Told(
        event,
        shelf.request_id,
        shelf.placement,
        item.rank,
        item.strategy,
        shelf.variant,
        shelf.model_version,
        shelf.bandit_arm,
        shelf.bandit_epoch,
        item.propensity,
    )


def _of_properties(event: LoggedEvent, properties: Mapping[str, Any]) -> _Told | None:
    """Events without a token: from servers and e-mails, and from pages only where they are trusted."""
    try:
        request_id = UUID(str(properties["request_id"]))
        rank = int(properties.get("rank") or 0)
    except (KeyError, ValueError, TypeError):
        return None
    placement = str(properties.get("placement") or "")[:60]
    if not event.is_trusted or not placement or not 0 <= rank <= 32_767:
        return None
    strategy, variant = str(properties.get("strategy") or "")[:40], str(properties.get("variant") or "")[:40]
    return _Told(event, request_id, placement, rank, strategy, variant, None)


def _impression(store_id: int, told: _Told) -> Impression:
    return Impression(
        store_id=store_id,
        request_id=told.request_id,
        placement=told.placement,
        product_id=told.event.product_id,
        rank=told.rank,
        strategy=told.strategy,
        variant=told.variant,
        model_version=told.model_version,
        bandit_arm=told.bandit_arm,
        bandit_epoch=told.bandit_epoch,
        propensity=told.propensity,
        visitor_id=told.event.visitor_id,
        customer_id=told.event.customer_id,
        seen_at=told.event.occurred_at,
    )


def _click(store_id: int, told: _Told) -> ImpressionClick:
    return ImpressionClick(
        store_id=store_id,
        request_id=told.request_id,
        placement=told.placement,
        product_id=told.event.product_id,
        rank=told.rank,
        variant=told.variant,
        visitor_id=told.event.visitor_id,
        customer_id=told.event.customer_id,
        clicked_at=told.event.occurred_at,
    )


IMPRESSIONS = Fold(
    name="impressions",
    apply=apply,
    reset=reset,
    event_names=frozenset({VIEWED, CLICKED}),
    reads_properties=True,
    stage=60,
)
