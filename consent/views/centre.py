"""The privacy centre: what is known, what may be asked, and how it stands."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.client_address import client_address
from accounts.throttling import admit
from consent.banner import sends_gpc
from consent.cookies import CONSENT_COOKIE, delete_anonymous_id, read_choice
from consent.forms import AskForm
from consent.links import request_path, token_of
from consent.models import OPT_OUT_KINDS, DataSubjectRequest
from consent.notice_texts import labels
from consent.person import Person, person_of
from consent.purposes import Purpose
from consent.regions import mode_in, region_of
from consent.request_texts import KIND_TEXTS, STATE_TEXTS
from consent.selectors.holdings import holdings
from consent.selectors.looks import looks_at
from consent.services.challenges import TooManyLetters, request_open_by_email
from consent.services.profile_requests import objection_withdraw, personalisation_pause
from consent.services.requests import request_open
from consent.store_of import store_of
from consent.subjects import subject_pseudonym
from consent.views.opt_outs import opt_out_take, opt_outs_shown

Kind = DataSubjectRequest.Kind
ASKS_PER_MINUTE = 10
REQUESTS_SHOWN = 10
LOOKS_SHOWN = 200


def _own_requests(person: Person) -> list[dict[str, Any]]:
    """The person's requests, newest first, each with its page."""
    if person.customer is not None:
        own = Q(customer=person.customer)
    elif (subject := person.subject()) is not None:
        own = Q(subject_pseudonym=subject_pseudonym(subject))
    else:
        return []
    newest = (
        DataSubjectRequest.objects.for_store(person.store)
        .filter(own)
        .defer("archive")
        .order_by("-received_at")
    )
    return [
        {
            "request": each,
            "title": KIND_TEXTS[each.kind].title,
            "state": STATE_TEXTS[each.state],
            "url": request_path(each),
        }
        for each in newest[:REQUESTS_SHOWN]
    ]


@never_cache
@require_safe
def centre(request: HttpRequest) -> HttpResponse:
    store = store_of(request)
    person = person_of(request, store)
    choice = read_choice(request)
    language = get_language() or "en"
    is_opt_out = mode_in(store, region_of(request, store)).is_opt_out
    context = {
        "store": store,
        "person": person,
        "kinds": {kind: text for kind, text in KIND_TEXTS.items() if is_opt_out or kind not in OPT_OUT_KINDS},
        "opt_outs": opt_outs_shown(request, person),
        "requests": _own_requests(person),
        "permits_personalisation": choice is not None and Purpose.PERSONALISATION in choice.granted,
        "choice": choice,
        "gpc": sends_gpc(request),
        "words": labels(language),
    }
    return render(request, "privacy/centre.html", context)


@never_cache
@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """What is known, in plain words, for whoever is logged in or recognised."""
    store = store_of(request)
    person = person_of(request, store)
    subject = person.subject()
    found = holdings(subject) if subject is not None else []
    return render(request, "privacy/data.html", {"store": store, "person": person, "holdings": found})


@never_cache
@require_safe
def looks(request: HttpRequest) -> HttpResponse:
    """When members of the shop's team looked at data about whoever is logged in or recognised."""
    store = store_of(request)
    person = person_of(request, store)
    subject = person.subject()
    newest = list(islice(looks_at(subject), LOOKS_SHOWN + 1)) if subject is not None else []
    context = {
        "store": store,
        "person": person,
        "looks": newest[:LOOKS_SHOWN],
        "is_more": len(newest) > LOOKS_SHOWN,
    }
    return render(request, "privacy/looks.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, kind: str) -> HttpResponse:
    """Explain a request and take it."""
    if kind not in KIND_TEXTS:
        raise Http404(f"Nothing called {kind!r} can be asked.")
    store = store_of(request)
    person = person_of(request, store)
    is_correction_of_nobody = kind == Kind.RECTIFICATION and person.customer is None
    needs_email = not person.is_known or is_correction_of_nobody
    is_opt_out = kind in OPT_OUT_KINDS
    needs_email = needs_email and not is_opt_out
    form = AskForm(
        request.POST if request.method == "POST" else None,
        kind=kind,
        needs_email=needs_email,
        offers_account=is_opt_out and person.customer is None,
    )
    if request.method == "POST" and form.is_valid():
        admitted = admit(f"ask:{client_address(request)}", ASKS_PER_MINUTE)
        if admitted.is_allowed:
            try:
                return _take(request, person, form, needs_email)
            except TooManyLetters as error:
                form.add_error("email", str(error))
        else:
            form.add_error(None, _("Too many requests in a minute. Try again shortly."))
    context = {"store": store, "person": person, "kind": kind, "text": KIND_TEXTS[kind], "form": form}
    return render(request, "privacy/ask.html", context, status=400 if form.errors else 200)


def _take(request: HttpRequest, person: Person, form: AskForm, needs_email: bool) -> HttpResponse:
    cleaned, language = form.cleaned_data, (get_language() or "en")[:5]
    if form.kind in OPT_OUT_KINDS:
        return opt_out_take(request, person, form.kind, cleaned.get("email", ""))
    if needs_email:
        asked = request_open_by_email(
            store=person.store,
            email=cleaned["email"],
            kind=form.kind,
            message=cleaned["message"],
            corrections=form.corrections,
            language=language,
        )
    else:
        subject = person.subject()
        assert subject is not None
        asked = request_open(
            subject=subject,
            kind=form.kind,
            source=person.source,
            message=cleaned["message"],
            corrections=form.corrections,
            language=language,
            asks_review=bool(cleaned.get("review")),
        )
    response = redirect("consent:request", token=token_of(asked))
    if form.kind == Kind.ERASURE and not needs_email:
        # Who asks to be forgotten is not recognised again while the rest is being erased.
        delete_anonymous_id(response, request)
        response.delete_cookie(CONSENT_COOKIE)
    return response


def _back() -> HttpResponse:
    return redirect("consent:centre")


@never_cache
@require_POST
def pause(request: HttpRequest) -> HttpResponse:
    """Pause personalisation, or resume it."""
    person = person_of(request, store_of(request))
    if person.customer is None:
        raise Http404("Only who is logged in can pause; others change their choice.")
    is_paused = request.POST.get("paused") == "1"
    personalisation_pause(customer=person.customer, is_paused=is_paused)
    messages.success(
        request, _("Personalisation is paused.") if is_paused else _("Personalisation is on again.")
    )
    return _back()


@never_cache
@require_POST
def allow_profiling(request: HttpRequest) -> HttpResponse:
    """Take an objection to profiling back. What is permitted by choice then holds again."""
    person = person_of(request, store_of(request))
    if person.customer is None:
        raise Http404("Only who is logged in can take an objection back.")
    objection_withdraw(customer=person.customer)
    messages.success(request, _("You are profiled again where you permit it."))
    return _back()
