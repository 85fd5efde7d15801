"""What each parameter of reranking costs and gives, on the clickstream of a clothing shop that has prices and categories.

    python -m benchmarks.reranking --data DIR    # DIR holds eshop_clothing_2008/clicks.parquet

Visits to 15 July 2008 train; of each later visit the last click on a product not seen before is the target, all that came before it
is known. All products are ranked, those seen left out, by the home page's loudest strategies; the shelf has ten places.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from algorithms.blend import blend
from algorithms.calibration import band_targets, bands, group_quantiles
from algorithms.experiments import paired_relative_difference
from algorithms.item_knn import ItemKNN
from algorithms.popularity import PopularInCategory, Trending
from algorithms.ranking import top_k
from algorithms.rerank import Wish, choose, explore, shrink
from algorithms.session_knn import SessionKNN
from algorithms.svd import ItemVectors
from algorithms.types import Float32, Float64, Int32, Query, Strategy, TrainingData

PLACES, CANDIDATES, PARTS = 10, 144, 5
WEIGHTS = {
    "session_knn": 1.0,
    "item_vectors": 0.6,
    "item_knn": 0.3,
    "popular_in_category": 0.2,
    "trending": 0.1,
}
OF_SHOPPERS = frozenset({"session_knn", "item_vectors", "item_knn"})
DAY = 86_400.0


@dataclass(frozen=True)
class Case:
    candidates: Int32
    contributions: Float32  # (strategies, c)
    names: tuple[str, ...]
    history: Int32
    target: int


@dataclass(frozen=True)
class Shop:
    category: Int32
    band: Int32
    observations: Float64
    cases: list[Case]


Shelf = Callable[[Shop, int, Case], Sequence[int]]


def read(path: Path, limit: int) -> Shop:
    table = pq.read_table(path).sort_by([("session_id", "ascending"), ("click_order", "ascending")])
    session = table["session_id"].to_numpy()
    names, item = np.unique(table["product_code"].to_numpy(zero_copy_only=False), return_inverse=True)
    _, category_of_row = np.unique(table["main_category"].to_numpy(zero_copy_only=False), return_inverse=True)
    category, price = np.zeros(len(names), np.int32), np.zeros(len(names))
    category[item], price[item] = category_of_row, table["price_usd"].to_numpy()
    seconds = (
        pc.cast(table["date"], "int32").to_numpy().astype(np.float64) * DAY + table["click_order"].to_numpy()
    )
    cutoff = np.datetime64("2008-07-15").astype("datetime64[D]").astype(int) * DAY
    first = np.append(True, np.diff(session) != 0)
    number = (np.cumsum(first) - 1).astype(np.int32)
    training = (seconds[np.flatnonzero(first)] < cutoff)[number]
    data = _training(item.astype(np.int32)[training], number[training], seconds[training], category, cutoff)
    bounds = group_quantiles(price, category, int(category.max()) + 1, PARTS)
    strategies: dict[str, Strategy] = {
        strategy.name: strategy.fit(data, np.random.default_rng(0))
        for strategy in (SessionKNN(), ItemVectors(), ItemKNN(), PopularInCategory(), Trending())
    }
    cases: list[Case] = []
    tests = np.unique(number[~training])
    chosen = np.random.default_rng(0).permutation(tests)[: 2 * limit]
    starts = np.append(np.flatnonzero(first), len(session))
    for one in tqdm(chosen.tolist(), desc="scoring"):
        rows = slice(starts[one], starts[one + 1])
        case = _case(strategies, item[rows].astype(np.int32), seconds[rows], len(names))
        if case is not None and len(cases) < limit:
            cases.append(case)
    observations = np.bincount(data.item, minlength=len(names)).astype(np.float64)
    return Shop(category, bands(price, category, bounds), observations, cases)


def _training(item: Int32, session: Int32, seconds: Float64, category: Int32, now: float) -> TrainingData:
    n = len(item)
    return TrainingData(
        user=session, item=item, timestamp=seconds, weight=np.ones(n, np.float32), session=session,
        basket=np.full(n, -1, np.int32), n_users=int(session.max()) + 1, n_items=len(category), now=now, item_category=category,
    )  # fmt: skip


def _case(strategies: dict[str, Strategy], items: Int32, seconds: Float64, n_items: int) -> Case | None:
    """None for a visit that never came upon something new."""
    fresh = [at for at in range(1, len(items)) if items[at] not in items[:at]]
    if not fresh:
        return None
    known = items[: fresh[-1]]
    query = Query.of(known, now=float(seconds[fresh[-1]]))
    scores = {name: np.array(strategy.score(query), np.float32) for name, strategy in strategies.items()}
    for row in scores.values():
        row[known] = 0.0
    result = blend(scores, WEIGHTS)
    candidates = top_k(result.total, CANDIDATES)
    given = np.stack([row[candidates] for row in result.contributions.values()])
    return Case(candidates, given, tuple(result.contributions), known, int(items[fresh[-1]]))


def shelf_by(
    *,
    calibration: float = 0.0,
    diversity: float = 0.0,
    confidence: float = 0.0,
    exploration: float = 0.0,
    cap: int = 0,
) -> Shelf:
    def make(shop: Shop, number: int, case: Case) -> Sequence[int]:
        given, candidates = case.contributions, case.candidates
        if confidence:
            doubted = np.array([name in OF_SHOPPERS for name in case.names])[:, None]
            given = np.where(doubted, given * shrink(shop.observations[candidates], confidence), given)
        scores = given.sum(axis=0)
        order = np.argsort(-scores, kind="stable")
        candidates, scores = candidates[order], scores[order]
        none = np.full(len(candidates), -1, np.int32)
        pool = 2 * PLACES if exploration else 0
        chosen = choose(
            scores, none, none, shop.category[candidates], PLACES + pool, max_per_category=cap, diversity=diversity,
            wish=_wish(shop, case, candidates) if calibration else None, calibration=calibration,
        )  # fmt: skip
        places = candidates[chosen.order].tolist()
        if not exploration:
            return places
        spare = np.array(places[PLACES:], np.int64)
        spare = spare[np.sort(np.argsort(shop.observations[spare], kind="stable")[: (len(spare) + 1) // 2])]
        takes = explore(PLACES, spare, exploration, number).takes
        return [int(spare[take]) if take >= 0 else place for place, take in zip(places, takes, strict=False)]

    return make


def _wish(shop: Shop, case: Case, candidates: Int32) -> Wish:
    groups, group = np.unique(shop.category[candidates], return_inverse=True)
    weight = np.ones(len(case.history))
    targets = band_targets(shop.band[case.history], shop.category[case.history], weight, groups, PARTS)
    return Wish(shop.band[candidates], group.astype(np.int32), targets)


@dataclass(frozen=True)
class Figures:
    """`ndcg` (n,) of each case; `miscalibration`: mean Kullback-Leibler divergence of the shelf's price bands from the history's."""

    ndcg: Float64
    hit_rate: float
    coverage: float
    miscalibration: float
    microseconds: float


def measure(shop: Shop, shelf: Shelf) -> Figures:
    ndcg, divergence, shown = np.zeros(len(shop.cases)), [], set()
    started = perf_counter()
    for number, case in enumerate(shop.cases):
        places = list(shelf(shop, number, case))[:PLACES]
        shown.update(places)
        if case.target in places:
            ndcg[number] = 1.0 / np.log2(places.index(case.target) + 2)
        if len(case.history) >= 5:
            p = np.bincount(shop.band[case.history], minlength=PARTS) / len(case.history)
            q = np.bincount(shop.band[places], minlength=PARTS) / len(places)
            mixed = 0.99 * q + 0.01 * p
            divergence.append(float((p[p > 0] * np.log(p[p > 0] / mixed[p > 0])).sum()))
    seconds = perf_counter() - started
    return Figures(
        ndcg,
        float((ndcg > 0).mean()),
        len(shown) / len(shop.category),
        float(np.mean(divergence)),
        1e6 * seconds / len(shop.cases),
    )


SETTINGS: tuple[tuple[str, Shelf], ...] = (
    ("all off", shelf_by()),
    ("price bands 0.05", shelf_by(calibration=0.05)),
    ("price bands 0.1", shelf_by(calibration=0.1)),
    ("price bands 0.2", shelf_by(calibration=0.2)),
    ("price bands 0.5", shelf_by(calibration=0.5)),
    ("doubt, 5 interactions", shelf_by(confidence=5)),
    ("doubt, 20 interactions", shelf_by(confidence=20)),
    ("doubt, 100 interactions", shelf_by(confidence=100)),
    ("variety 0.15", shelf_by(diversity=0.15)),
    ("variety 0.5", shelf_by(diversity=0.5)),
    ("at most 6 of a category", shelf_by(cap=6)),
    ("chance 0.05", shelf_by(exploration=0.05)),
    ("chance 0.1", shelf_by(exploration=0.1)),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds eshop_clothing_2008")
    parser.add_argument("--cases", type=int, default=3000, help="visits to measure on (default 3000)")
    arguments = parser.parse_args()
    shop = read(arguments.data / "eshop_clothing_2008" / "clicks.parquet", arguments.cases)
    measure(shop, shelf_by(calibration=0.1))  # compiles
    base = measure(shop, SETTINGS[0][1])
    print(f"{len(shop.cases)} visits, {len(shop.category)} products\n")
    print(
        "| setting | NDCG@10 | against all off (95 %) | hit rate@10 | coverage | price bands off by (KL) | µs |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, shelf in SETTINGS:
        found = measure(shop, shelf)
        difference = paired_relative_difference(found.ndcg, base.ndcg, np.random.default_rng(0))
        interval = (
            "–"
            if found.ndcg is base.ndcg or name == "all off"
            else (f"{difference.estimate:+.1%} ({difference.low:+.1%} … {difference.high:+.1%})")
        )
        print(
            f"| {name} | {found.ndcg.mean():.4f} | {interval} | {found.hit_rate:.3f} | {found.coverage:.2f} "
            f"| {found.miscalibration:.3f} | {found.microseconds:.0f} |"
        )


if __name__ == "__main__":
    main()
