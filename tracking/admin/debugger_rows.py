"""Rows of the debugger: calls of the feed and, from before it was opened, rows of the log and the quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.current_store import may
from accounts.models import ApiKey, Store
from accounts.permissions import Ability
from consent.purposes import slugs
from tracking.debugging.calls import Call, Outcome, shown_name
from tracking.debugging.feed import Page
from tracking.debugging.mends import mend_of
from tracking.models import Event, QuarantinedEvent

# Label and colour of each outcome, in the order of the filter.
OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    Outcome.STORED: ("Stored", "good"),
    Outcome.DUPLICATE: ("Duplicate", "info"),
    Outcome.DISCARDED: ("Not permitted", "warn"),
    Outcome.QUARANTINED: ("Quarantined", "bad"),
    Outcome.REFUSED: ("Refused", "bad"),
}
# As many as the page holds; a busy shop would bring thousands at once.
MOST_ROWS: Final = 300
EARLIER: Final = timedelta(hours=1)
EARLIER_ROWS: Final = 20


@dataclass(frozen=True)
class Filters:
    """What the page is narrowed to; empty: everything."""

    outcome: str = ""
    event: str = ""
    key: int | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Filters:
        outcome, key = request.GET.get("outcome", ""), request.GET.get("key", "")
        return cls(
            outcome if outcome in set(OUTCOMES) else "",
            request.GET.get("event", "").strip()[:100],
            int(key) if key.isdecimal() and len(key) < 19 else None,
        )

    def __bool__(self) -> bool:
        return bool(self.outcome or self.event or self.key)

    def admit(self, call: Call) -> bool:
        return (
            self.outcome in ("", call.outcome)
            and self.event.casefold() in call.name.casefold()
            and self.key in (None, call.key)
        )


@dataclass(frozen=True)
class Row:
    """A call as the page shows it. `json_url` is empty for whoever may not read the content, or where there is none."""

    dom_id: str
    call: Call
    at: datetime
    label: str
    tone: str
    key: str
    what: str
    mend: str
    url: str
    json_url: str

    @property
    def pointer(self) -> str:
        return self.call.pointer


def live_rows(request: HttpRequest, store: Store, page: Page, filters: Filters) -> tuple[list[Row], bool]:
    """The calls of a page of the feed that pass the filters, newest first, and whether some are left out."""
    calls = [
        (f"c-{number}-{position}", call)
        for number, entry in page.entries
        for position, call in enumerate(entry.calls)
        if filters.admit(call)
    ]
    is_cut = page.is_cut or len(calls) > MOST_ROWS or any(entry.left_out for _, entry in page.entries)
    return _rows(request, store, reversed(calls[-MOST_ROWS:])), is_cut


def earlier_rows(request: HttpRequest, store: Store, filters: Filters) -> list[Row]:
    """What came shortly before anybody looked, as far as it left a row, newest first."""
    since = timezone.now() - EARLIER
    calls = [*_logged(store, since), *_quarantined(store, since)]
    calls = sorted(filter(filters.admit, calls), key=lambda call: -call.at)[:EARLIER_ROWS]
    return _rows(request, store, ((f"e-{call.pointer}", call) for call in calls))


def _logged(store: Store, since: datetime) -> list[Call]:
    # Keys begin with the millisecond: a range of them spares a walk through the rows of other stores.
    lowest = UUID(int=int(since.timestamp() * 1000) << 80)
    events = Event.objects.for_store(store).filter(pk__gte=lowest).order_by("-pk").defer("properties")
    return [
        Call(
            at=event.received_at.timestamp(),
            outcome=Outcome.STORED.value,
            name=shown_name(event.get_type_display(), event.name),
            key=event.api_key_id,
            library=_library(event),
            purposes=event.purposes,
            granted=event.purposes,
            pointer=str(event.pk),
        )
        for event in events[:EARLIER_ROWS]
    ]


def _library(event: Event) -> str:
    library = event.context.get("library")
    return " ".join(map(str, library.values()))[:60] if isinstance(library, dict) else ""


def _quarantined(store: Store, since: datetime) -> list[Call]:
    rows = QuarantinedEvent.objects.for_store(store).filter(received_at__gte=since).defer("raw")
    return [
        Call(
            at=row.received_at.timestamp(),
            outcome=Outcome.QUARANTINED.value,
            name=row.event_name or "(no name)",
            key=row.api_key_id,
            reason=row.reason,
            pointer=row.digest,
        )
        for row in rows.order_by("-received_at")[:EARLIER_ROWS]
    ]


def _rows(request: HttpRequest, store: Store, calls: Iterable[tuple[str, Call]]) -> list[Row]:
    named = list(calls)
    key_names = dict(
        ApiKey.objects.for_store(store)
        .filter(pk__in={call.key for _, call in named if call.key})
        .values_list("pk", "name")
    )
    digests = {call.pointer for _, call in named if call.outcome == Outcome.QUARANTINED}
    details = dict(
        QuarantinedEvent.objects.for_store(store).filter(digest__in=digests).values_list("digest", "detail")
        if digests
        else ()
    )
    reads_log, reads_raw = may(request, Ability.READ_SHOPPERS), may(request, Ability.MEND_DATA)
    return [_row(dom_id, call, key_names, details, reads_log, reads_raw) for dom_id, call in named]


def _row(
    dom_id: str,
    call: Call,
    key_names: Mapping[int, str],
    details: Mapping[str, str],
    reads_log: bool,
    reads_raw: bool,
) -> Row:
    label, tone = OUTCOMES[Outcome(call.outcome)]
    is_faulty = call.outcome == Outcome.QUARANTINED
    kind = "quarantined" if is_faulty else "stored"
    has_row = bool(call.pointer) and (call.pointer in details if is_faulty else reads_log)
    own_page = reverse("admin:tracking_debugger_row", args=[kind, call.pointer]) if call.pointer else ""
    if has_row and not is_faulty:
        url = reverse("admin:tracking_event_change", args=[call.pointer])
    else:
        url = own_page if has_row else ""
    return Row(
        dom_id=dom_id,
        call=call,
        at=datetime.fromtimestamp(call.at, UTC),
        label=label,
        tone=tone,
        key=key_names.get(call.key or 0, ""),
        what=_what(call, details),
        mend=mend_of(call.outcome, call.reason),
        url=url,
        json_url=f"{own_page}?json" if has_row and (reads_raw if is_faulty else reads_log) else "",
    )


def _what(call: Call, details: Mapping[str, str]) -> str:
    """What became of it, in a sentence."""
    granted, wanted = ", ".join(slugs(call.granted)), " or ".join(slugs(call.purposes))
    match call.outcome:
        case Outcome.STORED:
            withheld = ", ".join(slugs(call.purposes & ~call.granted))
            return f"Stored for {granted}." + (f" Not permitted: {withheld}." if withheld else "")
        case Outcome.DUPLICATE:
            return "An event with its message id is in the log already: nothing to store."
        case Outcome.DISCARDED:
            return f"Counted and not stored: {call.reason}. It would need the purpose {wanted}."
        case Outcome.QUARANTINED:
            fallback = f"{call.reason.replace('_', ' ').capitalize()}."
            return details.get(call.pointer) or (
                fallback if call.pointer in details else f"{fallback} Its row is not there any more."
            )
    return f"{call.status}: {call.detail}"
