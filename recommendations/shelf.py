"""What is asked for and what comes back: the frozen shapes at both ends of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from accounts.models import Store
from consent.policy import LEDGER, SourcePolicy

MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Shopper:
    """Who looks at the shelf, as far as the caller vouches for it.

    `customer_id` is the shop's own id of a customer (`Customer.external_id`): pass it only where it was proved, by a secret
    key, a signature or the shop's login. `anonymous_id` is the visitor's. `sends_gpc`: the browser asked, by Global Privacy Control, not
    to be profiled. `has_paused`: the shopper switched personalisation off on this browser.
    """

    anonymous_id: str | None = None
    customer_id: str | None = None
    sends_gpc: bool = False
    has_paused: bool = False
    source: SourcePolicy = (
        LEDGER  # where consent is looked up: the ledger, unless the caller's API key declares otherwise
    )

    @property
    def is_nobody(self) -> bool:
        return self.anonymous_id is None and self.customer_id is None


NOBODY = Shopper()


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """`category` is a category's path (`camping/tents`), products are external ids. Excluded products exclude their variants."""

    store: Store
    placement: str
    shopper: Shopper = NOBODY
    limit: int | None = None
    category: str | None = None
    product_id: str | None = None
    cart: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    personal: bool = True
    now: float | None = None  # Unix seconds; None = the clock


class RequestError(ValueError):
    """The request names something that is not there or asks for what cannot be. `field` is the parameter at fault."""

    status = 400

    def __init__(self, message: str, *, field: str, code: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class UnknownPlacement(RequestError):
    status = 404


class UnknownProduct(RequestError):
    status = 404


class UnknownCategory(RequestError):
    status = 404


class InvalidLimit(RequestError):
    pass


@dataclass(frozen=True, slots=True)
class ShelfProduct:
    """A product as a card shows it; true when the shelf was served. Money in minor units (cents)."""

    pk: int
    external_id: str
    name: str
    url: str
    image_url: str
    price_minor_units: int
    list_price_minor_units: int | None
    currency: str
    stock: int | None
    is_available: bool
    category_id: int | None
    category_name: str
    brand_id: int | None
    brand_name: str
    variant_group: str
    published_at: float  # Unix seconds
    cost_minor_units: int | None = None  # what it costs the shop: for margin, never for a card

    @property
    def is_reduced(self) -> bool:
        return (
            self.list_price_minor_units is not None and self.list_price_minor_units > self.price_minor_units
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """A true sentence for the shopper. `trigger` is the external id of the product it speaks of."""

    code: str
    text: str
    strategy: str = ""
    trigger: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What reranking did to a product, in words for staff. `factor` multiplied its score; 1 where it was moved otherwise."""

    code: str
    text: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class ShelfItem:
    """A product at its rank (from 1). `strategies` are the weighted contributions whose sum is `blended`; `score` is that after
    `learned`, rules and `moves`. `rank_by_score` is where scores and rules alone would have put it, None far below. `propensity`
    is how likely it was to stand at its rank, where chance had a say (None: it was certain)."""

    product: ShelfProduct
    rank: int
    score: float
    strategies: Mapping[str, float]
    reason: Reason
    blended: float = 0.0
    rules: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    learned: float = 1.0  # what the learned reranker multiplied the blended score by, before rules
    rank_by_score: int | None = None
    propensity: float | None = None

    @property
    def strategy(self) -> str:
        """The strategy that contributed most; `popular` where none did."""
        return max(self.strategies, key=lambda name: self.strategies[name]) if self.strategies else "popular"


@dataclass(frozen=True)
class Trace:
    """How the shelf came about, for explanations: what was known, which weights applied, what was left out, what took how long."""

    weights: Mapping[str, float]
    weights_source: str
    density: str
    segments: tuple[str, ...]
    known_interactions: int
    filtered: Mapping[str, int]
    milliseconds: Mapping[str, float]
    skipped: tuple[str, ...] = ()
    learned: Callable[[], list[dict[str, float]]] | None = None
    """Works out, for each item of the shelf, what each feature of the learned reranker multiplied its score by."""


@dataclass(frozen=True, slots=True)
class DrawnArm:
    """Weights that a bandit drew for the shopper: `share` is the probability of that, 0 to 1, and holds for the whole epoch."""

    pk: int
    name: str
    share: float
    epoch: int

    @property
    def text(self) -> str:
        return f"“{self.name}”, which a bandit gives {self.share:.0%} of shoppers"


@dataclass(frozen=True)
class Shelf:
    """An answer. `variant` is personalised, control or non_personal; `fallback` says why popular products stand in, if they do.

    `stands_in`: not one product was chosen by the placement's strategies. `is_optional`: the placement would rather show nothing then.
    `is_drawn`: chance had a part in it, so that it is never given a second time. `rendered` keeps forms of `items` for the next
    time that they are given.
    """

    request_id: UUID
    placement: str
    heading: str
    items: tuple[ShelfItem, ...]
    model_version: int | None
    variant: str
    fallback: str | None
    personalised: bool
    stands_in: bool = False
    is_optional: bool = False
    is_drawn: bool = False
    trace: Trace | None = field(default=None, compare=False)
    arm: DrawnArm | None = None
    rendered: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def product_ids(self) -> tuple[str, ...]:
        return tuple(item.product.external_id for item in self.items)
