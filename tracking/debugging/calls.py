"""From what was committed to what the debugger shows of it.

A call holds no id of a person and no property: it points at the row that does, so that whoever may not read the
row learns nothing here, and what is erased is gone here too. What consent discarded points at nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from tracking.ingestion.drafts import Draft
from tracking.ingestion.quarantine import digest_of
from tracking.vocabulary import countable_name

# More events of one commit than this are shown in groups of the same kind, more groups than this not at all.
MAX_CALLS: Final = 50
_MAX_NAME_LENGTH: Final = 100
_LIBRARY: Final = re.compile(r"[\w@/. +-]{1,60}")
_BROWSER: Final = "Mozilla"


class Outcome(StrEnum):
    """What became of a call."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    DISCARDED = "discarded"
    QUARANTINED = "quarantined"
    REFUSED = "refused"


class Call(msgspec.Struct, omit_defaults=True, frozen=True):
    """One event, or `count` of the same kind that came together, or a request that was refused as a whole.

    `at`: Unix seconds of the outcome. `key`: primary key of the ApiKey. `purposes`: what the event could serve,
    `granted`: what was permitted of that (masks). `pointer`: UUID of the stored row (of a duplicate: of the row
    that was there before), digest of the quarantined one, else empty. `status` and `detail`: of a refusal.
    """

    at: float
    outcome: str
    name: str
    key: int | None = None
    library: str = ""
    reason: str = ""
    purposes: int = 0
    granted: int = 0
    pointer: str = ""
    count: int = 1
    status: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Fate:
    """What became of one draft; `pointer` as in a Call."""

    outcome: Outcome
    reason: str = ""
    pointer: str = ""


def fates_of(drafts: Sequence[Draft], duplicates: int) -> list[Fate]:
    """What the commit made of drafts of one store. `duplicates`: how many it counted, 0 spares the look into the log."""
    known = _known_rows(drafts) if duplicates else None
    return [_fate(draft, known) for draft in drafts]


def _fate(draft: Draft, known: _KnownRows | None) -> Fate:
    if not draft.granted:
        return Fate(Outcome.DISCARDED, str(draft.discard_reason))
    if draft.rejection is not None:
        return Fate(Outcome.QUARANTINED, str(draft.rejection), digest_of(draft))
    if known is None or draft.id in known.new:
        return Fate(Outcome.STORED, pointer=str(draft.id or ""))
    return Fate(Outcome.DUPLICATE, pointer=known.before.get(draft.message_id, ""))


@dataclass(frozen=True)
class _KnownRows:
    """`new`: keys of these drafts that are in the log; `before`: the row that holds a message id already."""

    new: frozenset[UUID]
    before: Mapping[str, str]


def _known_rows(drafts: Sequence[Draft]) -> _KnownRows:
    accepted = [draft for draft in drafts if draft.granted and draft.rejection is None]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, message_id FROM tracking_event WHERE store_id = %s AND message_id = ANY(%s)",
            [drafts[0].arrival.source.store_id, [draft.message_id for draft in accepted]],
        )
        rows = cursor.fetchall()
    return _KnownRows(frozenset(key for key, _ in rows), {message_id: str(key) for key, message_id in rows})


def calls_of(drafts: Sequence[Draft], duplicates: int, at: float) -> tuple[list[Call], int]:
    """The calls of one store's drafts, at most MAX_CALLS, and how many events are left out."""
    calls = [_call(draft, fate, at) for draft, fate in zip(drafts, fates_of(drafts, duplicates), strict=True)]
    if len(calls) <= MAX_CALLS:
        return calls, 0
    grouped = _grouped(calls)
    return grouped[:MAX_CALLS], sum(call.count for call in grouped[MAX_CALLS:])


def _call(draft: Draft, fate: Fate, at: float) -> Call:
    is_kept = fate.outcome is not Outcome.DISCARDED
    return Call(
        at=at,
        outcome=fate.outcome.value,
        # A name of the client's own may say who it was: of what is not permitted only our words are told.
        name=shown_name(draft.message_type, draft.name)
        if is_kept
        else countable_name(draft.message_type, draft.name),
        key=draft.arrival.source.api_key_id,
        library=library_of(draft),
        reason=fate.reason,
        purposes=draft.purposes,
        granted=draft.granted,
        pointer=fate.pointer,
    )


def shown_name(message_type: str, event_name: str) -> str:
    """What people call it: the name of a `track`, else the type with the name of the page or screen."""
    name = event_name if message_type == "track" else f"{message_type} {event_name}".strip()
    return name.replace("\0", "").encode("utf-8", "replace").decode()[:_MAX_NAME_LENGTH] or "(no name)"


def _kind(call: Call) -> tuple[Any, ...]:
    return (call.outcome, call.name, call.key or 0, call.library, call.reason, call.granted)


def _grouped(calls: Iterable[Call]) -> list[Call]:
    """Events of the same kind as one call; what needs a look first."""
    groups = []
    for _, same in groupby(sorted(calls, key=_kind), key=_kind):
        members = list(same)
        groups.append(msgspec.structs.replace(members[0], count=len(members)))
    is_fine = {Outcome.STORED: 1, Outcome.DUPLICATE: 1}
    return sorted(groups, key=lambda call: (is_fine.get(Outcome(call.outcome), 0), -call.count))


class _Message(msgspec.Struct):
    context: Any = None


_decode_message: Final = msgspec.json.Decoder(_Message).decode


def library_of(draft: Draft) -> str:
    """Name and version of the client's library by `context.library`, else by the program's user agent; "" if neither
    tells, or if it does not look like a name."""
    try:
        context = _decode_message(draft.raw_bytes()).context
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        context = None
    library = context.get("library") if isinstance(context, dict) else None
    if isinstance(library, dict):
        parts = (library.get("name"), library.get("version"))
        text = " ".join(part for part in parts if isinstance(part, str))
        if _LIBRARY.fullmatch(text):
            return text
    return program_of(draft.arrival.user_agent)


def program_of(user_agent: str) -> str:
    """`curl 8.5.0` of `curl/8.5.0 (…)`; "" for browsers, whose user agents say nothing of the client."""
    product = user_agent.split(" ", 1)[0]
    text = product.replace("/", " ")
    return "" if product.startswith(_BROWSER) or not _LIBRARY.fullmatch(text) else text
