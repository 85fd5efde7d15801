"""What was measured, as it travels from the process that measures to the report. Times in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Erasure:
    """One person erased: `seconds` to the receipt; `own` until they were gone from every table, Valkey, the vault and the ledgers, and
    hidden in every model version, whose files are then written anew. `parts`: seconds by processor; `deleted` and `kept` are rows."""

    size: str
    seconds: float
    own: float
    parts: dict[str, float]
    deleted: int
    kept: int


@dataclass(frozen=True)
class Export:
    """One access request, from asking to the ZIP. `events` rows of the log stand in it."""

    seconds: float
    events: int
    archive_bytes: int
    parts: dict[str, float]


@dataclass(frozen=True)
class Figures:
    """One shop. `through_workers`: seconds from asking for an erasure to its receipt, by Celery. `restriction` is until the gate
    refuses, `rectification` until the profile says the new value. `ledger` are entries that were verified, in `ledger_seconds`."""

    events: int
    customers: int
    model_bytes: int
    made_seconds: float
    erasures: list[Erasure] = field(default_factory=list)
    through_workers: list[float] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    rectification: list[float] = field(default_factory=list)
    restriction: list[float] = field(default_factory=list)
    ledger: int = 0
    ledger_seconds: float = 0.0
    is_ledger_intact: bool = False

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Figures:
        return cls(
            **{
                **told,
                "erasures": [Erasure(**each) for each in told["erasures"]],
                "exports": [Export(**each) for each in told["exports"]],
            }
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def median(self) -> float:
        """Of `own`, over all sizes."""
        return median(each.own for each in self.erasures)

    @property
    def worst(self) -> float:
        return max(each.own for each in self.erasures)

    @property
    def worst_whole(self) -> float:
        return max(each.seconds for each in self.erasures)

    @property
    def worst_export(self) -> float:
        return max(each.seconds for each in self.exports)

    @property
    def verified_per_second(self) -> float:
        return self.ledger / self.ledger_seconds if self.ledger_seconds else 0.0
