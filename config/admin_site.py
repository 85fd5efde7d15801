"""The admin's site: its own content security policy, times in the viewer's zone, one store at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.sites import UnfoldAdminSite

from accounts.current_store import choose_store, current_store, stores

ZONE_COOKIE = "etalage_admin_zone"

# Alpine, on which the theme stands, evaluates expressions of its attributes, and the theme writes its colours into the
# page: both only here, behind the login. Scripts still come from this host alone, and none stands in a page.
CONTENT_SECURITY_POLICY = {
    "default-src": [SELF],
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:", "https:"],
    "object-src": ["'none'"],
    "base-uri": [SELF],
    "form-action": [SELF],
    "frame-ancestors": ["'none'"],
}


def viewer_zone(request: HttpRequest) -> ZoneInfo | None:
    """The zone that the viewer's browser told, else that of the store they work in, else None (the installation's)."""
    told = request.COOKIES.get(ZONE_COOKIE, "")
    if told in available_timezones():
        return ZoneInfo(told)
    store = current_store(request) if request.user.is_authenticated else None
    return ZoneInfo(store.time_zone) if store and store.time_zone in available_timezones() else None


def _admin_page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The policy and the zone around a view. Renders here, since the zone ends with this call."""

    @csp(CONTENT_SECURITY_POLICY)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with timezone.override(viewer_zone(request)):
            try:
                response = view(request, *args, **kwargs)
            except (PermissionDenied, Http404) as refusal:
                response = _refusal(request, refusal)
            if isinstance(response, TemplateResponse) and not response.is_rendered:
                response.render()
        return response

    return wrapped


def _refusal(request: HttpRequest, refusal: Exception) -> HttpResponse:
    """In the admin's frame, with a way on: not the shop's page, which knows nothing of roles."""
    is_denied = isinstance(refusal, PermissionDenied)
    context = {
        **admin.site.each_context(request),
        "title": "Not allowed" if is_denied else "Not found",
        "detail": str(refusal)
        or ("Your role does not allow this." if is_denied else "There is no such page."),
        "is_denied": is_denied,
    }
    return TemplateResponse(request, "admin/etalage/refusal.html", context, status=403 if is_denied else 404)


class EtalageAdminSite(UnfoldAdminSite):
    enable_nav_sidebar = True
    empty_value_display = "–"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return _admin_page(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return _admin_page(super().login)(request, extra_context)  # type: ignore[return-value]

    def get_urls(self) -> list[URLPattern]:
        from consent.admin import processing_record
        from recommendations.admin import data_audit, quality
        from recommendations.admin.experiments import experiments_view
        from tracking.admin import debugger, sources, timeline, timeline_tail

        experiments = self.admin_view(experiments_view)
        return [
            path("store/", self.admin_view(self.switch_store), name="switch_store"),
            path("recommendations/experiments/", experiments, name="recommendations_experiments"),
            *debugger.urls(self),
            *sources.urls(self),
            *data_audit.urls(self),
            *quality.urls(self),
            *processing_record.urls(self),
            *timeline.urls(self),
            *timeline_tail.urls(self),
            *super().get_urls(),
        ]

    def switch_store(self, request: HttpRequest) -> HttpResponse:
        """POST `store` (slug): work there from now on. Raises PermissionDenied for a store of others."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        choose_store(request, request.POST.get("store", ""))
        # A page about a row of the other store does not exist in this one: lists do, so go to the list or home.
        target = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
            target = reverse("admin:index")
        return HttpResponseRedirect(target)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if request.user.is_authenticated:
            store = current_store(request)
            context |= {
                "store": store,
                "stores": stores(request),
                "zone_name": timezone.get_current_timezone_name(),
            }
        return context
