"""The texts that want a translation, read from the sources: marked ones in Python and templates, and words of the demo's catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from django.conf import settings
from django.utils.translation.template import templatize

from catalog.wording import CONTEXT as CATALOGUE
from consent import record_words
from storefront.demo import catalogue

APPS: Final = (
    "accounts", "catalog", "config", "consent", "profiles", "recommendations", "segments", "storefront", "tracking",
)  # fmt: skip
NOT_FOR_SHOPPERS: Final = (
    "config/settings.py",
    "config/translations/",
    "templates/admin/",
    "templates/unfold/",
    "templates/config/",
    "templates/privacy/_processing_record.html",
    "templates/privacy/processing_record.html",
)
"""Pages of staff are English; so is the record of processing, which the law keeps for them and the authority."""
KEYWORDS: Final[dict[str, Any]] = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    # Registries of personal data: what a part is called, and what a table of an export holds.
    "Processor": (2,),
    "ExportTable": (2,),
}
"""Functions whose arguments are texts, in Babel's way of saying which."""


def texts() -> Catalog:
    """Every text with the files it stands in, as a catalogue without translations."""
    found = Catalog(project="Etalage")
    for path in _files():
        name = path.relative_to(settings.BASE_DIR).as_posix()
        content = path.read_text(encoding="utf-8")
        source = content if path.suffix == ".py" else _as_python(content)
        for line, message, comments, context in extract(
            "python", BytesIO(source.encode()), KEYWORDS, ("Translators:",), {"encoding": "utf-8"}
        ):
            found.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    for word in (*map(record_words.in_english, record_words.COLUMNS), *record_words.LINES):
        found.add(word, locations=[("consent/record_words.py", 0)], context=record_words.CONTEXT)
    for word in sorted(_catalogue_words()):
        found.add(word, locations=[("storefront/demo/catalogue.toml", 0)], context=CATALOGUE)
    return found


def _files() -> Iterator[Path]:
    base = Path(settings.BASE_DIR)
    candidates = [path for app in APPS for path in (base / app).rglob("*.py")]
    candidates += [path for path in (base / "templates").rglob("*") if path.suffix in {".html", ".txt"}]
    for path in sorted(candidates):
        name = path.relative_to(base).as_posix()
        if not name.startswith(NOT_FOR_SHOPPERS) and "/migrations/" not in name and "/admin/" not in name:
            yield path


def _as_python(template: str) -> str:
    """The template's texts as calls of gettext, all else blanked; indented lines would be an error in Python."""
    return "\n".join(line.lstrip() for line in templatize(template).splitlines())


def _catalogue_words() -> set[str]:
    """Names of categories, colours and details: what returns on every page. Names of products stay as they are."""
    words = {category.name for category in catalogue.categories()}
    for product in catalogue.products():
        words.add(product.colour)
        words |= {name.replace("_", " ").capitalize() for name in product.attributes}
        words |= {value for value in product.attributes.values() if not any(map(str.isdigit, value))}
    return words
