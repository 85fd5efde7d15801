"""Filters of lists that stay within the store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter

from accounts.current_store import current_store


class InStoreFilter(RelatedDropdownFilter):
    """By a related row of the current store: Django's own filter offers the rows of every store."""

    def field_choices(self, field: Field, request: HttpRequest, model_admin: Any) -> Any:
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(
            include_blank=False, ordering=ordering, limit_choices_to={"store": current_store(request)}
        )


class MomentRangeFilter(RangeDateTimeFilter):
    """From one moment to another, as the clock hangs where the viewer is: the theme's own takes what is typed for UTC."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, lookup, whole_day in (("from", "gte", "00:00"), ("to", "lte", "23:59:59.999999")):
            day = self.used_parameters.get(f"{self.parameter_name}_{end}_0")
            clock = self.used_parameters.get(f"{self.parameter_name}_{end}_1") or whole_day
            moment = self._moment(f"{day} {clock}") if day else None
            if moment is not None:
                queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": moment})
        return queryset

    @staticmethod
    def _moment(text: str) -> datetime | None:
        """None for what is no time: a filter that makes no sense filters nothing."""
        try:
            moment = parse_datetime(text)
        except ValueError:
            return None
        if moment is None or timezone.is_aware(moment):
            return moment
        return timezone.make_aware(moment)


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
