"""`context.consent` of a message: what the sender says that the person permitted.

Read shapes: Segment's `{"categoryPreferences": {"Advertising": false}}`, RudderStack's
`{"allowedConsentIds": […], "deniedConsentIds": […]}` (under `consentManagement`), a plain `{"analytics": true}`,
and Google's Consent Mode `{"ad_storage": "granted"}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consent.purposes import Purpose

_NAMES: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("analytics", "performance", "statistics", "measurement", "analytics_storage"), int(Purpose.ANALYTICS)
    ),
    **dict.fromkeys(
        ("personalisation", "personalization", "profiling", "preferences", "personalization_storage"),
        int(Purpose.PERSONALISATION),
    ),
    **dict.fromkeys(
        ("marketing", "advertising", "targeting", "ad_storage", "ad_personalization"), int(Purpose.MARKETING)
    ),
    **dict.fromkeys(("sharing", "sale", "third_parties", "ad_user_data"), int(Purpose.SHARING)),
    **dict.fromkeys(
        (
            "necessary",
            "essential",
            "strictly_necessary",
            "functional",
            "functionality_storage",
            "security_storage",
        ),
        int(Purpose.NECESSARY),
    ),
}


def _bits(names: Iterable[Any]) -> int:
    bits = 0
    for name in names:
        if isinstance(name, str):
            bits |= _NAMES.get(name.strip().lower().replace(" ", "_").replace("-", "_"), 0)
    return bits


def read(context: Mapping[str, Any] | None) -> int | None:
    """Mask of what the message's context grants, or None where it says nothing that we understand.

    Two names of one purpose that disagree count as no. Never raises: the context is whatever a client sent.
    """
    if not context:
        return None
    consent = context.get("consent")
    if not isinstance(consent, Mapping):
        consent = context.get("consentManagement")
    if not isinstance(consent, Mapping):
        return None
    if isinstance(consent.get("allowedConsentIds"), list) or isinstance(
        consent.get("deniedConsentIds"), list
    ):
        allowed, denied = consent.get("allowedConsentIds"), consent.get("deniedConsentIds")
        yes, no = (
            _bits(allowed if isinstance(allowed, list) else ()),
            _bits(denied if isinstance(denied, list) else ()),
        )
    else:
        preferences = consent.get("categoryPreferences", consent)
        if not isinstance(preferences, Mapping):
            return None
        yes = _bits(name for name, value in preferences.items() if value is True or value == "granted")
        no = _bits(name for name, value in preferences.items() if value is False or value == "denied")
    return yes & ~no if yes | no else None
