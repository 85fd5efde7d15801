"""What somebody may have meant who searched and found nothing."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final

from accounts.models import Store
from catalog.models import Brand, Category, Product

_WORD: Final = re.compile(r"[^\W\d_]{3,}")
SIMILARITY: Final = 0.72


def did_you_mean(store: Store, text: str) -> str | None:
    """The query with each unknown word replaced by the nearest word of the catalogue; None where nothing is near."""
    known = _vocabulary(store)
    words = [_nearest(word, known) for word in text.lower().split()[:8]]
    if None in words:
        return None
    suggestion = " ".join(filter(None, words))
    return suggestion if suggestion and suggestion != text.lower() else None


def _nearest(word: str, known: set[str]) -> str | None:
    if word in known:
        return word
    return next(iter(get_close_matches(word, known, n=1, cutoff=SIMILARITY)), None)


def _vocabulary(store: Store) -> set[str]:
    names = [
        *Product.objects.for_store(store).filter(is_active=True).values_list("name", flat=True)[:20_000],
        *Brand.objects.for_store(store).values_list("name", flat=True),
        *Category.objects.for_store(store).values_list("name", flat=True),
    ]
    return {word for name in names for word in _WORD.findall(name.lower())}
