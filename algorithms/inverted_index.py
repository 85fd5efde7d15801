"""Item sequences and the inverted index over them: what every neighbourhood strategy searches.

A sequence is one session, or the whole history of one user. Postings list an item's sequences newest first, so that
"the newest 5,000 sessions with this item" is a slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from algorithms.types import Array, Float64, Int32, Int64, TrainingData

Unit = Literal["session", "user"]
"""What a sequence is: one visit, or all that a person did. Where visits are short, as in reviews, only people have sequences."""


def sequences(data: TrainingData, unit: Unit) -> tuple[Int32, Float64, Int64]:
    """Items and timestamps of all sequences, oldest first, and where each sequence starts."""
    if unit == "session":
        return np.ascontiguousarray(data.item, np.int32), data.timestamp, data.session_offsets
    if unit == "user":
        order = np.lexsort((data.session, data.timestamp, data.user))
        offsets = np.searchsorted(data.user[order], np.arange(data.n_users + 1)).astype(np.int64)
        return data.item[order], data.timestamp[order], offsets
    raise ValueError(f"unknown unit {unit!r}: choose session or user")


@dataclass(frozen=True)
class SequenceIndex:
    """Sequences in CSR form with their postings. Sequence numbers are the caller's (session or user numbers)."""

    items: Int32  # (n,) items of sequence s, oldest first: items[offsets[s]:offsets[s + 1]]
    offsets: Int64  # (n_sequences + 1,)
    ended: Float64  # (n_sequences,) Unix seconds of the last interaction; -inf for an empty sequence
    posting_offsets: Int64  # (n_items + 1,)
    postings: Int32  # sequences of item i, newest first: postings[posting_offsets[i]:posting_offsets[i + 1]]

    @property
    def n_items(self) -> int:
        return len(self.posting_offsets) - 1

    @property
    def n_sequences(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, data: TrainingData, unit: Unit = "session") -> SequenceIndex:
        items, timestamps, offsets = sequences(data, unit)
        filled = np.diff(offsets) > 0
        ended = np.full(len(offsets) - 1, -np.inf)
        ended[filled] = timestamps[offsets[1:][filled] - 1]
        return cls.from_ended(items, offsets, ended, data.n_items)

    @classmethod
    def from_ended(cls, items: Int32, offsets: Int64, ended: Float64, n_items: int) -> SequenceIndex:
        newest_first = np.argsort(-ended, kind="stable")
        posting_offsets, postings = _postings(items, offsets, newest_first, n_items)
        return cls(items, offsets, ended, posting_offsets, postings)

    def append(self, other: SequenceIndex) -> SequenceIndex:
        """Both: the sequences of `other` are numbered after those of this one. Equal to an index built of all at once."""
        return SequenceIndex.from_ended(
            np.concatenate([self.items, other.items]),
            np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]),
            np.concatenate([self.ended, other.ended]),
            max(self.n_items, other.n_items),
        )

    def without(self, forgotten: Array) -> SequenceIndex:
        """The sequences where `forgotten` (n_sequences,) is true are emptied; numbers stay what they were."""
        lengths = np.diff(self.offsets)
        rows = np.repeat(~forgotten, lengths)
        offsets = np.concatenate([[0], np.cumsum(np.where(forgotten, 0, lengths))]).astype(np.int64)
        ended = np.where(forgotten, -np.inf, self.ended)
        return SequenceIndex.from_ended(self.items[rows], offsets, ended, self.n_items)

    def document_frequency(self) -> Int64:
        """(n_items,): in how many sequences each item occurs."""
        return np.diff(self.posting_offsets)

    def arrays(self) -> dict[str, Array]:
        return {
            "items": self.items,
            "offsets": self.offsets,
            "ended": self.ended,
            "posting_offsets": self.posting_offsets,
            "postings": self.postings,
        }


@numba.njit(nogil=True, cache=True)
def _postings(items: Int32, offsets: Int64, newest_first: Int64, n_items: int) -> tuple[Int64, Int32]:
    """A counting sort; an item that a sequence holds twice is listed once."""
    last_in = np.full(n_items, -1, np.int64)
    starts = np.zeros(n_items + 1, np.int64)
    for s in range(len(offsets) - 1):
        for row in range(offsets[s], offsets[s + 1]):
            if last_in[items[row]] != s:
                last_in[items[row]] = s
                starts[items[row] + 1] += 1
    for i in range(n_items):
        starts[i + 1] += starts[i]
    postings = np.empty(starts[n_items], np.int32)
    fill = starts[:-1].copy()
    last_in[:] = -1
    for s in newest_first:
        for row in range(offsets[s], offsets[s + 1]):
            item = items[row]
            if last_in[item] != s:
                last_in[item] = s
                postings[fill[item]] = s
                fill[item] += 1
    return starts, postings
