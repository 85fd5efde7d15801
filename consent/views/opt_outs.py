"""Opt-outs of the CCPA in the privacy centre: set by one press, shown with their date, taken back in two steps."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.personal_data import Subject
from accounts.selectors.identity import find_subjects
from consent.cookies import StoredChoice, anonymous_id_of, delete_anonymous_id, read_choice, set_choice
from consent.links import token_of
from consent.models import OPT_OUT_KINDS, DataSubjectRequest
from consent.opt_out_cookie import read_opt_outs, set_opt_outs
from consent.person import Person, person_of
from consent.purposes import RECOGNITION
from consent.request_texts import KIND_TEXTS
from consent.services.opt_outs import opt_out_end, standing, withheld_by
from consent.services.requests import request_open
from consent.store_of import store_of

Source = DataSubjectRequest.Source


def opt_outs_shown(request: HttpRequest, person: Person) -> list[dict[str, Any]]:
    """What stands for the person or in this browser, with the moment since when."""
    known = read_opt_outs(request) | _standing(request, person)
    return [
        {"kind": kind, "title": KIND_TEXTS[kind].title, "since": since}
        for kind, since in sorted(known.items(), reverse=True)
    ]


def _standing(request: HttpRequest, person: Person) -> Any:
    return standing(person.store, customer=person.customer, anonymous_id=anonymous_id_of(request))


def opt_out_take(request: HttpRequest, person: Person, kind: str, email: str) -> HttpResponse:
    """Opt out now: the person's account or browser, and the account of an address that they typed, which is not told to exist."""
    store = person.store
    anonymous_id = anonymous_id_of(request)
    browser = Subject(store=store, anonymous_ids=(anonymous_id,) if anonymous_id else ())
    named = find_subjects(store, email=email) if email and person.customer is None else []
    own = person.subject()
    address = email.strip().lower() if person.customer is None else ""
    asked = request_open(
        subject=own or (Subject(store=store, emails=(address,)) if address else browser),
        # The browser opts out for itself too: whoever sits at it when nobody is logged in.
        also=[browser, *named] if own is None or person.customer is not None else named,
        kind=kind,
        source=person.source,
        contact=address,
        language=(get_language() or "en")[:5],
    )
    response = redirect("consent:request", token=token_of(asked))
    opt_outs = read_opt_outs(request) | {kind: timezone.now()}
    set_opt_outs(response, request, opt_outs)
    _narrow_choice(request, response, opt_outs)
    return response


def _narrow_choice(request: HttpRequest, response: HttpResponse, opt_outs: Any) -> None:
    """The cookie that scripts of the page read says no more than what is left."""
    choice = read_choice(request)
    if choice is None:
        return
    granted = choice.granted & ~withheld_by(opt_outs)
    set_choice(response, request, StoredChoice(choice.receipt_id, granted, choice.notice, choice.chosen_at))
    if not granted & RECOGNITION:
        delete_anonymous_id(response, request)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def end(request: HttpRequest, kind: str) -> HttpResponse:
    """Take an opt-out back: the first step says what that means, the second does it (CCPA regulations § 7028)."""
    if kind not in OPT_OUT_KINDS:
        raise Http404(f"Nobody opts out of {kind[:20]!r}.")
    store = store_of(request)
    person = person_of(request, store)
    shown = {row["kind"]: row for row in opt_outs_shown(request, person)}
    if kind not in shown:
        raise Http404("There is no such opt-out of this browser or account.")
    if request.method != "POST":
        return render(request, "privacy/opt_out_end.html", {"store": store, **shown[kind]})
    opt_out_end(store=store, kind=kind, customer=person.customer, anonymous_id=anonymous_id_of(request))
    messages.success(request, _("Your opt-out has ended. Choose here what you permit."))
    response = redirect("consent:preferences")
    left = {name: since for name, since in read_opt_outs(request).items() if name != kind}
    set_opt_outs(response, request, left)
    return response
