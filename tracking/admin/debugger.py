"""The debugger: each call as it comes, what became of it, and what mends it. And how to send the first one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import auditing
from accounts.current_store import may, require, staff_user
from accounts.display.columns import pretty
from accounts.keys import public_write_key
from accounts.models import ApiKey, Store
from accounts.permissions import Ability
from catalog.models import Product
from tracking.admin.debugger_rows import OUTCOMES, Filters, earlier_rows, live_rows
from tracking.admin.quality import readable
from tracking.debugging import feed, passes
from tracking.models import Event, QuarantinedEvent
from tracking.snippet import tracker_tag

_FIRST_PRODUCT: Final = "first-product"


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [
        path("tracking/debugger/", site.admin_view(debugger_view), name="tracking_debugger"),
        path("tracking/debugger/calls/", site.admin_view(calls_view), name="tracking_debugger_calls"),
        path(
            "tracking/debugger/<str:kind>/<str:pointer>/",
            site.admin_view(row_view),
            name="tracking_debugger_row",
        ),
    ]


@never_cache
@require_safe
def debugger_view(request: HttpRequest) -> HttpResponse:
    """The page, with what is known now: the script asks for what comes after."""
    store = require(request, Ability.READ_DATA_QUALITY)
    filters = Filters.of(request)
    is_live = feed.watch(store.pk)
    page = feed.read(store.pk)
    while len(page.entries) == feed.READ_ENTRIES and (later := feed.read(store.pk, page.cursor)).entries:
        page = later
    rows, is_cut = live_rows(request, store, page, filters)
    known = {row.pointer for row in rows}
    rows += [row for row in earlier_rows(request, store, filters) if row.pointer not in known]
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Debugger",
        "rows": rows,
        "is_cut": is_cut,
        "cursor": page.cursor,
        "is_live": is_live and page.is_live,
        "filters": filters,
        "outcomes": OUTCOMES,
        "keys": ApiKey.objects.for_store(store).order_by("-created_at")[:50],
        "help": _first_event(request, store),
        "has_events": Event.objects.for_store(store).exists(),
    }
    return TemplateResponse(request, "admin/tracking/debugger.html", context)


def _first_event(request: HttpRequest, store: Store) -> dict[str, Any]:
    """What to copy to see a first event: key, tag, command, and the link that opens the panel on any page."""
    key = public_write_key(store) or ""
    token, _ = passes.issue(store, staff_user(request))
    product = Product.objects.for_store(store).values_list("external_id", flat=True).order_by("pk").first()
    origins = (
        ApiKey.objects.for_store(store)
        .filter(revoked_at=None)
        .exclude(allowed_origins=[])
        .values_list("allowed_origins", flat=True)
        .first()
    )
    return {
        "key": key,
        "may_make_keys": may(request, Ability.MANAGE_STORE),
        "origin": request.build_absolute_uri("/").rstrip("/"),
        "page": origins[0] if origins else request.build_absolute_uri("/"),
        "product": product or _FIRST_PRODUCT,
        "tag": tracker_tag(
            request.build_absolute_uri(reverse("tracking:tracker")), key, request.build_absolute_uri("/v1/")
        ),
        "fragment": f"#{passes.PARAMETER}={token}",
        "minutes": passes.PASS_SECONDS // 60,
    }


@never_cache
@require_safe
def calls_view(request: HttpRequest) -> JsonResponse:
    """`?after=<cursor>` and the filters of the page: rows as HTML, newest first, and where to go on."""
    store = require(request, Ability.READ_DATA_QUALITY)
    is_live = feed.watch(store.pk)
    try:
        page = feed.read(store.pk, request.GET.get("after", feed.START))
    except ValueError as error:
        return JsonResponse({"code": "invalid_cursor", "message": str(error)}, status=400)
    rows, is_cut = live_rows(request, store, page, Filters.of(request))
    html = render_to_string("admin/tracking/debugger_rows.html", {"rows": rows}, request) if rows else ""
    return JsonResponse(
        {
            "rows": html,
            "count": len(rows),
            "cursor": page.cursor,
            "has_more": len(page.entries) == feed.READ_ENTRIES,
            "is_cut": is_cut,
            "is_live": is_live and page.is_live,
        }
    )


@never_cache
@require_safe
def row_view(request: HttpRequest, kind: str, pointer: str) -> HttpResponse:
    """A row's JSON for the page, `kind` is `stored` or `quarantined`; without `?json` the way to the row's own page."""
    store = require(request, Ability.READ_DATA_QUALITY)
    if kind == "quarantined":
        event = QuarantinedEvent.objects.for_store(store).filter(digest=pointer).first()
        if event is None:
            raise Http404("This event is not in quarantine any more.")
        if "json" not in request.GET:
            return HttpResponseRedirect(reverse("admin:tracking_quarantinedevent_change", args=[event.pk]))
        return _raw(request, event)
    require(request, Ability.READ_SHOPPERS)
    return _properties(store, pointer)


def _raw(request: HttpRequest, event: QuarantinedEvent) -> JsonResponse:
    """The bytes may hold anything, names too: only for those who mend them, and recorded."""
    require(request, Ability.MEND_DATA)
    with transaction.atomic():
        auditing.record(
            store=event.store,
            actor=staff_user(request),
            action="quarantined_event.read",
            target=f"quarantined_event:{event.pk}",
        )
    return JsonResponse({"text": readable(bytes(event.raw))})


def _properties(store: Store, pointer: str) -> JsonResponse:
    try:
        event = Event.objects.for_store(store).filter(pk=pointer).first()
    except ValidationError:  # no UUID
        event = None
    if event is None:
        raise Http404("There is no such event in the log any more.")
    document = {
        "type": event.get_type_display(),
        "event": event.name,
        "messageId": event.message_id,
        "timestamp": event.occurred_at.isoformat(),
        "receivedAt": event.received_at.isoformat(),
        "properties": event.properties,
        "context": event.context,
    }
    return JsonResponse({"text": pretty(document)})
