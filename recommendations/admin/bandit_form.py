"""What the page of a bandit offers to try, and what it posts, read into a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.http import QueryDict

from recommendations.admin.measuring import proposal_for, with_proposal
from recommendations.admin.strategies import STRATEGY_TEXTS, StrategyText, text_of
from recommendations.models import Bandit, BlendVersion, Placement
from recommendations.services.bandit_arms import arms_of_bounds, published_arm, version_arm
from recommendations.services.bandits import ArmPlan, BanditPlan, Bounds
from recommendations.services.blends import EVERYBODY, MAX_WEIGHT

OTHER_VERSIONS: Final = 4
EPOCHS: Final = {"6": "6 hours", "24": "a day", "72": "3 days", "168": "a week"}
WINDOWS: Final = {"1": "an hour", "24": "a day", "72": "3 days", "168": "a week"}


@dataclass(frozen=True)
class Offer:
    """An arm that could be tried. `key` names its box; today's weights are tried in any case."""

    key: str
    arm: ArmPlan
    is_chosen: bool
    is_fixed: bool = False


@dataclass(frozen=True)
class Range:
    """A strategy with its weight for everybody today, and the bounds as the form has them (empty: free)."""

    text: StrategyText
    weight: float
    low: str
    high: str
    tries_more: bool
    tries_less: bool
    is_silent: bool


@dataclass(frozen=True)
class Form:
    offers: Sequence[Offer]
    ranges: Sequence[Range]
    values: Mapping[str, str]

    @property
    def loud(self) -> list[Range]:
        return [each for each in self.ranges if not each.is_silent]

    @property
    def silent(self) -> list[Range]:
        return [each for each in self.ranges if each.is_silent]

    @property
    def is_silent_touched(self) -> bool:
        return any(each.low or each.high or each.tries_more for each in self.silent)


DEFAULTS: Final[Mapping[str, str]] = {
    "goal": Bandit.Goal.CLICKS,
    "order_value": "10",
    "minimum_share": "5",
    "epoch_hours": "24",
    "reward_window_hours": "24",
    "half_life_days": "",
}


def blank_form(placement: Placement) -> Form:
    """What is offered at first: today's weights, the open draft and the training's proposal, half and one and a half times today's
    weights as bounds, wide enough for what is offered. Raises ValidationError where nothing is published."""
    arms = _known_arms(placement)
    today = arms["today"].draft.rows[EVERYBODY]
    offers = [
        Offer(key, arm, key in ("today", "proposal") or key.startswith("draft:"), key == "today")
        for key, arm in arms.items()
    ]
    tried = [offer.arm.draft.rows[EVERYBODY] for offer in offers if offer.is_chosen]
    ranges = []
    for text in _texts(today):
        weight = today.get(text.name, 0.0)
        weights = [row.get(text.name, 0.0) for row in tried]
        low, high = min([0.5 * weight, *weights]), min(max([1.5 * weight, *weights]), MAX_WEIGHT)
        bounds = (f"{low:.2f}", f"{high:.2f}") if high > 0 else ("", "")
        ranges.append(Range(text, weight, *bounds, tries_more=False, tries_less=False, is_silent=not weight))
    return Form(offers, ranges, DEFAULTS)


def posted_form(placement: Placement, data: QueryDict) -> Form:
    """The form as it was posted, to be shown again."""
    arms = _known_arms(placement)
    today, chosen = arms["today"].draft.rows[EVERYBODY], set(data.getlist("arm"))
    ranges = [
        Range(
            text,
            weight := today.get(text.name, 0.0),
            data.get(f"low:{text.name}", ""),
            data.get(f"high:{text.name}", ""),
            f"more:{text.name}" in chosen,
            f"less:{text.name}" in chosen,
            is_silent=not weight,
        )
        for text in _texts(today)
    ]
    values = {name: data.get(name, default) for name, default in DEFAULTS.items()}
    offers = [Offer(key, arm, key in chosen or key == "today", key == "today") for key, arm in arms.items()]
    return Form(offers, ranges, values)


def read_plan(placement: Placement, data: QueryDict) -> BanditPlan:
    """The plan that was posted. Raises ValidationError for what is no number and for an arm that is not offered."""
    known = _known_arms(placement)
    bounds = _bounds(data)
    made = {}
    for strategy in bounds:
        for arm in arms_of_bounds(known["today"].draft, {strategy: bounds[strategy]}, _label):
            made[f"{'more' if arm.name.startswith('More') else 'less'}:{strategy}"] = arm
    arms = [known["today"]]
    for key in dict.fromkeys(data.getlist("arm")):
        if key == "today":
            continue
        found = known.get(key) or made.get(key)
        if found is None:
            raise ValidationError({"arms": [_not_there(key)]})
        arms.append(found)
    half_life = data.get("half_life_days", "").strip()
    return BanditPlan(
        arms=arms,
        goal=data.get("goal", ""),
        order_value=_number(data, "order_value", "What an order is worth"),
        minimum_share=_number(data, "minimum_share", "The least share") / 100,
        epoch_hours=int(_number(data, "epoch_hours", "How long shares stand still")),
        reward_window_hours=int(_number(data, "reward_window_hours", "How long clicks count")),
        half_life_days=_number(data, "half_life_days", "The half-life") if half_life else None,
        bounds=bounds,
    )


def _not_there(key: str) -> str:
    kind, _, strategy = key.partition(":")
    if kind in ("more", "less"):
        bound = "highest" if kind == "more" else "lowest"
        return f"{_label(strategy)}: give it a {bound} weight that differs from today's, or do not try it."
    return f"There is no arm {key!r} to try: load the page again."


def _label(strategy: str) -> str:
    return text_of(strategy).label


def _texts(today: Mapping[str, float]) -> list[StrategyText]:
    """Loud ones first, silent ones in the order of the tuning page."""
    names = [text.name for text in STRATEGY_TEXTS]
    texts = [*STRATEGY_TEXTS, *(text_of(name) for name in today if name not in names)]
    return sorted(texts, key=lambda text: -today.get(text.name, 0.0))


def _known_arms(placement: Placement) -> dict[str, ArmPlan]:
    """Key → arm: today's weights first, the training's proposal, then drafts and the newest other versions."""
    today = published_arm(placement)
    arms = {"today": today}
    proposal = proposal_for(placement)
    if proposal is not None:
        draft = with_proposal(today.draft, proposal)
        origin = f"training of version {proposal.version}, {proposal.change} there"
        arms["proposal"] = ArmPlan("Proposed weights", origin, draft)
    versions = placement.versions.exclude(state=BlendVersion.State.PUBLISHED).prefetch_related("weights")
    for version in versions.order_by("-number")[:OTHER_VERSIONS]:
        is_draft = version.state == BlendVersion.State.DRAFT
        arms[f"{'draft' if is_draft else 'version'}:{version.number}"] = version_arm(version)
    return arms


def _bounds(data: QueryDict) -> Bounds:
    """Strategies with a bound; a side that is left empty is open."""
    found = {}
    for text in [*STRATEGY_TEXTS, *(text_of(n.removeprefix("low:")) for n in data if n.startswith("low:"))]:
        low, high = data.get(f"low:{text.name}", "").strip(), data.get(f"high:{text.name}", "").strip()
        if low or high:
            found[text.name] = (
                _number(data, f"low:{text.name}", f"{text.label}, lowest") if low else 0.0,
                _number(data, f"high:{text.name}", f"{text.label}, highest") if high else MAX_WEIGHT,
            )
    return found


def _number(data: QueryDict, name: str, label: str) -> float:
    text = data.get(name, "").strip().replace(",", ".")
    try:
        return float(text)
    except ValueError:
        raise ValidationError({name: [f"{label}: {text!r} is not a number."]}) from None
