"""What a store's data can carry: how much there is, how it is spread, what is missing, and which strategies it is enough for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from django.utils import timezone

from accounts.models import Customer, Store
from algorithms import STRATEGIES
from algorithms.data_facts import QUANTILES, DataFacts, Spread, data_facts
from algorithms.needs import Need, Readiness, judge
from algorithms.small_cells import LEAST_PEOPLE, published
from algorithms.types import TrainingData
from catalog.models import Product
from recommendations.selectors.event_weights import event_weights
from recommendations.selectors.training import catalogue_items
from recommendations.stages.shop_strategies import NEW_DAYS, SHOP_NEEDS
from recommendations.training.preparation import TooLittleData, prepare
from tracking.inventory.coverage import Coverage
from tracking.inventory.report import CatalogueFacts, inventory_of
from tracking.inventory.rollup import sources_roll_up
from tracking.selectors.interactions import Interactions, read_interactions

COVERAGE_DAYS: Final = 28
# Facts that say nothing of what people did.
_OF_CATALOGUE: Final = frozenset(
    {
        "items",
        "items_with_text",
        "items_with_text_vectors",
        "items_with_picture_vectors",
        "items_with_category",
        "items_with_features",
    }
)


@dataclass(frozen=True)
class StrategyVerdict:
    """Whether the data carry a strategy. `lacks` says in words what is too little, empty where it is ready."""

    name: str
    readiness: Readiness
    lacks: list[str]
    needs: tuple[Need, ...]


@dataclass(frozen=True)
class DataAudit:
    """As of `at`. `facts` are of the interactions that training would learn from: permitted for personalisation, with products of
    the catalogue, and of a type that weighs something. Where there are none of these, `obstacle` says why, and `facts` are of all
    that may be used, whatever their products.

    `permitted` are all interactions that may be used; `in_catalogue` is the share of them whose product the catalogue knows.
    """

    store: str
    at: datetime
    permitted: int
    in_catalogue: float
    unknown_products: list[tuple[str, int]]
    facts: DataFacts
    obstacle: str
    catalogue: CatalogueFacts
    coverage: Coverage
    strategies: list[StrategyVerdict]

    def as_json(self) -> dict[str, Any]:
        """Plain values; quantiles by their share. For programmes, so outside of the system: nothing of fewer than ten people."""
        people, sessions = self.facts.people, self.facts.sessions
        facts: dict[str, Any] = asdict(self.facts) | {
            name: published(published(count), people) if name not in _OF_CATALOGUE else count
            for name, count in self.facts.counts().items()
        }
        facts["per_person"] = spread_as_json(self.facts.per_person, people)
        facts["per_session"] = spread_as_json(self.facts.per_session, min(people, sessions))
        facts["per_item"] = spread_as_json(self.facts.per_item)
        return {
            "store": self.store,
            "at": self.at.isoformat(),
            "interactions_permitted": published(self.permitted),
            "share_in_catalogue": self.in_catalogue,
            "unknown_products": {product: published(count) for product, count in self.unknown_products},
            "obstacle": self.obstacle,
            "facts": facts,
            "catalogue": {**asdict(self.catalogue), "updated_at": str(self.catalogue.updated_at or "")},
            "coverage": {
                "days": COVERAGE_DAYS,
                **asdict(self.coverage),
                "present": {name: published(count) for name, count in self.coverage.present.items()},
                "share": self.coverage.share,
            },
            "strategies": {
                verdict.name: {
                    "readiness": str(verdict.readiness),
                    "lacks": verdict.lacks,
                    "needs": [asdict(need) for need in verdict.needs],
                }
                for verdict in self.strategies
            },
        }


def spread_as_json(spread: Spread, people: int | None = None) -> dict[str, float | None]:
    """`people`: behind how many the spread stands, None where it is of products. Of people the least and the most are one person's:
    a quantile is told where at least ten are below it and ten above, the mean and the Gini index where there are ten."""
    values: dict[str, float | None] = {
        f"p{round(100 * share)}": value
        if people is None or min(share, 1 - share) * people >= LEAST_PEOPLE
        else None
        for share, value in zip(QUANTILES, spread.quantiles, strict=True)
    }
    is_told = people is None or people >= LEAST_PEOPLE
    return {"mean": spread.mean if is_told else None, **values, "gini": spread.gini if is_told else None}


def data_audit(store: Store) -> DataAudit:
    """Reads the whole log once, as a training does: a few seconds for a million interactions, 45 bytes of memory each."""
    now = timezone.now()
    log = read_interactions(store)
    catalogue = catalogue_items(store.pk)
    obstacle = ""
    try:
        data = prepare(store.pk, log, catalogue, event_weights(store.pk), now.timestamp()).data
    except TooLittleData as error:
        obstacle = str(error)
        data = _as_told(log, now)
    facts = data_facts(data)
    sources_roll_up(store)
    inventory = inventory_of(store, COVERAGE_DAYS)
    share, unknown = _outside(log, {item.external_id for item in catalogue})
    counts = {**({} if obstacle else facts.counts()), **_shop_counts(store, now)}
    if obstacle:
        # Nothing was prepared: what the catalogue says is told by itself.
        counts |= {
            "items_with_text": sum(1 for item in catalogue if item.name or item.description),
            "items_with_category": sum(1 for item in catalogue if item.category_path),
        }
    return DataAudit(
        store=store.slug,
        at=now,
        permitted=len(log),
        in_catalogue=share,
        unknown_products=unknown,
        facts=facts,
        obstacle=obstacle,
        catalogue=inventory.catalogue,
        coverage=inventory.coverage,
        strategies=strategy_verdicts(counts),
    )


def strategy_verdicts(counts: dict[str, int]) -> list[StrategyVerdict]:
    """Every strategy that there is, those first that the data carry."""
    needs = {name: strategy.needs for name, strategy in STRATEGIES.items()} | dict(SHOP_NEEDS)
    verdicts = [StrategyVerdict(name, *judge(each, counts), each) for name, each in needs.items()]
    order = list(Readiness)
    return sorted(verdicts, key=lambda verdict: order.index(verdict.readiness))


def _shop_counts(store: Store, now: datetime) -> dict[str, int]:
    return {
        "new_items": Product.objects.for_store(store)
        .filter(is_active=True, published_at__gt=now - timedelta(days=NEW_DAYS), published_at__lte=now)
        .count(),
        "stated_interests": Customer.objects.for_store(store).exclude(interests=[]).count(),
    }


def _outside(log: Interactions, known: set[str], most: int = 20) -> tuple[float, list[tuple[str, int]]]:
    """Share of the interactions with products of the catalogue, and the products outside of it that come most."""
    if not len(log):
        return 0.0, []
    counts = np.bincount(log.product, minlength=len(log.products))
    is_known = np.array([product in known for product in log.products], np.bool_)
    outside = [
        (log.products[place], int(counts[place]))
        for place in np.argsort(-counts, kind="stable").tolist()
        if not is_known[place] and counts[place]
    ]
    return float(counts[is_known].sum() / counts.sum()), outside[:most]


def _as_told(log: Interactions, now: datetime) -> TrainingData:
    """The log by itself: every product that an event named is an item, and every interaction weighs the same."""
    return TrainingData(
        user=log.subject,
        item=log.product,
        timestamp=log.occurred_at,
        weight=np.ones(len(log), np.float32),
        session=log.session,
        basket=log.basket,
        n_users=log.n_subjects,
        n_items=len(log.products),
        now=now.timestamp(),
    )
