"""The catalogues are whole, and the tool that says so would notice if they were not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from django.core.management import CommandError, call_command

from config.translations import catalogues
from config.translations.sources import texts


@pytest.fixture(scope="module")
def found() -> Catalog:
    return texts()


@pytest.fixture
def copies(settings, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """A `locale` of this test's own."""
    folder = tmp_path / "locale"
    shutil.copytree(settings.LOCALE_PATHS[0], folder)
    settings.LOCALE_PATHS = [folder]
    return folder


def change(language: str, msgid: str, string: str, *flags: str) -> None:
    path = catalogues.file_of(language)
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    message = catalogue.get(msgid)
    assert message is not None
    message.string = string
    message.flags.update(flags)
    with path.open("wb") as file:
        write_po(file, catalogue)


@pytest.mark.parametrize("language", ["de", "fr"])
def test_every_text_is_translated_and_compiled(found: Catalog, language: str) -> None:
    """Fails? `manage.py translations`, translate what is empty in locale/, and run it again."""
    assert sorted(catalogues.problems(language, found)) == []


def test_texts_come_from_templates_python_registries_and_the_catalogue(found: Catalog) -> None:
    assert found.get("Privacy centre") is not None  # templates/privacy/centre.html
    assert found.get("Because you viewed %(product)s") is not None  # recommendations/stages/reasons.py
    assert found.get("Browsers and apps that were recognised as yours.") is not None  # an ExportTable
    assert found.get("Segments: groups of shoppers") is not None  # a Processor
    assert found.get("Last login at", context="record") is not None  # a column of an export
    assert found.get("Tents", context="catalogue") is not None  # a category of the demo
    plural = found.get("%(counter)s product")
    assert plural is not None
    assert plural.id == ("%(counter)s product", "%(counter)s products")


def test_pages_of_staff_stay_english(found: Catalog) -> None:
    assert found.get("Data protection officer") is None  # templates/privacy/_processing_record.html
    assert not [
        name for message in found for name, _line in message.locations if name.startswith("templates/admin/")
    ]


@pytest.mark.parametrize(
    ("msgid", "string", "flags", "told"),
    [
        ("Privacy centre", "", (), "not translated"),
        ("Privacy centre", "Datenschutz-Center", ("fuzzy",), "marked as fuzzy"),
        ("%(name)s is sold out.", "Es ist ausverkauft.", (), "placeholders differ"),
        ("%(name)s is sold out.", "%(nom)s ist ausverkauft.", (), "placeholders differ"),
        ("A member of the team ({roles})", "Ein Mitglied des Teams", (), "placeholders differ"),
        (
            "Did you mean <a class=\"text-link\" href=\"?q=%(address)s\">%(suggestion)s</a>?",
            "Meinten Sie %(suggestion)s?%(address)s",
            (),
            "tags differ",
        ),
        ("Privacy centre", "Datenschutz", (), "django.mo is older"),
    ],
)  # fmt: skip
def test_the_check_notices(
    found: Catalog, copies: Path, msgid: str, string: str, flags: tuple[str, ...], told: str
) -> None:
    before = {language: set(catalogues.problems(language, found)) for language in ("de", "fr")}
    change("de", msgid, string, *flags)
    assert any(told in problem for problem in set(catalogues.problems("de", found)) - before["de"])
    assert set(catalogues.problems("fr", found)) == before["fr"]


def test_a_new_text_stays_empty_and_one_that_is_gone_goes(copies: Path) -> None:
    sources = texts()
    sources.add("A text that nobody has translated")
    sources.delete("Privacy centre")
    updated = catalogues.update("de", sources)
    new = updated.get("A text that nobody has translated")
    assert new is not None
    assert not new.string
    assert updated.get("Privacy centre") is None
    assert "de: not translated: 'A text that nobody has translated'" in catalogues.problems("de", sources)
    assert "Privacy centre" not in catalogues.file_of("de").read_text()


def test_the_command_checks_and_writes_nothing(copies: Path) -> None:
    change("fr", "Privacy centre", "")
    before = catalogues.file_of("fr").read_bytes()
    with pytest.raises(CommandError, match="not ready"):
        call_command("translations", "--check")
    assert catalogues.file_of("fr").read_bytes() == before


def test_a_further_language_begins_empty(copies: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.LANGUAGES = [*settings.LANGUAGES, ("it", "Italian")]
    call_command("translations")
    italian = catalogues.read("it")
    assert len(italian) == len(catalogues.read("de"))
    assert not any(catalogues._strings(message)[0] for message in italian if message.id)
