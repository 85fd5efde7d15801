"""The consent banner and what goes with it, for `{% etalage_consent %}` and for any Django page.

The banner is part of the page only where a choice is still needed. It is a form: three choices of equal weight that
work without scripts, fixed to the viewport's edge, so that the page below neither moves nor is blocked.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from accounts.current_customer import current_customer
from accounts.models import Store
from consent.cookies import StoredChoice, read_choice
from consent.models import DataSubjectRequest, Notice, PurposeText
from consent.notice_texts import labels, term
from consent.opt_out_cookie import read_opt_outs
from consent.purposes import Purpose, slugs
from consent.regions import has_opt_out_regions, mode_in, modes, region_of
from consent.request_texts import KIND_TEXTS
from consent.services.notices import notice_for, published_notices
from consent.services.opt_outs import NOT_ASKED_FOR, standing
from consent.store_of import store_of


@dataclass(frozen=True)
class PurposeRow:
    """A purpose as the banner and the preferences show it, in the notice's language."""

    text: PurposeText
    is_necessary: bool
    is_granted: bool
    retention: str
    recipients: str
    basis: str


def sends_gpc(request: HttpRequest) -> bool:
    """Whether the browser sends Global Privacy Control with this request."""
    return bool(request.headers.get("Sec-GPC") == "1")


def language_of(request: HttpRequest) -> str:
    return get_language() or getattr(request, "LANGUAGE_CODE", "en")


def purpose_rows(notice: Notice, granted: Purpose) -> list[PurposeRow]:
    words = labels(notice.language)
    return [
        PurposeRow(
            text=text,
            is_necessary=text.purpose == Purpose.NECESSARY.slug,
            is_granted=Purpose.from_slug(text.purpose) in granted,
            retention=words["retention"].format(term=term(text.retention_days, notice.language)),
            recipients=words["recipients"].format(names=", ".join(text.recipients))
            if text.recipients
            else words["no_recipients"],
            basis=words.get(f"basis_{text.legal_basis}", text.legal_basis),
        )
        for text in notice.purposes.all()
    ]


def needs_choice(store: Store, choice: StoredChoice | None) -> bool:
    """Whether to ask: never asked, asked too long ago, or about a notice whose content has changed since."""
    return choice is None or not choice.answers(
        {notice.content_hash for notice in published_notices(store).values()}
    )


def is_left_in_peace(request: HttpRequest, store: Store) -> bool:
    """Whether this person opted out within the last twelve months: the law lets nobody ask them again so soon."""
    remembered = read_opt_outs(request)
    customer = None if remembered else current_customer(request, store)
    known = remembered or (standing(store, customer=customer) if customer is not None else {})
    return any(since > timezone.now() - NOT_ASKED_FOR for since in known.values())


def opt_out_links(request: HttpRequest) -> list[dict[str, object]]:
    """Where people opt out of sale and sharing and limit sensitive data, for stores that serve regions whose law wants it."""
    try:
        store = store_of(request)
    except Http404:
        return []
    if not has_opt_out_regions(store):
        return []
    kinds = (DataSubjectRequest.Kind.OPT_OUT, DataSubjectRequest.Kind.LIMIT)
    return [{"url": reverse("consent:ask", args=[kind]), "title": KIND_TEXTS[kind].title} for kind in kinds]


def notice_context(
    request: HttpRequest, store: Store, granted: Purpose, notice: Notice | None = None
) -> dict[str, Any]:
    """What templates of banner, preferences and notice have in common."""
    notice = notice or notice_for(store, language_of(request))
    return {
        "store": store,
        "notice": notice,
        "words": labels(notice.language),
        "purposes": purpose_rows(notice, granted),
        "gpc": sends_gpc(request),
        "served_notice_id": uuid.uuid4(),
        "record_url": reverse("consent:record"),
        "preferences_url": reverse("consent:preferences"),
        "notice_url": reverse("consent:notice"),
    }


def remote_banner(request: HttpRequest, store: Store, language: str) -> dict[str, Any]:
    """What the script on the page of a shop elsewhere needs in order to ask: banner and preferences as HTML, whose links lead here,
    the hashes that an earlier answer is compared with, and how the law of the visitor's region wants them asked."""
    notice = notice_for(store, language)
    mode = mode_in(store, region_of(request, store))
    here, named = request.build_absolute_uri, f"?{urlencode({'store': store.slug})}"
    hashes = sorted({notice.content_hash for notice in published_notices(store).values()})
    opt_out = reverse("consent:ask", args=[DataSubjectRequest.Kind.OPT_OUT])
    context = {
        **notice_context(request, store, Purpose.NECESSARY, notice),
        "is_remote": True,
        "hashes": " ".join(hashes),
        "region_url": here(reverse("consent:region")),
        "record_url": here(reverse("consent:record")),
        "preferences_url": here(reverse("consent:preferences") + named),
        "notice_url": here(reverse("consent:notice") + named),
        "opt_out_url": here(opt_out + named) if has_opt_out_regions(store) else "",
    }
    templates = ("consent/_banner.html", "consent/_dialog.html")
    return {
        "html": "".join(render_to_string(template, context) for template in templates),
        "language": notice.language,
        "content_hash": notice.content_hash,
        "content_hashes": hashes,
        "mechanism": mode.mechanism,
        "region": mode.region,
        "granted_by_default": slugs(mode.default_for(gpc=sends_gpc(request))),
    }


def render_banner(request: HttpRequest, store: Store | None = None) -> SafeString:
    """The banner where a choice is needed, and the scripts that carry the choice out. Put it first in the body.

    `store` defaults to the installation's shop; without one there is nothing to ask, and nothing is rendered.
    """
    try:
        store = store or store_of(request)
    except Http404:
        return mark_safe("")
    choice = read_choice(request)
    context: dict[str, Any] = {"is_asked": False}
    if needs_choice(store, choice) and not is_left_in_peace(request, store):
        hashes = " ".join(sorted({notice.content_hash for notice in published_notices(store).values()}))
        context = {
            **notice_context(request, store, Purpose.NECESSARY),
            "is_asked": True,
            "next": request.path,
            "hashes": hashes,
            # Pages may come from a shared cache: which way of asking is the visitor's is found out by the script.
            "region_url": reverse("consent:region") if modes(store) else "",
        }
    return mark_safe(render_to_string("consent/banner.html", context, request=request))
