"""The record of processing as a page, to read, to print and to take away."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from accounts import auditing
from accounts.current_store import require, staff_user
from accounts.permissions import Ability
from consent.processing_record import ProcessingRecord, processing_record

FORMATS: Final = ("html", "json", "csv")


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [
        path("consent/processing/", site.admin_view(page), name="consent_processing_record"),
        path(
            "consent/processing/<str:form>/", site.admin_view(download), name="consent_processing_record_file"
        ),
    ]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    store = require(request, Ability.READ_PRIVACY)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Record of processing",
        "record": processing_record(store),
        "formats": FORMATS,
    }
    return TemplateResponse(request, "admin/consent/processing_record.html", context)


@require_safe
def download(request: HttpRequest, form: str) -> HttpResponse:
    """`html`, `json` or `csv` as a file. 404 for another."""
    store = require(request, Ability.READ_PRIVACY)
    if form not in FORMATS:
        return HttpResponse(
            f"There is no {form[:20]!r} of the record: take {', '.join(FORMATS)}.",
            status=404,
            content_type="text/plain; charset=utf-8",
        )
    record = processing_record(store)
    response = as_file(record, form)
    name = f"record-of-processing-{store.slug}-{record.made_at:%Y-%m-%d}.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    auditing.record(
        store=store,
        actor=staff_user(request),
        action="processing_record.exported",
        target=f"store:{store.slug}",
        details={"format": form},
    )
    return response


def as_file(record: ProcessingRecord, form: str) -> HttpResponse:
    if form == "json":
        return JsonResponse(record.as_json(), json_dumps_params={"indent": 1, "ensure_ascii": False})
    if form == "csv":
        return HttpResponse(record.as_csv(), content_type="text/csv; charset=utf-8")
    return HttpResponse(render_to_string("privacy/processing_record.html", {"record": record}))
