"""Measures of a ranking. Per case they take the ranks (from 1, ties at their mean) of that case's relevant items.

A case has one relevant item or more; rows of `ranks` are grouped by `cases`. Formulas: Järvelin and Kekäläinen,
"Cumulated gain-based evaluation of IR techniques" (2002) for NDCG; Voorhees (1999) for reciprocal rank; Castells, Hurley
and Vargas, "Novelty and Diversity in Recommender Systems" (2015) for novelty.
"""

from __future__ import annotations

import numpy as np

from algorithms.types import Bool, Float64, Int32, Int64


def recall(ranks: Float64, cases: Int64, n_cases: int, k: int) -> Float64:
    """(n_cases,): share of a case's relevant items among its first k. NaN for a case without relevant items."""
    hits = np.bincount(cases, weights=ranks <= k, minlength=n_cases)
    relevant = np.bincount(cases, minlength=n_cases)
    return _divide(hits, relevant)


def hit_rate(ranks: Float64, cases: Int64, n_cases: int, k: int) -> Float64:
    """(n_cases,): 1 if any relevant item is among the first k, else 0. NaN without relevant items."""
    hits = np.bincount(cases, weights=ranks <= k, minlength=n_cases)
    return _where_relevant((hits > 0).astype(np.float64), cases, n_cases)


def mrr(ranks: Float64, cases: Int64, n_cases: int, k: int) -> Float64:
    """(n_cases,): 1 / rank of the first relevant item, 0 beyond k. NaN without relevant items."""
    best = np.full(n_cases, np.inf)
    np.minimum.at(best, cases, ranks)
    return _where_relevant(np.where(best <= k, 1.0 / best, 0.0), cases, n_cases)


def ndcg(ranks: Float64, cases: Int64, n_cases: int, k: int) -> Float64:
    """(n_cases,): Σ 1 / log2(rank + 1) over relevant items within k, over the largest such sum. NaN without any."""
    gain = np.bincount(
        cases, weights=np.where(ranks <= k, 1.0 / np.log2(ranks + 1.0), 0.0), minlength=n_cases
    )
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
    relevant = np.bincount(cases, minlength=n_cases)
    return _divide(gain, ideal[np.minimum(relevant, k)])


def _where_relevant(values: Float64, cases: Int64, n_cases: int) -> Float64:
    return np.where(np.bincount(cases, minlength=n_cases) > 0, values, np.nan)


def _divide(numerator: Float64 | Int64, denominator: Float64 | Int64) -> Float64:
    undefined = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)


def coverage(exposure: Int64 | Float64) -> float:
    """Share of the catalogue that stands in at least one list; `exposure` (n_items,) counts how often each item does."""
    return float(np.mean(exposure > 0)) if len(exposure) else 0.0


def novelty(exposure: Int64 | Float64, popularity: Int64 | Float64) -> float:
    """Mean surprise, in bits, of what was listed: -log2 of an item's share of all interactions (one added to each)."""
    if not exposure.sum():
        return 0.0
    share = (popularity + 1.0) / (popularity + 1.0).sum()
    return float((exposure * -np.log2(share)).sum() / exposure.sum())


def gini(exposure: Int64 | Float64) -> float:
    """Inequality of exposure: 0 = every item is listed equally often, towards 1 = one item takes every place."""
    ordered = np.sort(np.asarray(exposure, np.float64))
    if not ordered.sum():
        return 0.0
    n = len(ordered)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))


def repeat_share(lists: Int32, seen: Bool) -> float:
    """Share of listed items that the shopper has seen: `lists` (q, k) padded with -1, `seen` (q, n_items)."""
    listed = lists >= 0
    if not listed.any():
        return 0.0
    known = np.take_along_axis(seen, np.where(listed, lists, 0), axis=1) & listed
    return float(known.sum() / listed.sum())


def diversity(lists: Int32, group: Int32) -> float:
    """Mean share of pairs within a list that belong to different groups (`group` (n_items,), such as categories)."""
    shares = []
    for row in lists:
        members = group[row[row >= 0]]
        n = len(members)
        if n > 1:
            same = (np.unique(members, return_counts=True)[1] ** 2).sum() - n
            shares.append(1.0 - same / (n * (n - 1)))
    return float(np.mean(shares)) if shares else 0.0
