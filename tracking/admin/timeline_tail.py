"""The log as it grows: stored events as they come, of one kind, one source or one shopper if wished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.admin.looks import record_look
from accounts.current_store import require
from accounts.models import ApiKey, Customer, Store, Visitor
from accounts.permissions import Ability
from accounts.selectors.persons import record_ids_of
from tracking.models import EventType
from tracking.selectors.tail import Tail, tail
from tracking.vocabulary import KNOWN_EVENTS

_TYPES: Final = {kind.label: kind.value for kind in EventType if kind is not EventType.TRACK}


@dataclass(frozen=True)
class Filters:
    """`who`: an anonymous id or a customer id, in full."""

    event: str = ""
    key: int | None = None
    who: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Filters:
        key = request.GET.get("key", "")
        return cls(
            request.GET.get("event", "").strip()[:100],
            int(key) if key.isdecimal() and len(key) < 19 else None,
            request.GET.get("who", "").strip()[:200],
        )

    def wanted(self, store: Store) -> Q:
        found = Q()
        if self.event:
            found &= Q(type=_TYPES[self.event]) if self.event in _TYPES else Q(name=self.event)
        if self.key is not None:
            found &= Q(api_key=self.key)
        if self.who:
            found &= self._of_whom(store)
        return found

    def _of_whom(self, store: Store) -> Q:
        visitors = Visitor.objects.for_store(store).filter(anonymous_id=self.who)
        customers = Customer.objects.for_store(store).filter(external_id=self.who)
        records = [record for customer in customers for record in record_ids_of(customer)]
        browsers = Visitor.objects.for_store(store).filter(
            links__customer__in=records, links__undone_at=None, links__valid_until=None
        )
        return Q(visitor__in=[*visitors, *browsers]) | Q(customer__in=records)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [
        path("tracking/tail/", site.admin_view(tail_view), name="tracking_tail"),
        path("tracking/tail/events/", site.admin_view(events_view), name="tracking_tail_events"),
    ]


@never_cache
@require_safe
def tail_view(request: HttpRequest) -> HttpResponse:
    store = require(request, Ability.READ_SHOPPERS)
    filters = Filters.of(request)
    _record(request, store, filters)
    found = tail(store, filters.wanted(store))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Events as they come",
        "events": found.events,
        "cursor": found.cursor,
        "filters": filters,
        "names": [*sorted(KNOWN_EVENTS), *_TYPES],
        "keys": ApiKey.objects.for_store(store).order_by("-created_at")[:50],
    }
    return TemplateResponse(request, "admin/tracking/timeline_tail.html", context)


def _record(request: HttpRequest, store: Store, filters: Filters, *, is_poll: bool = False) -> None:
    """Watching one shopper is reading about a person. Opening the page is recorded each time, its polls now and then."""
    if not filters.who:
        return
    watched: Customer | Visitor | None = (
        Customer.objects.for_store(store).filter(external_id=filters.who).first()
    )
    watched = watched or Visitor.objects.for_store(store).filter(anonymous_id=filters.who).first()
    if watched is not None:
        record_look(request, watched, "timeline.watched", only_if_new=is_poll)


@never_cache
@require_safe
def events_view(request: HttpRequest) -> JsonResponse:
    """`?after=<cursor>` and the page's filters: rows as HTML, newest first, and where to go on."""
    store = require(request, Ability.READ_SHOPPERS)
    after = request.GET.get("after", "")
    if not after.isdecimal() or len(after) > 18:
        return JsonResponse(
            {"code": "invalid_cursor", "message": "Ask with the cursor of the last answer."}, status=400
        )
    filters = Filters.of(request)
    _record(request, store, filters, is_poll=True)
    found = tail(store, filters.wanted(store), int(after))
    return JsonResponse(_answer(request, found))


def _answer(request: HttpRequest, found: Tail) -> dict[str, Any]:
    rows = (
        render_to_string("admin/tracking/timeline_tail_rows.html", {"events": found.events}, request)
        if found.events
        else ""
    )
    return {
        "rows": rows,
        "count": len(found.events),
        "cursor": str(found.cursor),
        "is_cut": found.is_cut,
    }
