from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownShopper:
    """What the database says of a shopper. Empty in everything where shelves may not be made for them.

    `key` names the person for good (`c:<customer>` or `v:<visitor>`, primary keys): the control group hangs on it.
    `segments` are primary keys, the one that counts first. `purchased` and `forgotten` are products' external ids.
    `features` are the customer's features as training names them, `interests` (kind, value) pairs of their own statement.
    """

    may_personalise: bool = False
    key: str = ""
    visitor_ids: tuple[int, ...] = ()
    customer_pk: int | None = None
    segments: tuple[int, ...] = ()
    purchased: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    interests: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> KnownShopper:
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        known = cls(**{**fields, **lists})
        return replace(known, interests=tuple((kind, value) for kind, value in known.interests))


NOBODY_KNOWN = KnownShopper()
