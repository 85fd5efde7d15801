"""Whose law applies to a visitor, and so how the banner asks: opt-in, opt-out or notice only.

The region comes from a proxy of ours that knows it, by headers that the settings name; nobody else's headers are
believed. Where it is not known, the store's own country counts. A region without a rule is opt-in: the strictest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from accounts.models import Store
from consent.models import ConsentMechanism, RegionMode
from consent.policy import GPC_WITHHELD
from consent.purposes import NONE, OPTIONAL, Purpose, mask

# As long as a notice: other processes may ask in the old way for so long.
MODES_SECONDS: Final = 30
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_PART: Final = re.compile(r"[A-Z0-9]{1,3}")


@dataclass(frozen=True)
class Mode:
    """How a visitor of a region is asked. `granted`: what holds from the notice on until they say no; never with opt-in."""

    region: str
    mechanism: str = ConsentMechanism.OPT_IN
    granted: Purpose = NONE

    @property
    def is_opt_out(self) -> bool:
        """Whether the law of the region lets people opt out instead of asking them first."""
        return self.mechanism != ConsentMechanism.OPT_IN

    def default_for(self, *, gpc: bool) -> Purpose:
        """What showing the notice permits. Global Privacy Control is the opt-out that a browser says for its user."""
        return self.granted & ~Purpose(GPC_WITHHELD) if gpc else self.granted


def region_of(request: HttpRequest, store: Store) -> str:
    """`US-CA`, `US` or the store's country."""
    country = _header(request, settings.ETALAGE_COUNTRY_HEADER)
    # XX and T1 are what networks say for "unknown" and for Tor.
    if not _COUNTRY.fullmatch(country) or country == "XX":
        return store.country
    part = _header(request, settings.ETALAGE_SUBDIVISION_HEADER).removeprefix(f"{country}-")
    return f"{country}-{part}" if _PART.fullmatch(part) else country


def _header(request: HttpRequest, name: str) -> str:
    return (request.headers.get(name, "") if name else "").strip().upper()


def modes(store: Store) -> Mapping[str, Mode]:
    """By region, those that are not opt-in without more ado."""
    key = _cache_key(store)
    known: dict[str, Mode] | None = cache.get(key)
    if known is None:
        rows = RegionMode.objects.for_store(store)
        known = {row.region: Mode(row.region, row.mechanism, _granted(row)) for row in rows}
        cache.set(key, known, MODES_SECONDS)
    return known


def modes_forget(store: Store) -> None:
    cache.delete(_cache_key(store))


def mode_in(store: Store, region: str) -> Mode:
    """The rule of a part of a country, else of the country, else opt-in."""
    known = modes(store)
    rule = known.get(region) or known.get(region.partition("-")[0])
    return Mode(region, rule.mechanism, rule.granted) if rule else Mode(region)


def has_opt_out_regions(store: Store) -> bool:
    """Whether anybody anywhere may have to be offered an opt-out by this store."""
    return any(mode.is_opt_out for mode in modes(store).values())


def _granted(row: RegionMode) -> Purpose:
    return NONE if row.mechanism == ConsentMechanism.OPT_IN else mask(row.granted) & OPTIONAL


def _cache_key(store: Store) -> str:
    return f"consent.regions.{store.pk}.{store.created_at.timestamp()}"
