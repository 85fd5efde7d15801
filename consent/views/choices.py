from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import localtime
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.api_errors import error_response
from accounts.client_address import client_address
from accounts.throttling import admit
from consent.banner import language_of, notice_context, purpose_rows, sends_gpc
from consent.cookie_list import cookies
from consent.cookies import read_choice
from consent.models import ConsentChoice
from consent.notice_texts import labels
from consent.origins import is_own_origin
from consent.policy_text import render_policy
from consent.purposes import Purpose, slugs
from consent.regions import mode_in, region_of
from consent.services.browser_choice import choice_carry_out, choice_record
from consent.services.notices import notice_for
from consent.store_of import store_of

CHOICES_PER_MINUTE = 30


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _next(request: HttpRequest) -> str:
    """Back to the page that the form stood on, never to another site."""
    referer = urlsplit(request.headers.get("Referer", ""))
    for url in (request.POST.get("next", ""), referer.path if referer.netloc == request.get_host() else ""):
        if url and url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        ):
            return url
    return "/"


@csrf_exempt  # the banner stands on pages from shared caches: the origin is checked instead
@never_cache
@require_POST
def record(request: HttpRequest) -> HttpResponse:
    """Take a choice from the banner or the preferences: as a form, or from the script that wants JSON."""
    if not is_own_origin(request):
        return error_response(403, "A choice is taken from the shop's own pages only.")
    admitted = admit(f"consent:{client_address(request)}", CHOICES_PER_MINUTE)
    if not admitted.is_allowed:
        return error_response(
            429, "Too many choices in a minute.", retry_after_seconds=admitted.retry_after_seconds
        )
    store = store_of(request)
    try:
        recorded, decision = choice_record(request, store)
    except ValueError as error:
        return error_response(400, str(error))
    response: HttpResponse
    if _wants_json(request):
        granted = slugs(recorded.granted)
        response = JsonResponse(
            {"receipt_id": str(recorded.receipt_id), "granted": granted, "mask": int(recorded.granted)}
        )
    else:
        response = HttpResponseRedirect(_next(request), status=303)
        if request.POST.get("next") == reverse("consent:preferences"):
            words = labels(language_of(request))
            is_withdrawn = decision.method in {ConsentChoice.WITHDRAW, ConsentChoice.REJECT}
            messages.success(request, words["withdrawn" if is_withdrawn else "saved"])
    choice_carry_out(request, response, recorded, decision)
    return response


@never_cache
@require_safe
def region(request: HttpRequest) -> JsonResponse:
    """How this visitor is asked: `mechanism`, and the purposes that hold once the notice was shown."""
    store = store_of(request)
    mode = mode_in(store, region_of(request, store))
    granted = slugs(mode.default_for(gpc=sends_gpc(request)))
    return JsonResponse({"region": mode.region, "mechanism": mode.mechanism, "granted": granted})


@never_cache
@require_safe
def preferences(request: HttpRequest) -> HttpResponse:
    """What is permitted now, to change or to withdraw in one action."""
    store = store_of(request)
    choice = read_choice(request)
    granted = choice.granted if choice else Purpose.NECESSARY
    context = notice_context(request, store, granted)
    words = context["words"]
    current = (
        words["current_since"].format(date=date_format(localtime(choice.chosen_at), "DATETIME_FORMAT"))
        if choice
        else words["current_none"]
    )
    return render(
        request,
        "consent/preferences.html",
        {**context, "choice": choice, "current": current, "next": request.path},
    )


@cache_control(max_age=300, private=True)
@require_safe
def notice(request: HttpRequest) -> HttpResponse:
    """The long notice and its purposes, with the version and hash that proofs refer to."""
    store = store_of(request)
    shown = notice_for(store, language_of(request))
    context = {
        "notice": shown,
        "words": labels(shown.language),
        "purposes": purpose_rows(shown, Purpose.NECESSARY),
        "policy": render_policy(shown.policy),
        "cookies": cookies(),
        "preferences_url": reverse("consent:preferences"),
    }
    return render(request, "consent/notice.html", context)


@cache_control(max_age=86_400, public=True)
@require_safe
def gpc_support(request: HttpRequest) -> JsonResponse:
    """`/.well-known/gpc.json`: this site honours Global Privacy Control."""
    return JsonResponse({"gpc": True, "lastUpdate": "2026-11-23"})
