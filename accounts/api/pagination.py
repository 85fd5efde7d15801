from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

MAX_LIMIT: Final = 200


class LimitedCursorPagination(CursorPagination):
    """Pages by cursor: stable while rows come and go, and as quick on the last page as on the first.

    `limit` is 1 to 200 and anything else is refused, not bent. A view sets `ordering` and may leave the choice to its input.
    """

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = MAX_LIMIT
    ordering = "pk"

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get("limit")
        if given is None:
            return self.page_size
        try:
            limit = int(given)
        except ValueError:
            limit = 0
        if not 1 <= limit <= MAX_LIMIT:
            raise ValidationError({"limit": [f"A whole number from 1 to {MAX_LIMIT} is expected."]})
        return limit

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return tuple(getattr(view, "cursor_ordering", None) or (self.ordering,))
