"""What the pages of the catalogue share: serving processes read it again after each change."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import require_store
from accounts.permissions import Ability
from catalog import version


class CatalogAdmin(ScopedAdmin):
    view_ability = Ability.READ_CATALOG
    add_ability = Ability.EDIT_CATALOG
    change_ability = Ability.EDIT_CATALOG
    delete_ability = Ability.EDIT_CATALOG

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        version.bump_on_commit(obj.store_id)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        version.bump_on_commit(obj.store_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        version.bump_on_commit(require_store(request).pk)
