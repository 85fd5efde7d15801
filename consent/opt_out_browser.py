"""Opt-outs between a browser and the customer who logs in on it: for whoever writes a log-in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from accounts.models import Customer
from consent.banner import sends_gpc
from consent.cookies import anonymous_id_of
from consent.opt_out_cookie import read_opt_outs, set_opt_outs
from consent.regions import mode_in, region_of
from consent.services.opt_outs import opt_outs_carry


def opt_outs_follow(request: HttpRequest, response: HttpResponse, customer: Customer) -> HttpResponse:
    """Call it with the answer to a log-in or sign-up: what this browser opted out of now holds for the customer everywhere, and
    what the customer opted out of elsewhere is known to this browser. Gives the response."""
    store = customer.store
    remembered = read_opt_outs(request)
    stands = opt_outs_carry(
        store=store,
        customer=customer,
        anonymous_id=anonymous_id_of(request),
        remembered=remembered,
        signals=sends_gpc(request) and mode_in(store, region_of(request, store)).is_opt_out,
    )
    if remembered or stands:
        set_opt_outs(response, request, stands)
    return response
