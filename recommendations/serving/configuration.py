"""What merchandisers set, as serving reads it: placements with their published weights, and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounts.models import Store
from algorithms.blend import METHODS, Method
from algorithms.candidate_features import IMPERSONAL
from recommendations.models import BlendVersion, BlendWeights, Density, MerchandisingRule, Placement
from recommendations.rerank_settings import NOTHING, RerankSettings
from recommendations.selectors.event_weights import event_weights
from recommendations.serving.bandits import BanditSettings, read_bandits
from segments.models import Segment

LITTLE, MUCH = 1, 5
"""Interactions from which a shopper's density is LITTLE and MUCH."""


def density_of(interactions: int) -> Density:
    if interactions >= MUCH:
        return Density.MUCH
    return Density.LITTLE if interactions >= LITTLE else Density.NOTHING


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one shelf and whom they are for: `everybody`, `segment VIP`, `segment VIP, 5 and more interactions`."""

    by_strategy: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class BlendSettings:
    """A version of a placement's weights. `rows` has an entry for (None, "")."""

    number: int
    normalisation: Method
    max_per_brand: int | None
    max_per_category: int | None
    diversity: float
    rows: Mapping[tuple[int | None, str], Mapping[str, float]]
    segment_names: Mapping[int, str]
    rerank: RerankSettings = NOTHING

    def weights_for(self, segments: Sequence[int], density: Density) -> Weights:
        """`segments` are the shopper's, the one that counts first. The order of choice is that of BlendWeights."""
        for segment in segments:
            for known in (density, Density.ANY):
                if (segment, known) in self.rows:
                    return Weights(self.rows[segment, known], self._source(segment, known))
        for known in (density, Density.ANY):
            if (None, known) in self.rows:
                return Weights(self.rows[None, known], self._source(None, known))
        return Weights({}, "nobody: the version has no weights")

    def _source(self, segment: int | None, density: Density) -> str:
        who = "everybody" if segment is None else f"segment {self.segment_names.get(segment, segment)}"
        return who if density == Density.ANY else f"{who}, {density.label.lower()}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A merchandising rule. Category rules reach the whole subtree. Times in Unix seconds, None = open."""

    pk: int
    name: str
    action: str
    placement_id: int | None
    product_id: int | None
    category_id: int | None
    brand_id: int | None
    factor: float
    rank: int | None
    starts_at: float | None
    ends_at: float | None

    def applies(self, placement_id: int, now: float) -> bool:
        return (
            self.placement_id in (None, placement_id)
            and (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
        )


@dataclass(frozen=True, slots=True)
class PlacementSettings:
    pk: int
    slug: str
    heading: str
    fallback_heading: str
    kind: str
    size: int
    deadline_ms: int
    excludes_purchased: bool
    excludes_viewed: bool
    tops_up: bool
    is_about_page: bool
    blend: BlendSettings | None
    bandit: BanditSettings | None = None
    uses_learned_reranker: bool = True

    @property
    def reads_profile(self) -> bool:
        """Whether anything of the shelf hangs on what the shopper did lately. If not, it hangs on their card alone."""
        return not self.is_about_page or self.excludes_purchased or self._reads_who_asks

    @property
    def is_alike_for_all(self) -> bool:
        """Whether shoppers whose cards say the same of them (see `shelf_key`) get the same shelf, whatever they did."""
        return not self.reads_profile or (
            self._is_of_trends
            and not (self.excludes_purchased or self.excludes_viewed or self._reads_who_asks)
        )

    @property
    def _reads_who_asks(self) -> bool:
        """A bandit draws for each shopper; reranking may look at what they saw, how much they buy, and who they are."""
        return self.bandit is not None or (self.blend is not None and self.blend.rerank.is_on)

    @property
    def _is_of_trends(self) -> bool:
        """One strategy that tells everybody the same, under one heading, however much is known of the shopper."""
        if self.blend is None or self.heading != self.fallback_heading:
            return False
        strategies = {name for row in self.blend.rows.values() for name in row}
        densities = {density for _, density in self.blend.rows}
        return len(strategies) == 1 and strategies <= IMPERSONAL and densities == {Density.ANY}


@dataclass(frozen=True)
class Configuration:
    """`holdout_share` is the share of shoppers, 0 to 1, who get popular products."""

    placements: Mapping[str, PlacementSettings]
    rules: tuple[Rule, ...]
    event_weights: Mapping[str, float]
    holdout_share: float

    @property
    def needs_shown(self) -> bool:
        """Whether any shelf lets products rest that were shown in vain."""
        return any(p.blend is not None and p.blend.rerank.fatigue > 0 for p in self.placements.values())

    def rules_for(self, placement_id: int, now: float) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.applies(placement_id, now))


def read_configuration(store_id: int) -> Configuration:
    """Active placements, rules and weights of events; seven queries."""
    segment_names = dict(Segment.objects.for_store(store_id).values_list("pk", "name"))
    published = (
        BlendVersion.objects.for_store(store_id)
        .filter(state=BlendVersion.State.PUBLISHED)
        .prefetch_related("weights")
    )
    blends = {version.placement_id: blend_settings(version, segment_names) for version in published}
    bandits = read_bandits(store_id, lambda version: blend_settings(version, segment_names))
    placements = {
        placement.slug: placement_settings(placement, blends.get(placement.pk), bandits.get(placement.pk))
        for placement in Placement.objects.for_store(store_id).filter(is_active=True)
    }
    rules = MerchandisingRule.objects.for_store(store_id).filter(is_active=True).order_by("pk")
    return Configuration(
        placements,
        tuple(_rule(rule) for rule in rules),
        event_weights(store_id),
        Store.objects.values_list("holdout_share", flat=True).get(pk=store_id),
    )


def blend_settings(version: BlendVersion, segment_names: Mapping[int, str]) -> BlendSettings:
    return BlendSettings(
        number=version.number,
        normalisation=method_named(version.normalisation),
        max_per_brand=version.max_per_brand,
        max_per_category=version.max_per_category,
        diversity=version.diversity,
        rows={(row.segment_id, row.density): _positive(row) for row in version.weights.all()},
        segment_names=segment_names,
        rerank=RerankSettings.read(version.rerank),
    )


def method_named(name: str) -> Method:
    """Unknown names, from an older or newer version, count as the usual one."""
    return next((method for method in METHODS if method == name), "max")


def _positive(row: BlendWeights) -> dict[str, float]:
    return {name: float(weight) for name, weight in row.weights.items() if weight > 0}


def placement_settings(
    placement: Placement, blend: BlendSettings | None, bandit: BanditSettings | None = None
) -> PlacementSettings:
    return PlacementSettings(
        pk=placement.pk,
        slug=placement.slug,
        heading=placement.heading,
        fallback_heading=placement.fallback_heading,
        kind=placement.kind,
        size=placement.size,
        deadline_ms=placement.deadline_ms,
        excludes_purchased=placement.excludes_purchased,
        excludes_viewed=placement.excludes_viewed,
        tops_up=placement.tops_up,
        is_about_page=placement.is_about_page,
        blend=blend,
        bandit=bandit,
        uses_learned_reranker=placement.uses_learned_reranker,
    )


def _rule(rule: MerchandisingRule) -> Rule:
    return Rule(
        pk=rule.pk,
        name=rule.name,
        action=rule.action,
        placement_id=rule.placement_id,
        product_id=rule.product_id,
        category_id=rule.category_id,
        brand_id=rule.brand_id,
        factor=rule.factor,
        rank=rule.rank,
        starts_at=rule.starts_at.timestamp() if rule.starts_at else None,
        ends_at=rule.ends_at.timestamp() if rule.ends_at else None,
    )
