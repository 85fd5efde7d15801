"""What the panel on a shop's page asks for first: a pass. Its module comes by `tracking.script_files`."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.api_errors import error_response
from accounts.models import Store
from tracking.debugging import feed, passes


@never_cache
@require_GET
def own_pass(request: HttpRequest) -> JsonResponse:
    """A pass for whoever is logged in as staff of `?store=`; 403 for everybody else, whatever stores there are."""
    store = Store.objects.filter(slug=request.GET.get("store", "")).first()
    user = request.user
    if store is None or not passes.may_look(user, store):
        return error_response(403, "Only staff of the store see this.")
    text, until = passes.issue(store, user)  # type: ignore[arg-type]  # `may_look` has seen to it
    return _told(request, store, text, until.isoformat())


@never_cache
@require_GET
def given_pass(request: HttpRequest) -> JsonResponse:
    """Whether the pass of a link, `?token=`, still holds. Asked from other origins, without cookies."""
    text = request.GET.get("token", "")
    found = passes.read(text)
    if found is None:
        return error_response(403, "This link has run out, or is none. Make a new one in the debugger.")
    return _told(request, found.store, text, "")


def _told(request: HttpRequest, store: Store, text: str, until: str) -> JsonResponse:
    # Whoever opens the panel wants to see the page's calls in the debugger too.
    feed.watch(store.pk)
    return JsonResponse(
        {
            "token": text,
            "store": store.name,
            "until": until,
            "debugger": request.build_absolute_uri(reverse("admin:tracking_debugger")),
        }
    )
