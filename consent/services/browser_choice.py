"""A choice made in a browser, by form or by script: from the request to the ledger, and back as cookies."""

from __future__ import annotations

import uuid
from typing import Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse

from accounts.client_address import client_address
from accounts.current_customer import current_customer
from accounts.models import Customer, Store
from consent.banner import sends_gpc
from consent.cookies import (
    StoredChoice,
    anonymous_id_of,
    delete_anonymous_id,
    read_choice,
    set_anonymous_id,
    set_choice,
)
from consent.models import ConsentChoice, ConsentMechanism, Notice, OptOut
from consent.opt_out_cookie import read_opt_outs
from consent.purposes import ALL, NONE, RECOGNITION, Purpose, mask
from consent.regions import Mode, mode_in, region_of
from consent.services.decisions import Decision, RecordedDecision, decision_record
from consent.services.notices import published_notices
from consent.services.opt_outs import WITHHELD, opt_out_by_signal, opt_out_end, standing, withheld_by

# What a browser may say; the other methods are for servers.
BROWSER_CHOICES: Final = frozenset(
    {
        ConsentChoice.ACCEPT,
        ConsentChoice.REJECT,
        ConsentChoice.SAVE,
        ConsentChoice.WITHDRAW,
        ConsentChoice.DISMISS,
        ConsentChoice.API,
    }
)
# Certified platforms on the page whose answer is taken over: IAB Europe's TCF, the Global Privacy Platform.
PLATFORMS: Final = ("tcf", "gpp", "tcf+gpp")


def granted_by(
    method: str, mode: Mode, *, purposes: Purpose, chosen: Purpose | None, source: str, gpc: bool
) -> Purpose:
    """What a choice says yes to. `purposes` are those that it names, `chosen` is what the browser had chosen before.

    Leaving the notice as it is means what the region's law makes of it, and never widens a choice that was made. An opt-out
    platform's silence is no yes where the law wants one.
    """
    match method:
        case ConsentChoice.ACCEPT:
            return ALL
        case ConsentChoice.SAVE:
            return purposes
        case ConsentChoice.API:
            return purposes & mode.granted if source == "gpp" else purposes
        case ConsentChoice.DISMISS:
            return mode.default_for(gpc=gpc) if chosen is None else chosen & mode.granted
    return NONE


def notice_shown(store: Store, content_hash: str) -> Notice | None:
    """The notice that the form says it showed: a published one, of whatever version, by its hash."""
    for notice in published_notices(store).values():
        if notice.content_hash == content_hash:
            return notice
    older = Notice.objects.for_store(store).filter(content_hash=content_hash, published_at__isnull=False)
    return older.order_by("-version").first() if content_hash else None


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid4()


def page_url_of(request: HttpRequest) -> str:
    """The page that the form stood on, where the browser says so."""
    return request.headers.get("Referer", "")


def choice_record(request: HttpRequest, store: Store) -> tuple[RecordedDecision, Decision]:
    """Record what the request's form says. Raises ValueError for a choice or a purpose that does not exist.

    Who permits recognition keeps the tracking id or gets one; it goes into the ledger before it goes into the browser.
    """
    method = request.POST.get("choice", "")
    if method not in BROWSER_CHOICES:
        raise ValueError(f"{method[:20]!r} is no choice: use accept, reject, save or withdraw.")
    source = request.POST.get("source", "") if method == ConsentChoice.API else ""
    if method == ConsentChoice.API and source not in PLATFORMS:
        raise ValueError(f"{source[:20]!r} is no platform: `source` is one of {', '.join(PLATFORMS)}.")
    gpc = sends_gpc(request) or request.POST.get("gpc") == "1"
    anonymous_id = anonymous_id_of(request)
    mode = mode_in(store, region_of(request, store))
    is_by_default = method == ConsentChoice.DISMISS and mode.mechanism != ConsentMechanism.OPT_IN
    customer = current_customer(request, store)
    before = read_choice(request)
    granted = granted_by(
        method,
        mode,
        purposes=mask(request.POST.getlist("purpose")),
        chosen=before.granted if before else None,
        source=source,
        gpc=gpc,
    )
    decision = Decision(
        granted=granted,
        method=ConsentChoice.GPC if is_by_default and gpc else method,
        mechanism=mode.mechanism,
        anonymous_id=anonymous_id,
        # What nobody chose says nothing about a customer, who may have refused on another device.
        customer=None if is_by_default else customer,
        # A platform has notices of its own.
        notice=None if source else notice_shown(store, request.POST.get("notice", "")),
        source=source,
        served_notice_id=_uuid(request.POST.get("served_notice", "")),
        gpc=gpc,
        page_url=page_url_of(request),
        region=mode.region,
        ip=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
        opted_out=_opted_out(request, store, customer, method, granted),
    )
    if anonymous_id is None and decision.effective & RECOGNITION:
        decision = Decision(**{**vars(decision), "anonymous_id": str(uuid.uuid4())})
    recorded = decision_record(store=store, decision=decision)
    if gpc and mode.is_opt_out and not decision.overrides_gpc:
        opt_out_by_signal(store=store, customer=customer, anonymous_id=decision.anonymous_id)
    return recorded, decision


def _opted_out(
    request: HttpRequest, store: Store, customer: Customer | None, method: str, granted: Purpose
) -> Purpose:
    """What standing opt-outs of this browser and of its customer take away. One that a signal set ends where the person names a
    purpose that it takes away; one that they asked for does not."""
    anonymous_id = anonymous_id_of(request)
    if method == ConsentChoice.SAVE and granted & WITHHELD[OptOut.Kind.SALE_SHARING]:
        opt_out_end(
            store=store,
            kind=OptOut.Kind.SALE_SHARING,
            customer=customer,
            anonymous_id=anonymous_id,
            sources=[OptOut.Source.SIGNAL],
        )
    known = standing(store, customer=customer, anonymous_id=anonymous_id)
    return withheld_by({*read_opt_outs(request), *known})


def choice_carry_out(
    request: HttpRequest, response: HttpResponse, recorded: RecordedDecision, decision: Decision
) -> None:
    """Set or delete the cookies that the recorded decision asks for."""
    notice = decision.notice.content_hash if decision.notice else ""
    set_choice(
        response,
        request,
        StoredChoice(recorded.receipt_id, recorded.granted, notice, recorded.record.recorded_at),
    )
    if recorded.granted & RECOGNITION and decision.anonymous_id:
        set_anonymous_id(response, request, decision.anonymous_id)
    else:
        delete_anonymous_id(response, request, urlsplit(page_url_of(request)).path or "/")
