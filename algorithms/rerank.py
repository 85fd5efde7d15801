"""From the best items to a good list: variety, caps, places kept for the new, rest for the tired.

All take and give orders of item numbers, best first; none invents or repeats an item.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from algorithms.types import Array, Float32, Int32


def mmr(order: Int32, relevance: Float32, vectors: Float32, k: int, trade_off: float) -> Int32:
    """Maximal marginal relevance: Carbonell and Goldstein, "The Use of MMR" (SIGIR 1998). The first min(k, c) items.

    `relevance` (c,) ≥ 0 and `vectors` (c, d) belong to the candidates in `order` (c,). Each step takes the item with the largest
    trade_off · relevance / max(relevance) - (1 - trade_off) · largest cosine to an item taken; 1 keeps the order.
    """
    if not 0.0 <= trade_off <= 1.0:
        raise ValueError(f"trade_off must lie in 0..1, not {trade_off}")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)
    gain = trade_off * relevance / max(float(relevance.max(initial=0.0)), 1e-12)
    closest = np.zeros(len(order))
    left = np.ones(len(order), np.bool_)
    taken: list[int] = []
    while len(taken) < min(k, len(order)):
        value = np.where(left, gain - (1.0 - trade_off) * closest, -np.inf)
        best = int(value.argmax())
        taken.append(best)
        left[best] = False
        closest = np.maximum(closest, unit @ unit[best])
    return order[taken]


def cap_per_group(order: Int32, groups: Array, cap: int) -> Int32:
    """At most `cap` items of a group first; those beyond it follow at the end, so that a list never gets shorter.

    `groups` (n_items,) by item number; group -1 is no group and has no cap.
    """
    if cap < 1:
        raise ValueError(f"cap must be 1 or more, not {cap}")
    used: dict[int, int] = {}
    within = np.ones(len(order), np.bool_)
    for place, item in enumerate(order.tolist()):
        group = int(groups[item])
        if group >= 0:
            used[group] = used.get(group, 0) + 1
            within[place] = used[group] <= cap
    return np.concatenate([order[within], order[~within]])


def reserve_slots(order: Int32, reserved: Int32, slots: Sequence[int]) -> Int32:
    """Put `reserved` items, best first, at these ranks (from 1), the others around them.

    A reserved item that stands higher by itself stays there and uses up no slot. Without enough reserved items, later
    slots go to the others.
    """
    result: list[int] = []
    kept, others = deque(reserved.tolist()), deque(order.tolist())
    wanted = frozenset(slots)
    placed: set[int] = set()
    while kept or others:
        turn = kept if kept and (len(result) + 1 in wanted or not others) else others
        item = turn.popleft()
        if item not in placed:
            placed.add(item)
            result.append(item)
    return np.array(result, np.int32)


def fatigue(scores: Float32, ignored: Mapping[int, int], strength: float = 0.3) -> Float32:
    """Scores of items shown `ignored[item]` times without a click, divided by 1 + strength · times."""
    tired = scores.copy()
    for item, times in ignored.items():
        if 0 <= item < len(tired):
            tired[item] /= 1.0 + strength * times
    return tired


def explore(order: Int32, share: float, k: int, rng: np.random.Generator) -> Int32:
    """Give each of the first k places with probability `share` to an item from below them, drawn by chance.

    Candidates are the rest of `order`: explored items are good ones that never get shown, not any.
    """
    result = order.copy()
    below = list(range(min(k, len(order)), len(order)))
    for place in range(min(k, len(order))):
        if below and rng.random() < share:
            other = below.pop(int(rng.integers(len(below))))
            result[place], result[other] = result[other], result[place]
    return result
