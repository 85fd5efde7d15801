"""From a log to what may be learned from it and what is asked afterwards. Nothing after a case's moment is in its query.

Splits are by time wherever there is time: what others do later must not leak into training (Ji et al., "A Critical Study
on Data Leakage in Recommender System Offline Evaluation", TOIS 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from algorithms.evaluation import TestCase
from algorithms.types import Array, Float64, Int32, Int64, Query, TrainingData

HISTORY_LENGTH = 300
"""Newest interactions that a query carries."""


@dataclass(frozen=True)
class Timeline:
    """The log by user and time: row r of user u is offsets[u] ≤ r < offsets[u + 1]."""

    data: TrainingData
    order: Int64  # rows of data, sorted by (user, timestamp)
    offsets: Int64  # (n_users + 1,)

    @classmethod
    def of(cls, data: TrainingData) -> Timeline:
        order = np.lexsort((data.session, data.timestamp, data.user))
        return cls(
            data, order, np.searchsorted(data.user[order], np.arange(data.n_users + 1)).astype(np.int64)
        )

    def query(self, user: int, end: int, now: float) -> Query:
        """The shopper as known before their row `end` (a position in the timeline), asked at `now`.

        The session of row `end` is open if an earlier row belongs to it.
        """
        start = max(int(self.offsets[user]), end - HISTORY_LENGTH)
        rows = self.order[start:end]
        data = self.data
        asked_in = data.session[self.order[end]] if end < self.offsets[user + 1] else -1
        earlier = data.session[rows] != asked_in
        return Query(
            items=data.item[rows],
            weights=data.weight[rows],
            timestamps=data.timestamp[rows],
            session_start=int(np.flatnonzero(earlier)[-1]) + 1 if earlier.any() else 0,
            purchased=data.basket[rows] >= 0,
            now=now,
            user_features=None if data.user_features is None else data.user_features[[user]],
        )

    def seen(self, user: int, end: int) -> Int32 | None:
        """All that the shopper had met before their row `end`; None where the query says it all."""
        start = int(self.offsets[user])
        return None if end - start <= HISTORY_LENGTH else np.unique(self.data.item[self.order[start:end]])


def split_by_time(
    data: TrainingData, cutoff: float, *, until: float = np.inf
) -> tuple[TrainingData, list[TestCase]]:
    """Everything before `cutoff` (Unix seconds) to learn from; for each user with interactions from there to `until` one
    case: their history before the cutoff, and all distinct items after it."""
    timeline = Timeline.of(data)
    cases = []
    for user in range(data.n_users):
        rows = timeline.order[timeline.offsets[user] : timeline.offsets[user + 1]]
        before, after = np.searchsorted(data.timestamp[rows], [cutoff, until])
        if after > before:
            end = int(timeline.offsets[user] + before)
            cases.append(
                TestCase(
                    _before_cutoff(timeline.query(user, end, cutoff)),
                    np.unique(data.item[rows[before:after]]),
                    user,
                    timeline.seen(user, end),
                )
            )
    return _until(data, cutoff), cases


def _before_cutoff(query: Query) -> Query:
    """No session is open at a cutoff that nobody knew of."""
    return replace(query, session_start=len(query.items))


def next_choices(
    data: TrainingData, cutoff: float, *, limit: int | None = None, rng: np.random.Generator
) -> tuple[TrainingData, list[TestCase]]:
    """Everything before `cutoff` to learn from; for each occasion after it one case: the shopper's history up to then, and
    the items of the occasion.

    An occasion is one moment of one user: in browsing the next click, in basket shops the next basket. `limit` cases are
    drawn at random; without history before it an occasion is a case too, with an empty query.
    """
    timeline = Timeline.of(data)
    user, moment = data.user[timeline.order], data.timestamp[timeline.order]
    begins = (
        np.r_[True, (np.diff(user) != 0) | (np.diff(moment) != 0)] if len(user) else np.zeros(0, np.bool_)
    )
    starts = np.flatnonzero(begins)
    ends = np.r_[starts[1:], len(user)]
    picked = np.flatnonzero(moment[starts] >= cutoff)
    if limit is not None and len(picked) > limit:
        picked = np.sort(rng.choice(picked, limit, replace=False))
    cases = [
        TestCase(
            timeline.query(int(user[starts[p]]), int(starts[p]), float(moment[starts[p]])),
            np.unique(data.item[timeline.order[starts[p] : ends[p]]]),
            int(user[starts[p]]),
            timeline.seen(int(user[starts[p]]), int(starts[p])),
        )
        for p in picked
    ]
    return _until(data, cutoff), cases


class Leak(ValueError):
    """What is asked afterwards stands in what is learned from."""


def refuse_leak(train: TrainingData, cases: Sequence[TestCase]) -> None:
    """Raise Leak if training holds an interaction of a case's shopper after the case's moment, or, at that very moment, with an
    item that is asked for and was not known; and for shoppers without a number (-1), if training goes on after the first case.
    """
    moment = np.full(train.n_users, np.inf)
    for case in cases:
        if case.user >= 0:
            moment[case.user] = min(moment[case.user], case.query.now)
    anonymous = min((case.query.now for case in cases if case.user < 0), default=np.inf)
    later = train.timestamp > np.minimum(moment[train.user], anonymous)
    if later.any():
        raise Leak(
            f"{int(later.sum())} interactions of the training part lie after the moment that shoppers are asked at: "
            "cut the training part off before its tests"
        )
    asked = {
        (case.user, item)
        for case in cases
        if case.user >= 0
        for item in np.setdiff1d(case.targets, case.seen_items).tolist()
    }
    at_the_moment = np.flatnonzero(train.timestamp == moment[train.user])
    found = [row for row in at_the_moment.tolist() if (int(train.user[row]), int(train.item[row])) in asked]
    if found:
        raise Leak(
            f"{len(found)} choices that are asked for stand in the training part, such as item {int(train.item[found[0]])} of "
            f"shopper {int(train.user[found[0]])}: take them out"
        )


def cutoff_for(data: TrainingData, share: float) -> float:
    """Unix seconds after which `share` (0..1) of the interactions lie."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    if not len(data):
        raise ValueError("the log is empty: there is nothing to split")
    return float(np.quantile(data.timestamp, 1.0 - share))


def leave_last_out(data: TrainingData) -> tuple[TrainingData, list[TestCase]]:
    """Of each user with two interactions or more the last is a case, asked with all before it; the rest is training.

    Done again on the training part, it gives a validation slice before the test.
    """
    timeline = Timeline.of(data)
    held_out = np.zeros(len(data), np.bool_)
    cases: list[TestCase] = []
    for user in np.flatnonzero(np.diff(timeline.offsets) > 1).tolist():
        last = int(timeline.offsets[user + 1]) - 1
        row = timeline.order[last]
        query = timeline.query(user, last, float(data.timestamp[row]))
        cases.append(TestCase(query, data.item[[row]], user, timeline.seen(user, last)))
        held_out[row] = True
    return data.select(~held_out), cases


def _until(data: TrainingData, cutoff: float) -> TrainingData:
    return replace(data.select(data.timestamp < cutoff), now=min(cutoff, data.now))


def sessionise(user: Int32, timestamp: Float64, gap_seconds: float) -> Int32:
    """(n,): session number of each row, sorted by user, then time; a pause longer than the gap begins a new session."""
    if not len(user):
        return np.empty(0, np.int32)
    begins: Array = (np.diff(user) != 0) | (np.diff(timestamp) > gap_seconds)
    return np.concatenate([[0], np.cumsum(begins)]).astype(np.int32)
