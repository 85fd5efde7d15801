"""A product file by upload: checked first, then everything or nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldBooleanSwitchWidget

from accounts import auditing
from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import require, staff_user
from accounts.models import Store
from accounts.permissions import Ability
from catalog.imports.run import ImportReport, import_catalog

SUFFIXES: Final = (".csv", ".json", ".jsonl")
MAX_BYTES: Final = 50 * 1024 * 1024


class ImportForm(forms.Form):
    file = forms.FileField(
        label="Product file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ",".join(SUFFIXES)}),
        help_text="CSV with a header, or JSON: external_id, name, price, and what else there is. At most 50 MB.",
    )
    is_dry_run = forms.BooleanField(
        label="Only check, store nothing", required=False, initial=True, widget=UnfoldBooleanSwitchWidget
    )
    deactivates_missing = forms.BooleanField(
        label="The file is the whole catalogue: take out of sale what it does not name",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if Path(str(file.name)).suffix.lower() not in SUFFIXES:
            raise forms.ValidationError(f"{file.name} is none of {', '.join(SUFFIXES)}.")
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError("At most 50 MB; larger files by `manage.py import_catalog`.")
        return file


def import_view(model_admin: ScopedAdmin, request: HttpRequest) -> HttpResponse:
    """GET the form, POST a file; the answer holds the report with the rows that are wrong."""
    store = require(request, Ability.EDIT_CATALOG)
    form = ImportForm(request.POST or None, request.FILES or None)
    report = None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        report = _run(store, data["file"], data["is_dry_run"], data["deactivates_missing"])
        if report.is_stored:
            _tell(request, store, report)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Import products",
        "form": form,
        "report": report,
    }
    return TemplateResponse(request, "admin/catalog/import.html", context)


def _run(store: Store, file: UploadedFile, is_dry_run: bool, deactivates_missing: bool) -> ImportReport:
    with tempfile.NamedTemporaryFile(suffix=Path(str(file.name)).suffix.lower()) as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        copy.flush()
        return import_catalog(
            store=store, path=Path(copy.name), is_dry_run=is_dry_run, deactivates_missing=deactivates_missing
        )


def _tell(request: HttpRequest, store: Store, report: ImportReport) -> None:
    counts = {
        "created": report.result.created,
        "updated": report.result.updated,
        "unchanged": report.result.unchanged,
        "deactivated": report.deactivated,
    }
    auditing.record(
        store=store,
        actor=staff_user(request),
        action="catalog.imported",
        target=f"store:{store.slug}",
        details=counts,
    )
    messages.success(request, ", ".join(f"{count:,} {name}" for name, count in counts.items()) + ".")
