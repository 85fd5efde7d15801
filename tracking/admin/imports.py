"""Imports of event files: which, by whom, and what became of them. Files are taken in by `manage.py import_events`."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.filters import InStoreFilter, MomentRangeFilter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.display.columns import DASH, duration, pretty, when
from accounts.permissions import Ability
from tracking.models import ImportRun


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_DATA_QUALITY
    intro = (
        "Files of events that were taken in with manage.py import_events. Broken off, the same command goes on where it was; "
        "what a file holds is stored once, however often it is read."
    )
    empty_title = "No file was imported yet"
    empty_text = "Try one without storing anything: manage.py import_events events.csv --dry-run. CSV, JSON lines and Parquet are read."
    list_display = (
        "file_name", "started", "status", "rows", "stored_number", "duplicate_number", "quarantined_number", "discarded_number",
        "source", "started_by",
    )  # fmt: skip
    list_display_links = ("file_name",)
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("api_key", InStoreFilter),
        ("started_at", MomentRangeFilter),
    )
    search_fields = ("file_name__icontains", "started_by__icontains", "content_digest__exact")
    search_help_text = "File, person or SHA-256 of the file"
    ordering = ("-started_at",)
    list_select_related = ("api_key",)
    change_form_template = "admin/etalage/facts.html"
    export_columns = {
        "file": "file_name",
        "format": "file_format",
        "sha256": "content_digest",
        "source": "api_key__name",
        "started_by": "started_by",
        "started_at": "started_at",
        "finished_at": "finished_at",
        "state": "state",
        "rows_read": "rows_read",
        "stored": "stored",
        "duplicates": "duplicates",
        "quarantined": "quarantined",
        "discarded": "discarded",
        "error": "error",
    }

    def facts(self, request: HttpRequest, obj: ImportRun) -> list[tuple[str, Any]]:
        faults = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in obj.faults.items())
        return [
            ("State", f"{obj.get_state_display()}{f': {obj.error}' if obj.error else ''}"),
            ("Rows read", f"{obj.rows_read:,}"),
            ("Stored", f"{obj.stored:,} events"),
            ("There already", f"{obj.duplicates:,} events"),
            ("In quarantine", self._quarantined(obj, faults)),
            ("Not permitted, discarded", f"{obj.discarded:,}"),
            ("Source", obj.api_key.name if obj.api_key else DASH),
            ("Legal basis", obj.api_key.get_legal_basis_display() if obj.api_key else DASH),
            ("Permission stands in", self._permission(obj)),
            ("By", obj.started_by),
            ("Started", when(obj.started_at)),
            ("Last progress", when(obj.updated_at)),
            ("Took", self._took(obj)),
            ("Format", obj.file_format),
            ("SHA-256 of the file", obj.content_digest),
        ]

    def details(self, request: HttpRequest, obj: ImportRun) -> dict[str, Any]:
        return {"documents": [("How it was read", pretty(obj.options))]}

    def _quarantined(self, run: ImportRun, faults: str) -> Any:
        if not run.quarantined or not run.api_key_id:
            return f"{run.quarantined:,}"
        url = reverse("admin:tracking_quarantinedevent_changelist") + f"?api_key__id__exact={run.api_key_id}"
        return format_html('<a href="{}">{}</a> ({})', url, f"{run.quarantined:,}", faults)

    def _permission(self, run: ImportRun) -> str:
        if run.api_key is None:
            return DASH
        declared = f": {', '.join(run.api_key.declared_purposes)}" if run.api_key.declared_purposes else ""
        return f"{run.api_key.get_consent_source_display()}{declared}"

    def _took(self, run: ImportRun) -> str:
        if run.finished_at is None:
            return DASH
        return duration((run.finished_at - run.started_at).total_seconds())

    @display(description="Started", ordering="started_at")
    def started(self, run: ImportRun) -> str:
        return when(run.started_at)

    @display(
        description="State",
        ordering="state",
        label={"Running": "info", "Done": "success", "Stopped": "warning", "Failed": "danger"},
    )
    def status(self, run: ImportRun) -> str:
        return run.get_state_display()

    @display(description="Rows", ordering="rows_read")
    def rows(self, run: ImportRun) -> str:
        return f"{run.rows_read:,}"

    @display(description="Stored", ordering="stored")
    def stored_number(self, run: ImportRun) -> str:
        return f"{run.stored:,}"

    @display(description="There already", ordering="duplicates")
    def duplicate_number(self, run: ImportRun) -> str:
        return f"{run.duplicates:,}"

    @display(description="In quarantine", ordering="quarantined")
    def quarantined_number(self, run: ImportRun) -> str:
        return f"{run.quarantined:,}"

    @display(description="Not permitted", ordering="discarded")
    def discarded_number(self, run: ImportRun) -> str:
        return f"{run.discarded:,}"

    @display(description="Source", ordering="api_key__name")
    def source(self, run: ImportRun) -> str:
        return run.api_key.name if run.api_key else DASH
