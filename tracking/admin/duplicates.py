"""What tracking knows to say in the review of two customer records."""

from __future__ import annotations

from accounts.admin.merges import Comparison, register_comparer
from accounts.models import Customer
from tracking.quality.duplicates import AGAINST, FOR, WORDS, compare


def _compared(first: Customer, second: Customer) -> Comparison:
    found = compare(first, second)
    return Comparison(
        score=found.score,
        speaks_for=[WORDS[kind] for kind in found.evidence if kind in FOR],
        speaks_against=[WORDS[kind] for kind in found.evidence if kind in AGAINST],
        kinds=found.evidence,
    )


register_comparer(_compared)
