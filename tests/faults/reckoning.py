"""The promise, counted: what was acknowledged against what the database holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.faults.installation import Installation, Shop
from tests.faults.load import Attempt

_LOG = "SELECT message_id, count(*) FROM tracking_event WHERE store_id = %s GROUP BY 1"
_QUARANTINE = "SELECT message_id, count(*) FROM tracking_quarantinedevent WHERE store_id = %s GROUP BY 1"
_DISCARDED = "SELECT coalesce(sum(count), 0) FROM tracking_discardcount WHERE store_id = %s"


@dataclass(frozen=True)
class Books:
    """What the database holds of one store, by message id."""

    log: dict[str, int]
    quarantine: dict[str, int]
    discarded: int


def books_of(installation: Installation, shop: Shop) -> Books:
    return Books(
        dict(installation.query(_LOG, shop.store_id)),
        dict(installation.query(_QUARANTINE, shop.store_id)),
        int(installation.query(_DISCARDED, shop.store_id)[0][0]),
    )


def reckon(installation: Installation, shop: Shop, attempts: list[Attempt]) -> Books:
    """Assert that the promise was kept for every request of these clients. Gives the books, for the test's own
    counts.
    """
    books = books_of(installation, shop)
    others = [attempt for attempt in attempts if not attempt.is_acknowledged and not attempt.is_retryable]
    assert not others, f"refused for good: {Counter((other.status, other.detail) for other in others)}"
    assert all(attempt.retry_after for attempt in attempts if attempt.status in (429, 503))
    _assert_acknowledged_is_kept(books, attempts)
    _assert_nothing_is_in_the_wrong_place(books, attempts)
    _assert_discards_are_counted(books, attempts)
    return books


def _ids(attempts: list[Attempt]) -> set[str]:
    return {message["messageId"] for attempt in attempts for message in attempt.batch.messages}


def _assert_acknowledged_is_kept(books: Books, attempts: list[Attempt]) -> None:
    acknowledged = _ids([attempt for attempt in attempts if attempt.is_acknowledged])
    assert acknowledged, "nothing was acknowledged: this test would prove nothing"
    messages = {message["messageId"]: message for attempt in attempts for message in attempt.batch.messages}
    for name, found in (("log", books.log), ("quarantine", books.quarantine)):
        wanted = {message_id for message_id in acknowledged if message_id.endswith(f"-{name}")}
        lost = sorted(wanted - found.keys())
        examples = [str(messages[message_id])[:300] for message_id in lost[:3]]
        assert not lost, f"{len(lost)} of {len(wanted)} acknowledged events are not in the {name}: {examples}"


def _assert_nothing_is_in_the_wrong_place(books: Books, attempts: list[Attempt]) -> None:
    sent = _ids(attempts)
    for name, found in (("log", books.log), ("quarantine", books.quarantine)):
        twice = {message_id: count for message_id, count in found.items() if count != 1}
        assert not twice, f"more than once in the {name}: {twice}"
        misplaced = [message_id for message_id in found if not message_id.endswith(f"-{name}")]
        assert not misplaced, f"in the {name} by mistake: {misplaced[:5]}"
        assert found.keys() <= sent


def _assert_discards_are_counted(books: Books, attempts: list[Attempt]) -> None:
    """Nothing is kept of an event that is not permitted, so each request that brings it counts it: exactly those
    that were acknowledged, and perhaps those whose answer was lost.
    """
    certain = sum(attempt.batch.discardable for attempt in attempts if attempt.is_acknowledged)
    possible = sum(attempt.batch.discardable for attempt in attempts)
    assert certain <= books.discarded <= possible
    if all(attempt.is_acknowledged for attempt in attempts):
        assert books.discarded == certain
