"""Merchandisers' rules: pin, boost, bury, hide. Compiled once for an assortment and a set of rules, then a multiplication."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from algorithms.types import Bool, Float32
from recommendations.models import MerchandisingRule
from recommendations.serving.assortment import Assortment
from recommendations.serving.configuration import Rule

Action = MerchandisingRule.Action


@dataclass(frozen=True)
class CompiledRules:
    """`factor` (n,) multiplies scores, `hidden` (n,) leave the shelf, `pins` are (rank from 1, place), by rank."""

    factor: Float32 | None
    hidden: Bool | None
    pins: tuple[tuple[int, int], ...]
    matches: tuple[tuple[Rule, Bool], ...]

    def names_for(self, place: int) -> tuple[str, ...]:
        """What moved the product, for explanations: `Boost own brand (boost × 1.5)`."""
        return tuple(
            _describe(rule) for rule, mask in self.matches if mask[place] and rule.action != Action.HIDE
        )


_compiled: WeakKeyDictionary[Assortment, dict[tuple[Rule, ...], CompiledRules]] = WeakKeyDictionary()
MAX_COMPILED = 32


def compile_rules(assortment: Assortment, rules: tuple[Rule, ...]) -> CompiledRules:
    """Rules that name nothing match nothing: a boost of everything is a mistake, not a wish."""
    of_assortment = _compiled.setdefault(assortment, {})
    if rules not in of_assortment:
        if len(of_assortment) >= MAX_COMPILED:
            of_assortment.clear()
        of_assortment[rules] = _compile(assortment, rules)
    return of_assortment[rules]


def _compile(assortment: Assortment, rules: tuple[Rule, ...]) -> CompiledRules:
    matches = tuple((rule, _matches(assortment, rule)) for rule in rules)
    factor = np.ones(len(assortment), np.float32)
    hidden = np.zeros(len(assortment), np.bool_)
    for rule, mask in matches:
        if rule.action == Action.HIDE:
            hidden |= mask
        elif rule.action == Action.BOOST:
            factor[mask] *= rule.factor
        elif rule.action == Action.BURY:
            factor[mask] /= max(rule.factor, 1e-6)
    return CompiledRules(
        factor=None if (factor == 1.0).all() else factor,
        hidden=hidden if hidden.any() else None,
        pins=_pins(matches),
        matches=matches,
    )


def _pins(matches: tuple[tuple[Rule, Bool], ...]) -> tuple[tuple[int, int], ...]:
    """A pin by category or brand takes as many ranks as it has products, from its own on; the shelf's length ends it."""
    pins = []
    for rule, mask in matches:
        if rule.action == Action.PIN:
            first = rule.rank or 1
            pins += [(first + n, int(place)) for n, place in enumerate(np.flatnonzero(mask))]
    return tuple(sorted(pins, key=lambda pin: pin[0]))


def _matches(assortment: Assortment, rule: Rule) -> Bool:
    """A rule that names several things matches what fits all of them."""
    conditions = []
    if rule.product_id is not None:
        conditions.append(_is_product(assortment, rule.product_id))
    if rule.category_id is not None:
        conditions.append(np.isin(assortment.category, list(assortment.taxonomy.below(rule.category_id))))
    if rule.brand_id is not None:
        conditions.append(assortment.brand == rule.brand_id)
    if not conditions:
        return np.zeros(len(assortment), np.bool_)
    return np.logical_and.reduce(conditions)


def _is_product(assortment: Assortment, primary_key: int) -> Bool:
    found = [
        place
        for place, product in enumerate(assortment.products)
        if product is not None and product.pk == primary_key
    ]
    mask = np.zeros(len(assortment), np.bool_)
    mask[found] = True
    return mask


def _describe(rule: Rule) -> str:
    if rule.action == Action.PIN:
        return f"{rule.name} (pin to rank {rule.rank or 1})"
    sign = "×" if rule.action == Action.BOOST else "÷"
    return f"{rule.name} ({rule.action} {sign} {rule.factor:g})"
