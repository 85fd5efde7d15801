"""Which column of a file is what: told by the person who imports, else known by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tracking.imports.names import COLUMN_NAMES, EVENT_NAMES, MESSAGE_TYPES, snake
from tracking.imports.records import UnreadableFile

LEFT_OUT: Final = "-"
# Fields of the message itself; `products`, `properties`, `traits` and `context` may hold JSON.
MESSAGE_FIELDS: Final[Mapping[str, str]] = {
    "type": "type",
    "event": "event",
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "group_id": "groupId",
    "message_id": "messageId",
    "timestamp": "timestamp",
    "sent_at": "sentAt",
    "received_at": "receivedAt",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
    "consent": "consent",
}
_NESTED: Final = ("properties.", "traits.", "context.")


class UnusableMapping(ValueError):
    """What was said about columns or events does not fit the file. Says what would."""


@dataclass(frozen=True)
class Naming:
    """What the person who imports said: `columns` theirs → ours ("-": leave out), `events` theirs → ours."""

    columns: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    event: str = ""


def targets_of(columns: Iterable[str], naming: Naming, *, are_all: bool = True) -> dict[str, str]:
    """Each column with what it becomes: a message field (`user_id`), a property, `traits.x`, `context.x.y`, or "-".

    Of two columns with one meaning, the one with our own name has it and the other becomes a property of its own name.
    `are_all`: there are no more columns than these, as in a table; objects of JSON may each have others.
    Raises UnusableMapping for a column that is not there, or two that were given one target, and UnreadableFile where
    no column says who did something, or what, or when.
    """
    names = list(columns)
    if are_all and (missing := sorted(set(naming.columns) - set(names))):
        raise UnusableMapping(
            f"There is no column {missing[0]!r}. The file has: {', '.join(names) or 'none'}."
        )
    targets = {column: _target(naming.columns[column]) for column in naming.columns}
    taken = [target for target in targets.values() if target != LEFT_OUT]
    if twice := sorted({target for target in taken if taken.count(target) > 1}):
        raise UnusableMapping(f"Two columns are mapped to {twice[0]!r}: leave one out with COLUMN=-.")
    exact_first = sorted(names, key=lambda column: snake(column) not in MESSAGE_FIELDS)
    for column in sorted(exact_first, key=lambda column: COLUMN_NAMES.get(snake(column)) != snake(column)):
        if column in targets:
            continue
        target = COLUMN_NAMES.get(snake(column), snake(column) or column)
        if target in targets.values():
            target = snake(column) or column
        targets[column] = target if target not in targets.values() else f"properties.{column}"
    if are_all:
        _require(targets, naming)
    return {column: targets[column] for column in names}


def _target(said: str) -> str:
    said = said.strip()
    ours = snake(said) if "." not in said else said
    if not said:
        raise UnusableMapping(
            "A column is mapped to nothing: write COLUMN=property, or COLUMN=- to leave it out."
        )
    if said == LEFT_OUT or said.startswith(_NESTED):
        return said
    return ours if ours in MESSAGE_FIELDS else said


def _require(targets: Mapping[str, str], naming: Naming) -> None:
    found = set(targets.values())
    columns = ", ".join(targets)
    if not found & {"event", "type"} and not naming.event:
        raise UnreadableFile(
            "No column says what happened. Map it (--map COLUMN=event), or say it for all (--event 'Order Completed'). "
            f"Columns: {columns}."
        )
    if not found & {"user_id", "anonymous_id", "context", "previous_id"}:
        raise UnreadableFile(
            "No column says who it was: map one to user_id (a customer) or anonymous_id (a browser) with "
            f"--map COLUMN=user_id. Columns: {columns}."
        )
    if "timestamp" not in found:
        raise UnreadableFile(
            f"No column says when it happened: map it with --map COLUMN=timestamp. Columns: {columns}."
        )


def event_of(text: str, naming: Naming) -> tuple[str, str]:
    """(message type, event name) of what the file calls it: ("track", "Product Viewed") of "view", ("page", "") of "pageview"."""
    text = text.strip()
    if said := naming.events.get(text):
        text = said
    elif theirs := EVENT_NAMES.get(snake(text)):
        return "track", theirs
    kind = MESSAGE_TYPES.get(snake(text))
    return (kind, "") if kind else ("track", text)
