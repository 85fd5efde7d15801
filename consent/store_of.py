"""Which store a page of this app speaks for: the one that the form names, else the installation's shop."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest

from accounts.models import Store


def store_of(request: HttpRequest) -> Store:
    """Raises Http404 for a store that does not exist. Read once a request."""
    known: Store | None = getattr(request, "_consent_store", None)
    if known is None:
        slug = request.POST.get("store") or request.GET.get("store") or settings.ETALAGE_STOREFRONT_STORE
        known = Store.objects.filter(slug=slug).first()
        if known is None:
            raise Http404(f"There is no store {slug[:50]!r}.")
        request._consent_store = known  # type: ignore[attr-defined]
    return known
