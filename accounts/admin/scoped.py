"""The base of every admin page about rows of a store: scoped by membership, guarded by abilities, exportable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Field, ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin

from accounts import auditing
from accounts.admin.exports import ExportColumn, csv_response
from accounts.admin.looks import record_look
from accounts.current_store import current_store, may, require, require_store, staff_user
from accounts.models import Customer, Visitor
from accounts.permissions import Ability


class ScopedModelForm(forms.ModelForm):
    """Sets the store before the validation, so that what is unique within a store is checked and not left to the database."""

    store: ClassVar[Any] = None
    # Fields that `clean` makes: they take part in what must be unique as soon as they are made.
    made_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.store is not None and self.instance.store_id is None:
            self.instance.store = self.store

    def _get_validation_exclusions(self) -> set[str]:
        made = {name for name in self.made_fields if getattr(self.instance, name)}
        return super()._get_validation_exclusions() - {"store"} - made  # type: ignore[misc]


def has_store(model: type[Model]) -> bool:
    try:
        model._meta.get_field("store")
    except FieldDoesNotExist:
        return False
    return True


class ScopedAdmin(ModelAdmin):
    """Rows of the current store only; each right is an ability, and a right without one is nobody's.

    `empty_title`, `empty_text` and `empty_link` (label, URL name) are what an empty list says; `export_columns` maps a
    header to an ORM path or to a function of a row, and `export_ability` says who may download it.
    """

    view_ability: ClassVar[Ability]
    add_ability: ClassVar[Ability | None] = None
    change_ability: ClassVar[Ability | None] = None
    delete_ability: ClassVar[Ability | None] = None
    export_ability: ClassVar[Ability | None] = None
    export_columns: ClassVar[Mapping[str, ExportColumn]] = {}
    exports_people: ClassVar[bool] = False
    empty_title: ClassVar[str] = ""
    empty_text: ClassVar[str] = ""
    empty_link: ClassVar[tuple[str, str] | None] = None
    intro: ClassVar[str] = ""

    form: type[forms.ModelForm] = ScopedModelForm
    list_per_page = 50
    list_filter_submit = True
    list_before_template = "admin/etalage/list_intro.html"
    list_select_related: Any = ("store",)
    compressed_fields = False
    actions: Any = None

    # Rights

    def _may(self, request: HttpRequest, ability: Ability | None, obj: Any) -> bool:
        if isinstance(obj, Model) and getattr(obj, "store_id", None) not in (
            None,
            getattr(current_store(request), "pk", None),
        ):
            return False
        return may(request, ability)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, self.view_ability)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.view_ability, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.add_ability, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.change_ability, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.delete_ability, obj)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(self.export_columns) and may(request, self.export_ability or self.view_ability)

    def object_for(self, request: HttpRequest, object_id: str, ability: Ability) -> Any:
        """The row, for a view of our own. Raises PermissionDenied without the ability, Http404 outside of the store."""
        require(request, ability)
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id} in this store.")
        return obj

    # Scope

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        store = current_store(request)
        rows = self.model.all_stores.all()
        ordering = self.get_ordering(request)
        return (rows.filter(store=store) if store else rows.none()).order_by(*ordering or [])

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*(super().get_exclude(request, obj) or []), "store"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"store": current_store(request)})

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        if has_store(db_field.remote_field.model) and "queryset" not in kwargs:
            store = current_store(request)
            kwargs["queryset"] = db_field.remote_field.model._default_manager.filter(store=store)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.store = require_store(request)
        super().save_model(request, obj, form, change)

    # Writes are told to the audit log, not to Django's own, which keeps names of things and can be edited.

    def _record(self, request: HttpRequest, obj: Any, verb: str, details: dict[str, Any]) -> None:
        target = f"{self.opts.model_name}:{obj.pk}"
        store = require_store(request)
        auditing.record(
            store=store,
            actor=staff_user(request),
            action=f"{self.opts.model_name}.{verb}",
            target=target,
            details=details,
        )

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        self._record(request, obj, "added", {})

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        fields = [
            name
            for part in message
            if isinstance(part, dict)
            for name in part.get("changed", {}).get("fields", [])
        ]
        self._record(request, obj, "changed", {"fields": sorted(map(str, fields))})

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self._record(request, obj, "deleted", {})

    # Export

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [
            path("export.csv", self.admin_site.admin_view(self.export_view), name=name),
            *super().get_urls(),
        ]

    def export_rows(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """What of the filtered list may leave as a file; what people did leaves only as they permit it now."""
        return rows

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """What is filtered now, as CSV. Raises PermissionDenied where the role may not export."""
        if not self.has_export_permission(request):
            raise PermissionDenied("Your role does not allow to export this list.")
        changelist: ChangeList = self.get_changelist_instance(request)
        rows = self.export_rows(request, changelist.get_queryset(request))
        return csv_response(
            request,
            store=require_store(request),
            name=str(self.opts.verbose_name_plural),
            rows=rows,
            columns=self.export_columns,
            is_recorded=self.exports_people,
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        export_url = ""
        if self.has_export_permission(request):
            export_url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_export")
        return super().changelist_view(
            request, {"export_url": export_url, "intro": self.intro, **(extra_context or {})}
        )


class ReadOnlyAdmin(ScopedAdmin):
    """Rows that people read and services write. Where `facts` are given, a row's page is a plain list of them.

    `look_action`: the page of a row is about a person, and opening it is recorded under this action.
    """

    look_action: ClassVar[str] = ""

    def person_of(self, obj: Any) -> Customer | Visitor | None:
        """Whom a row is about, where `look_action` is given."""
        return obj.customer or obj.visitor

    def people_of(self, obj: Any) -> list[Customer | Visitor]:
        """The same for a row about several."""
        person = self.person_of(obj)
        return [] if person is None else [person]

    def facts(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any]]:
        """Label and value, as the page shows them; none: the theme's own form, read only."""
        return []

    def details(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """More for the page's template (`admin/etalage/facts.html`): `documents` are (title, JSON text)."""
        return {}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id) if object_id else None
        given: dict[str, Any] = {}
        if obj is not None and self.has_view_permission(request, obj):
            for person in self.people_of(obj) if self.look_action else ():
                record_look(request, person, self.look_action, only_if_new=True)
            given = {"facts": self.facts(request, obj), **self.details(request, obj)}
        return super().changeform_view(request, object_id, form_url, {**given, **(extra_context or {})})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in self.opts.get_fields() if isinstance(field, Field)]
