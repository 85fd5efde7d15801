"""What a version of a placement's weights says about reranking: each parameter with its bounds and what merchandisers read of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class RerankSettings:
    """All zeros rerank nothing. Stored as JSON with the version (`BlendVersion.rerank`), zeros and defaults left out."""

    new_slots: int = 0
    new_days: int = 30
    new_interactions: int = 0
    exploration: float = 0.0
    fatigue: float = 0.0
    price_bands: float = 0.0
    value_bound: float = 0.0
    shopper_value: float = 0.0
    confidence: float = 0.0

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> RerankSettings:
        """Of what a version holds. What it does not know, and what is no number within its bounds, counts as the default:
        a row that an older or newer version wrote must not take shelves down."""
        return cls(
            **{p.name: p.cast(stored[p.name]) for p in PARAMETERS if p.is_possible(stored.get(p.name))}
        )

    @property
    def is_on(self) -> bool:
        return self != NOTHING

    def stored(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value != getattr(NOTHING, name)}

    def problems(self) -> dict[str, list[str]]:
        """Parameter → what is wrong with it."""
        values = ((p, getattr(self, p.name)) for p in PARAMETERS)
        return {p.name: [p.problem(value)] for p, value in values if not p.is_possible(value)}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`step` is the slider's; whole numbers only where it is whole. `unit` stands behind the number."""

    name: str
    label: str
    help: str
    minimum: float
    maximum: float
    step: float
    unit: str = ""

    @property
    def is_whole(self) -> bool:
        return self.step == int(self.step)

    def problem(self, value: Any) -> str:
        what = "a whole number" if self.is_whole else "a number"
        return f"“{self.label}” is {value}: give {what} from {self.minimum:g} to {self.maximum:g}."

    def is_possible(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return self.minimum <= value <= self.maximum and (not self.is_whole or value == int(value))

    def cast(self, value: float) -> Any:
        return int(value) if self.is_whole else float(value)


PARAMETERS: Final = (
    Parameter(
        "new_slots", "Places kept for new products",
        "At least so many new products stand on the shelf, spread over it, ranked among themselves. In one ranking with all others "
        "they would drown.", 0, 6, 1,
    ),
    Parameter("new_days", "New means in the shop for at most", "Counted from “published at”.", 1, 365, 1, "days"),
    Parameter(
        "new_interactions", "… or with fewer interactions than",
        "Also new, whatever their age: products that hardly anybody has come upon (a purchase counts several interactions, by its event "
        "weight). 0: age alone decides.", 0, 1000, 1,
    ),
    Parameter(
        "exploration", "Share of places left to chance",
        "Good products that never get shown stand there instead, the same all day for the same shopper. How likely each was is kept with "
        "its impression, so that what is learned from them can be honest. 0.05 is one place in twenty.", 0, 0.3, 0.01,
    ),
    Parameter(
        "fatigue", "Rest for what was shown in vain",
        "A score is divided by 1 + this × how often this shopper saw the product in the last two weeks without ever opening it. "
        "0.2: after five times it counts half. Only for shoppers who permit personalisation.", 0, 2, 0.05,
    ),
    Parameter(
        "price_bands", "Prices as they usually choose",
        "How strongly the shelf's mix of cheap and dear follows the shopper's own, category by category. 0: not at all; 1: at any price.",
        0, 1, 0.05,
    ),
    Parameter(
        "value_bound", "More margin: move scores by at most",
        "Within its category, the product that earns most has its score multiplied by 1 + this, the one that earns least divided by it. "
        "Needs products with a cost. 0.1 is gentle.", 0, 0.5, 0.01,
    ),
    Parameter(
        "shopper_value", "… and for shoppers who spend much",
        "More than 0: margin counts more for those who spend most in a year. Less than 0: it counts less, so that they see "
        "what they like best. Never beyond the bound above. Only for shoppers who permit personalisation.", -1, 1, 0.1,
    ),
    Parameter(
        "confidence", "Doubt what few have tried",
        "What strategies learned from shoppers counts half for a product with so many interactions, hardly less for one with "
        "many more. 0: everything counts in full.", 0, 100, 1, "interactions",
    ),
)  # fmt: skip
NOTHING: Final = RerankSettings()

assert {p.name for p in PARAMETERS} == {field.name for field in fields(RerankSettings)}
