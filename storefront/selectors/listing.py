"""What a category or search page lists: filters, facets and order, read from the address and never trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector
from django.db.models import BooleanField, Case, Count, F, Q, QuerySet, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import MD5
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Store
from catalog.models import Category, Product

PAGE_SIZE: Final = 24
MAX_QUERY_LENGTH: Final = 120
MAX_CHOICES: Final = 40
MAX_PRICE: Final = 1_000_000

SORTS: Final[Mapping[str, str | Promise]] = {
    "selection": _("Our selection"),
    "for-you": _("Picked for you"),
    "relevance": _("Best match"),
    "new": _("Newest first"),
    "price": _("Price, low to high"),
    "price-down": _("Price, high to low"),
}
FEATURED_TAG: Final = "featured"

_SEARCH_VECTOR: Final = (
    SearchVector("name", weight="A", config="english")
    + SearchVector("brand__name", "category__name", "category__parent__name", weight="B", config="english")
    + SearchVector("description", weight="D", config="english")
)


@dataclass(frozen=True)
class ListingQuery:
    """A shopper's wishes. Prices in whole units of the store's currency; None: no bound."""

    text: str = ""
    brands: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    price_from: int | None = None
    price_to: int | None = None
    only_available: bool = False
    only_reduced: bool = False
    sort: str = ""

    @classmethod
    def of(cls, parameters: QueryDict) -> ListingQuery:
        """Reads an address. What makes no sense is passed over: a listing has no error page."""
        return cls(
            text=clean_text(parameters.get("q", "")),
            brands=_words(parameters, "brand"),
            colours=_words(parameters, "colour"),
            price_from=_price(parameters.get("from", "")),
            price_to=_price(parameters.get("to", "")),
            only_available=parameters.get("available") == "1",
            only_reduced=parameters.get("reduced") == "1",
            sort=parameters.get("sort", "") if parameters.get("sort", "") in SORTS else "",
        )

    @property
    def is_filtered(self) -> bool:
        return self != ListingQuery(text=self.text, sort=self.sort)

    @property
    def filter_count(self) -> int:
        bounds = self.price_from is not None or self.price_to is not None
        return len(self.brands) + len(self.colours) + bounds + self.only_available + self.only_reduced


def clean_text(text: str) -> str:
    """What a shopper typed, without control characters, which PostgreSQL refuses, and cut to a length."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_QUERY_LENGTH]


def _words(parameters: QueryDict, name: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(word for raw in parameters.getlist(name)[:MAX_CHOICES] if (word := clean_text(raw)))
    )


def _price(text: str) -> int | None:
    return min(int(text), MAX_PRICE) if text.isascii() and text.isdigit() and len(text) < 12 else None


@dataclass(frozen=True)
class FacetValue:
    value: str
    label: str
    count: int
    is_chosen: bool


@dataclass(frozen=True)
class Listing:
    """`products` is a lazy query in the order asked for; facets count what the other filters leave."""

    query: ListingQuery
    products: QuerySet[Product]
    brands: list[FacetValue] = field(default_factory=list)
    colours: list[FacetValue] = field(default_factory=list)


def for_sale(store: Store) -> QuerySet[Product]:
    return Product.objects.for_store(store).filter(is_active=True).select_related("brand", "category")


def in_category(products: QuerySet[Product], category: Category) -> QuerySet[Product]:
    """Products of the category and of everything below it."""
    return products.filter(Q(category=category) | Q(category__path__startswith=f"{category.path}/"))


def matching(products: QuerySet[Product], text: str) -> QuerySet[Product]:
    """Full-text search in name, brand, category and description; parts of a name match too."""
    query = SearchQuery(text, search_type="websearch", config="english")
    is_match = (
        Q(vector=query)
        | Q(name__icontains=text)
        | Q(brand__name__icontains=text)
        | Q(category__name__icontains=text)
    )
    return products.annotate(vector=_SEARCH_VECTOR, relevance=SearchRank(_SEARCH_VECTOR, query)).filter(
        is_match
    )


def listing(base: QuerySet[Product], query: ListingQuery) -> Listing:
    """Apply filters and order to what a category or a search found."""
    return Listing(
        query=query,
        products=_ordered(_filtered(base, query), query),
        brands=_brands(_filtered(base, replace(query, brands=())), query),
        colours=_colours(_filtered(base, replace(query, colours=())), query),
    )


def _filtered(products: QuerySet[Product], query: ListingQuery) -> QuerySet[Product]:
    conditions = Q()
    if query.brands:
        conditions &= Q(brand__slug__in=query.brands)
    if query.colours:
        conditions &= Q(attributes__colour__in=query.colours)
    if query.price_from is not None:
        conditions &= Q(price_minor_units__gte=query.price_from * 100)
    if query.price_to is not None:
        conditions &= Q(price_minor_units__lte=query.price_to * 100)
    if query.only_available:
        conditions &= Q(stock__gt=0) | Q(stock=None)
    if query.only_reduced:
        conditions &= Q(list_price_minor_units__isnull=False)
    return products.filter(conditions)


def _ordered(products: QuerySet[Product], query: ListingQuery) -> QuerySet[Product]:
    is_sold_out = Case(
        When(stock__lte=0, then=Value(True)), default=Value(False), output_field=BooleanField()
    )
    is_featured = Case(
        When(tags__contains=[FEATURED_TAG], then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )
    products = products.annotate(is_sold_out=is_sold_out)
    if query.text and query.sort in {"", "relevance"}:
        return products.order_by(F("is_sold_out"), F("relevance").desc(), "name", "pk")
    if query.sort == "new":
        return products.order_by("-published_at", "pk")
    if query.sort == "price":
        return products.order_by("price_minor_units", "pk")
    if query.sort == "price-down":
        return products.order_by("-price_minor_units", "pk")
    # A fixed shuffle, so that a page is not sixteen tents in a row.
    return products.annotate(is_featured=is_featured, shuffle=MD5("external_id")).order_by(
        "is_sold_out", "-is_featured", "shuffle"
    )


def _brands(products: QuerySet[Product], query: ListingQuery) -> list[FacetValue]:
    rows = (
        products.exclude(brand=None)
        .order_by("brand__name")
        .values_list("brand__slug", "brand__name")
        .annotate(count=Count("pk"))
    )
    return [FacetValue(slug, name, count, slug in query.brands) for slug, name, count in rows]


def _colours(products: QuerySet[Product], query: ListingQuery) -> list[FacetValue]:
    rows = (
        products.filter(attributes__has_key="colour")
        .annotate(colour=KeyTextTransform("colour", "attributes"))
        .order_by("colour")
        .values_list("colour")
        .annotate(count=Count("pk"))
    )
    return [FacetValue(colour, colour.capitalize(), count, colour in query.colours) for colour, count in rows]


def address_with(query_string: QueryDict, **changes: Any) -> str:
    """The page's own address with some parameters changed (None: dropped), for links of pages and orders."""
    parameters = query_string.copy()
    for name, value in changes.items():
        parameters.pop(name, None)
        if value is not None:
            parameters[name] = value
    return f"?{parameters.urlencode()}" if parameters else "?"
