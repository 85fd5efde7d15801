"""Filters of lists that stay within the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Field, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter

from accounts.current_store import current_store


class InStoreFilter(RelatedDropdownFilter):
    """By a related row of the current store: Django's own filter offers the rows of every store."""

    def field_choices(self, field: Field, request: HttpRequest, model_admin: Any) -> Any:
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(
            include_blank=False, ordering=ordering, limit_choices_to={"store": current_store(request)}
        )


# More choices than this are no choice: the search box serves better.
_MOST_CHOICES = 200


def value_filter(
    field: str, title: str, choices: Iterable[tuple[str, str]] | None = None
) -> type[DropdownFilter]:
    """By the value of a plain column: the values that the store has, or `choices` where reading them would be slow."""
    given = list(choices) if choices is not None else None

    class ValueFilter(DropdownFilter):
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            if given is not None:
                return given
            rows = model_admin.model.all_stores.filter(store=current_store(request)).exclude(**{field: ""})
            values = rows.order_by(field).values_list(field, flat=True).distinct()[:_MOST_CHOICES]
            return [(str(value), str(value)) for value in values]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    # Set after the class body, which would otherwise see its own name.
    ValueFilter.title = title
    return ValueFilter
