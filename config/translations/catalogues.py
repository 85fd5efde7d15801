"""The catalogues in `locale/`: brought up to date with the sources, compiled, and examined for what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings

SOURCE_LANGUAGE: Final = "en"
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[a-z]|\{\w*\}|%%")
_TAG: Final = re.compile(r"</?\w+[^>]*>")

Key = tuple[str | None, str]


def languages() -> list[str]:
    """Those of `LANGUAGES` that need a catalogue: all but the one that the sources are written in."""
    return [code for code, _name in settings.LANGUAGES if code != SOURCE_LANGUAGE]


def file_of(language: str, suffix: str = "po") -> Path:
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / f"django.{suffix}"


def read(language: str) -> Catalog:
    """An empty one for a language that has no file yet."""
    path = file_of(language)
    if not path.exists():
        return Catalog(locale=language, project="Etalage", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(language: str, texts: Catalog) -> Catalog:
    """Take in new texts, drop those that are gone, write both files. Nothing is guessed: a new text stays empty."""
    known = read(language)
    texts.creation_date = known.creation_date
    known.update(texts, no_fuzzy_matching=True)
    known.obsolete.clear()
    path = file_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, known, width=120, sort_output=True, include_lineno=False)
    with file_of(language, "mo").open("wb") as file:
        write_mo(file, known)
    return known


def problems(language: str, texts: Catalog) -> Iterator[str]:
    """What keeps a visitor from reading a page wholly in this language, a line each."""
    known = read(language)
    wanted, present = _by_key(texts), _by_key(known)
    for key in wanted.keys() - present.keys():
        yield f"{language}: not in the catalogue: {key[1]!r}"
    for key in present.keys() - wanted.keys():
        yield f"{language}: in no source any more: {key[1]!r}"
    for key in wanted.keys() & present.keys():
        # The sources say how the text reads, and whether it has a plural.
        yield from (f"{language}: {told}: {key[1]!r}" for told in _faults(wanted[key], present[key]))
    if not _is_compiled(language, known):
        yield f"{language}: {file_of(language, 'mo').name} is older than django.po"


def _by_key(catalog: Catalog) -> Mapping[Key, Message]:
    return {(_context(message), _ids(message)[0]): message for message in catalog if message.id}


def _context(message: Message) -> str | None:
    """Babel gives that of a compiled catalogue as bytes."""
    context: str | bytes | None = message.context
    return context.decode() if isinstance(context, bytes) else context


def _ids(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, (list, tuple)) else (message.id,)


def _strings(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, (list, tuple)) else (message.string or "",)


def _faults(source: Message, known: Message) -> Iterator[str]:
    if known.fuzzy:
        yield "marked as fuzzy"
    if _ids(source) != _ids(known):
        yield "its plural has changed"
    if not all(_strings(known)):
        yield "not translated"
        return
    original = _ids(source)[-1]
    for string in _strings(known):
        # A singular may do without its number ("one product"), but nothing else is lost or made up.
        if _marks(string) - _marks(original) or (
            len(_ids(source)) == 1 and _marks(string) != _marks(original)
        ):
            yield f"placeholders differ in {string!r}"
        if sorted(_TAG.findall(string)) != sorted(_TAG.findall(original)):
            yield f"tags differ in {string!r}"
        if _edges(string) != _edges(original):
            yield f"white space at its ends differs in {string!r}"


def _marks(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


def _edges(text: str) -> tuple[bool, bool]:
    return text[:1].isspace(), text[-1:].isspace()


def _is_compiled(language: str, known: Catalog) -> bool:
    path = file_of(language, "mo")
    if not path.exists():
        return False
    with path.open("rb") as file:
        compiled = read_mo(file)
    told = {key: _strings(message) for key, message in _by_key(compiled).items()}
    return told == {key: _strings(each) for key, each in _by_key(known).items() if all(_strings(each))}
