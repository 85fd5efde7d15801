"""The `context` of messages: what it says of browser, page and consent, and the little of it that is stored.

Messages of one client carry the same context again and again, so each distinct one is read once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl

import crawleruseragents
import msgspec

from accounts.countries import country_code
from consent import client_consent
from tracking.ingestion.minimising import (
    MAX_TEXT_LENGTH,
    needs_scrubbing,
    scrub,
    truncated_address,
    without_query,
)
from tracking.normalising import ORIGINAL

MAX_USER_AGENT_LENGTH: Final = 300
_CACHED_BYTES: Final = 2_048
_EMPTY: Final = b"{}"
_TABLET: Final = re.compile(r"iPad|Tablet|PlayBook|Silk/|Android(?!.*Mobile)")
_MOBILE: Final = re.compile(r"Mobi|iPhone|iPod|Android.*Mobile|Windows Phone")
_PAGE_KEYS: Final = ("path", "title", "url", "referrer")
# As in `context.campaign`, and as advertisers write them into addresses: utm_campaign is the name.
_CAMPAIGN_KEYS: Final = ("name", "source", "medium", "term", "content")
_UTM: Final = {"utm_campaign": "name"} | {f"utm_{key}": key for key in _CAMPAIGN_KEYS[1:]}
# Ids that advertising networks add to an address for each click.
_CLICK_IDS: Final = frozenset(
    ("gclid", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "irclickid")
)
_MAX_QUERY_LENGTH: Final = 4_096
_encode: Final = msgspec.json.Encoder().encode


class UnreadableContext(ValueError):
    """The context is no JSON object."""


@dataclass(frozen=True, slots=True)
class ContextFacts:
    """`client_consent`: mask that the sender says is permitted, None where it does not say. `stored`: JSON
    for the log."""

    client_consent: int | None
    signature: Any
    traits: Mapping[str, Any]
    is_bot: bool
    device: str
    country: str
    stored: bytes


NO_CONTEXT: Final = ContextFacts(None, None, {}, False, "", "", _EMPTY)


def read_context(raw: bytes, user_agent: str, address: str | None) -> ContextFacts:
    """`user_agent` and `address` are the request's own, used where the context names no user agent; `address`
    None: take the context's word for it (a shop's server speaks for its shopper). Raises UnreadableContext.
    """
    if len(raw) > _CACHED_BYTES:
        return _read(raw, user_agent, address)
    return _read_once(raw, user_agent, address)


def _read(raw: bytes, user_agent: str, address: str | None) -> ContextFacts:
    try:
        context = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableContext(str(error)) from error
    context = {} if context is None else context
    if not isinstance(context, dict):
        raise UnreadableContext(f"`context` must be an object, not {type(context).__name__}")
    said = context.get("userAgent")
    agent = said if isinstance(said, str) and said else user_agent
    network = context.get("ip") if address is None else address
    traits = context.get("traits")
    return ContextFacts(
        client_consent=client_consent.read(context),
        signature=context.get("signature"),
        traits=traits if isinstance(traits, dict) else {},
        is_bot=is_bot(agent),
        device=device_of(agent),
        country=country_of(context),
        stored=_stored(context, agent, network if isinstance(network, str) else ""),
    )


_read_once: Final = lru_cache(maxsize=4096)(_read)


def _stored(context: Mapping[str, Any], user_agent: str, address: str) -> bytes:
    kept = minimised_context(context, user_agent, address)
    if not kept:
        return _EMPTY
    encoded = _encode(kept)
    return _encode(scrub(kept)) if needs_scrubbing(encoded) else encoded


def minimised_context(context: Mapping[str, Any], user_agent: str, address: str) -> dict[str, Any]:
    """What is kept of `context`: page, campaign, locale, time zone, library, screen, kind of device, user
    agent, network."""
    kept: dict[str, Any] = {}
    if page := _texts(context.get("page"), _PAGE_KEYS):
        for key in page.keys() & {"url", "referrer"}:
            page[key] = without_query(page[key])
        kept["page"] = page
    if campaign := campaign_of(context):
        kept["campaign"] = campaign
    for key in ("locale", "timezone"):
        if isinstance(value := context.get(key), str):
            kept[key] = value[:64]
    if library := _texts(context.get("library"), ("name", "version")):
        kept["library"] = library
    if isinstance(screen := context.get("screen"), dict):
        kept["screen"] = {
            key: screen[key] for key in ("width", "height") if isinstance(screen.get(key), int | float)
        }
    if user_agent:
        kept["userAgent"] = user_agent[:MAX_USER_AGENT_LENGTH]
    if network := truncated_address(address):
        kept["ip"] = network
    # A country that was understood from a name is told with the name; what was not understood may be anything.
    if (country := country_of(context)) and country != (said := _said_country(context)):
        kept["country"], kept[ORIGINAL] = country, {"country": said}
    return kept


def campaign_of(context: Mapping[str, Any]) -> dict[str, str]:
    """Which advertisement led here: `context.campaign`, completed by the address of the page; {} where none did.

    Of an advertising network's click id only its name and a short digest are kept: enough to tell two clicks apart.
    """
    campaign = _texts(context.get("campaign"), _CAMPAIGN_KEYS)
    page = context.get("page")
    query = _query_of(page) if isinstance(page, dict) else ""
    if "utm_" not in query and not any(name in query for name in _CLICK_IDS):
        return campaign
    for name, value in parse_qsl(query[:_MAX_QUERY_LENGTH]):
        if (key := _UTM.get(name.lower())) is not None:
            campaign.setdefault(key, value[:MAX_TEXT_LENGTH])
        elif name.lower() in _CLICK_IDS and value:
            campaign["click"] = f"{name.lower()}:{sha256(value.encode()).hexdigest()[:8]}"
    return campaign


def _query_of(page: Mapping[str, Any]) -> str:
    for key in ("search", "url"):
        text = page.get(key)
        if isinstance(text, str) and "?" in text:
            return text.partition("?")[2].partition("#")[0]
    return ""


def _texts(value: Any, keys: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text[:MAX_TEXT_LENGTH] for key in keys if isinstance(text := value.get(key), str) and text}


@lru_cache(maxsize=8192)
def is_bot(user_agent: str) -> bool:
    """By the list of monperrus/crawler-user-agents. No user agent is no bot: servers send none."""
    return bool(user_agent) and crawleruseragents.is_crawler(user_agent[:MAX_USER_AGENT_LENGTH])


@lru_cache(maxsize=8192)
def device_of(user_agent: str) -> str:
    """desktop, mobile or tablet; "" without a user agent."""
    if not user_agent:
        return ""
    if _TABLET.search(user_agent):
        return "tablet"
    return "mobile" if _MOBILE.search(user_agent) else "desktop"


def _said_country(context: Mapping[str, Any]) -> Any:
    location = context.get("location")
    return location.get("country") if isinstance(location, dict) else context.get("country")


def country_of(context: Mapping[str, Any]) -> str:
    """Two letters (ISO 3166) from `context.location.country` or `context.country`, which may be a code or a name;
    "" where neither says it."""
    country = _said_country(context)
    return country_code(country) if isinstance(country, str) else ""
