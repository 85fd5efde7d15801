from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from profiles.reading import Stretch, Who


@dataclass(frozen=True, slots=True)
class KnownShopper:
    """What the database says of a shopper. Empty in everything where shelves may not be made for them.

    `may_be_measured`: what they see and click may be counted too, so that a bandit may draw an arm for them.
    `key` names the person for good (`c:<customer>` or `v:<visitor>`, primary keys): the control group hangs on it. `customer_pk` is
    the record that was asked for, `records` are all of the person's (several where staff merged them; the kept one first).
    `stretches` are the times (visitor, since, until) that visitors were this person, as `profiles.reading.Who` has them.
    `segments` are primary keys, the one that counts first. `purchased` and `forgotten` are products' external ids.
    `features` are the customer's features as training names them, `interests` (kind, value) pairs of their own statement.
    `value` is where their spending of a year stands among customers who bought, 0 to 1; None where that is not known.
    """

    may_personalise: bool = False
    may_be_measured: bool = False
    key: str = ""
    visitor_id: int | None = None
    customer_pk: int | None = None
    records: tuple[int, ...] = ()
    stretches: tuple[tuple[int, float, float], ...] = ()
    segments: tuple[int, ...] = ()
    purchased: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    interests: tuple[tuple[str, str], ...] = ()
    value: float | None = None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> KnownShopper:
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        known = cls(**{**fields, **lists})
        return replace(
            known,
            interests=tuple((kind, value) for kind, value in known.interests),
            stretches=tuple(
                (visitor, _moment(since, -1), _moment(until, 1)) for visitor, since, until in known.stretches
            ),
        )

    @property
    def who(self) -> Who:
        return Who(self.records, tuple(Stretch(*stretch) for stretch in self.stretches))


def _moment(value: float | None, open_end: int) -> float:
    """JSON has no infinity: an open end comes back as null."""
    return open_end * math.inf if value is None else float(value)


NOBODY_KNOWN = KnownShopper()
