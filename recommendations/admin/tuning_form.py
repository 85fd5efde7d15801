"""What the tuning page posts, read into a draft: one row of weights for each audience that has one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import QueryDict

from recommendations.models import Density
from recommendations.rerank_settings import PARAMETERS, RerankSettings
from recommendations.services.blends import EVERYBODY, Audience, BlendDraft
from segments.models import Segment

# `w:<segment or ->:<density or ->:<strategy>`
_WEIGHT: Final = re.compile(r"w:(-|[0-9]{1,18}):([a-z]+|-):([a-z0-9_]{1,60})")
_KEY: Final = re.compile(r"(-|[0-9]{1,18}):([a-z]+|-)")
SLIDER_MAX: Final = 2.0


def audience_key(audience: Audience) -> str:
    segment, density = audience
    return f"{segment or '-'}:{density or '-'}"


def audience_of(key: str) -> Audience | None:
    """The inverse of `audience_key`; None for what is no key."""
    found = _KEY.fullmatch(key)
    if not found or (found[2] != "-" and found[2] not in Density.values):
        return None
    return (None if found[1] == "-" else int(found[1]), "" if found[2] == "-" else found[2])


def field_name(audience: Audience, strategy: str) -> str:
    return f"w:{audience_key(audience)}:{strategy}"


def _number(text: str, name: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise ValidationError({name: [f"{text!r} is not a number."]}) from None


def _cap(data: QueryDict, name: str) -> int | None:
    text = data.get(name, "").strip()
    if not text:
        return None
    if not text.isdigit():
        raise ValidationError({name: [f"{text!r} is not a whole number."]})
    return int(text)


RERANK_PREFIX: Final = "rerank_"


def _rerank(data: QueryDict) -> RerankSettings:
    """What is not posted, or left empty, counts as the default. A whole number is read as one, so that 2.5 places are told."""
    values: dict[str, Any] = {}
    for parameter in PARAMETERS:
        text = data.get(RERANK_PREFIX + parameter.name, "").strip()
        if text:
            number = _number(text, parameter.label)
            values[parameter.name] = int(number) if parameter.is_whole and number == int(number) else number
    return RerankSettings(**values)


def rerank_fields(settings: RerankSettings) -> list[dict[str, Any]]:
    """The sliders of the page, with what the draft says."""
    return [
        {
            "parameter": parameter,
            "field": RERANK_PREFIX + parameter.name,
            "value": f"{getattr(settings, parameter.name):g}",
            "bounds": (f"{parameter.minimum:g}", f"{parameter.maximum:g}", f"{parameter.step:g}"),
            "is_on": getattr(settings, parameter.name) != 0,
        }
        for parameter in PARAMETERS
    ]


def read_draft(data: QueryDict) -> BlendDraft:
    """The draft that was posted. Raises ValidationError for what is no number; the service checks the rest."""
    rows: dict[Audience, dict[str, float]] = {EVERYBODY: {}}
    for name in data:
        found = _WEIGHT.fullmatch(name)
        if not found:
            continue
        segment, density, strategy = found.groups()
        audience = (None if segment == "-" else int(segment), "" if density == "-" else density)
        rows.setdefault(audience, {})[strategy] = _number(data.get(name, ""), strategy)
    return BlendDraft(
        rows=rows,
        normalisation=data.get("normalisation", "max"),
        max_per_brand=_cap(data, "max_per_brand"),
        max_per_category=_cap(data, "max_per_category"),
        diversity=_number(data.get("diversity", "0"), "diversity"),
        rerank=_rerank(data),
        note=data.get("note", "").strip()[:300],
    )


@dataclass(frozen=True)
class AudienceTab:
    """A row of weights as the page shows it. `key` names its fields."""

    key: str
    label: str
    is_everybody: bool


def audience_label(audience: Audience, segment_names: dict[int, str]) -> str:
    segment, density = audience
    who = "Everybody" if segment is None else segment_names.get(segment, f"Segment {segment}")
    return f"{who}, {Density(density).label.lower()}" if density else who


def tabs(audiences: Iterable[Audience], segments: Iterable[Segment]) -> list[AudienceTab]:
    """Everybody first, then by density, then by segment in the order of their priority."""
    names = {segment.pk: segment.name for segment in segments}
    order = {pk: place for place, pk in enumerate(names, start=1)}
    densities = list(Density.values)
    ordered = sorted(
        {EVERYBODY, *audiences},
        key=lambda each: (order.get(each[0] or 0, 0), each[0] or 0, densities.index(each[1])),
    )
    return [
        AudienceTab(audience_key(each), audience_label(each, names), each == EVERYBODY) for each in ordered
    ]
