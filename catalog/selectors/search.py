"""Product search: every word must be found, as the beginning of a word, in name, description, brand, category, tag or number."""

from __future__ import annotations

import re
from typing import Final

from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector
from django.db.models import Case, ExpressionWrapper, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from accounts.models import Store
from catalog.models import Brand, Category, Product
from catalog.selectors.products import active_products

CONFIG: Final = "english"
MAX_WORDS: Final = 12
_WORD: Final = re.compile(r"\w+")
_VECTOR: Final = SearchVector("name", "description", config=CONFIG)


def search_products(
    store: Store | int, text: str, within: QuerySet[Product] | None = None
) -> QuerySet[Product]:
    """Active products (or those of `within`) that match, best first, annotated with an integer `relevance`.

    The text is taken as words, whatever stands in it. Without a single word everything matches, with relevance 0.
    """
    products = active_products(store) if within is None else within
    words = _WORD.findall(text)[:MAX_WORDS]
    if not words:
        return products.annotate(relevance=Value(0)).order_by("name", "pk")
    for word in words:
        products = products.filter(_matches(store, word))
    return products.annotate(relevance=_relevance(words)).order_by("-relevance", "name", "pk")


def _matches(store: Store | int, word: str) -> Q:
    named_so = Q(name__istartswith=word) | Q(name__icontains=f" {word}")
    brands = Brand.objects.for_store(store).filter(named_so)
    categories = Category.objects.for_store(store).filter(named_so)
    return (
        Q(
            pk__in=Product.objects.for_store(store)
            .annotate(text=_VECTOR)
            .filter(text=_prefix(word))
            .values("pk")
        )
        | Q(brand__in=brands)
        | Q(category__in=categories)
        | Q(sku__iexact=word)
        | Q(external_id__iexact=word)
        | Q(tags__contains=[word.lower()])
    )


def _prefix(word: str) -> SearchQuery:
    # `word` is letters, digits and underscores only, so that it needs no quoting in the query language.
    return SearchQuery(f"{word}:*", search_type="raw", config=CONFIG)


def _relevance(words: list[str]) -> Combinable:
    """Rank of the text, a name's words counting four times a description's, and the whole phrase in the name above all."""
    weighted = SearchVector("name", weight="A", config=CONFIG) + SearchVector(
        "description", weight="C", config=CONFIG
    )
    anything = _prefix(words[0])
    for word in words[1:]:
        anything |= _prefix(word)
    phrase = Case(When(name__icontains=" ".join(words), then=Value(1_000_000)), default=Value(0))
    rank = Cast(SearchRank(weighted, anything) * Value(100_000), IntegerField())
    return ExpressionWrapper(rank + phrase, output_field=IntegerField())
