"""The texts that a new store starts with, and the words on the banner's buttons, one TOML file a language."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "fr", "de")
FALLBACK: Final = "en"


@dataclass(frozen=True)
class DefaultPurpose:
    purpose: str
    name: str
    text: str
    legal_basis: str
    retention_days: int
    recipients: list[str]


@dataclass(frozen=True)
class DefaultTexts:
    """`policy` has the fields {controller} and {contact}; `labels` are words of the interface."""

    language: str
    title: str
    body: str
    policy: str
    purposes: tuple[DefaultPurpose, ...]
    labels: dict[str, str]


@cache
def default_texts(language: str) -> DefaultTexts:
    """Texts of a language such as `de` or `de-at`; English for one that we do not have."""
    short = language.lower().replace("_", "-").split("-")[0]
    known = short if short in LANGUAGES else FALLBACK
    content = tomllib.loads((Path(__file__).parent / f"{known}.toml").read_text(encoding="utf-8"))
    return DefaultTexts(
        known,
        content["title"],
        content["body"].strip(),
        content["policy"].strip(),
        tuple(DefaultPurpose(**purpose) for purpose in content["purposes"]),
        content["labels"],
    )


def labels(language: str) -> dict[str, str]:
    return default_texts(language).labels


def term(days: int, language: str) -> str:
    """A number of days as people say it: 3650 → "10 years", 425 → "14 months", 90 → "90 days"."""
    words = labels(language)
    if days >= 2 * 365 and days % 365 == 0:
        return words["years"].format(n=days // 365)
    if days > 120:
        return words["months"].format(n=round(days / 30.4))
    return words["days"].format(n=days)
