"""Impossible prices: nothing or less, ten or a hundred times what the product costs, or in another currency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Final

from accounts.models import Store
from catalog.models import Product
from catalog.money import from_minor_units
from tracking.models import Finding, FindingKind, ObservedPrice
from tracking.services.findings import FindingDraft

LOOK_BACK: Final = timedelta(days=3)
JUMP: Final = Decimal(10)
# Near a hundred: cents in the place of euros, or the other way round. Prices may have moved a little meanwhile.
HUNDREDFOLD: Final = (Decimal(70), Decimal(140))
# So often a product must have been seen at other prices before they speak against a new one.
FEWEST_SEEN: Final = 5
# More of the same fault is one fault of the sender, and one finding.
MOST_SINGLE: Final = 20
_CHUNK_PRODUCTS: Final = 2_000
_MOST_EVIDENCE: Final = 50


class Fault(StrEnum):
    NOTHING = "nothing"
    MINOR_UNITS = "minor_units"
    JUMP = "jump"
    CURRENCY = "currency"


@dataclass(frozen=True)
class OddPrice:
    """`usual`: what the catalogue says, else the median of what was told before; None for a currency."""

    fault: Fault
    told: ObservedPrice
    currency: str
    usual: Decimal | None


def price_findings(store: Store, now: datetime) -> list[FindingDraft]:
    """Of prices that were told in the last LOOK_BACK."""
    since = now - LOOK_BACK
    odd: dict[Fault, list[OddPrice]] = defaultdict(list)
    for one in _odd_prices(store, since):
        odd[one.fault].append(one)
    drafts: list[FindingDraft] = []
    for fault, found in odd.items():
        if fault is Fault.CURRENCY:
            drafts += _by_currency(store, found)
        elif len(found) > MOST_SINGLE:
            drafts.append(_together(fault, found))
        else:
            drafts += [_single(one) for one in found]
    return drafts


def _odd_prices(store: Store, since: datetime) -> Iterator[OddPrice]:
    seen = ObservedPrice.objects.for_store(store).filter(last_seen_at__gte=since)
    product_ids = sorted(set(seen.values_list("product_id", flat=True)))
    for first in range(0, len(product_ids), _CHUNK_PRODUCTS):
        chunk = product_ids[first : first + _CHUNK_PRODUCTS]
        catalogue = {
            product.external_id: product
            for product in Product.objects.for_store(store)
            .filter(external_id__in=chunk)
            .only("external_id", "price_minor_units", "list_price_minor_units", "currency", "store_id")
        }
        rows = (
            ObservedPrice.objects.for_store(store).filter(product_id__in=chunk).order_by("product_id", "pk")
        )
        for product_id, told in groupby(rows, key=lambda row: row.product_id):
            yield from _judge(store, catalogue.get(product_id), list(told), since)


def _judge(
    store: Store, product: Product | None, told: Sequence[ObservedPrice], since: datetime
) -> Iterator[OddPrice]:
    expected_currency = product.currency if product else store.currency
    for row in told:
        if row.last_seen_at < since:
            continue
        currency = row.currency or expected_currency
        if currency not in (expected_currency, store.currency):
            yield OddPrice(Fault.CURRENCY, row, currency, None)
            continue
        references = list(_references(product, told, row, currency))
        fault = judged(row.price, references)
        if fault is not None:
            yield OddPrice(fault, row, currency, references[0] if references else None)


def _references(
    product: Product | None, told: Sequence[ObservedPrice], row: ObservedPrice, currency: str
) -> Iterator[Decimal]:
    """Prices of the product that the new one may be like: the catalogue's, then the usual one of its history."""
    if product is not None and product.currency == currency:
        yield from_minor_units(product.price_minor_units, currency)
        if product.list_price_minor_units:
            yield from_minor_units(product.list_price_minor_units, currency)
    others = {
        other.price: other.count
        for other in told
        if other.pk != row.pk
        and (other.currency or currency) == currency
        and other.first_seen_at < row.first_seen_at
    }
    if sum(others.values()) >= FEWEST_SEEN:
        yield _weighted_median(others)


def _weighted_median(values: Mapping[Decimal, int]) -> Decimal:
    half, seen = sum(values.values()) / 2, 0
    for value in sorted(values):
        seen += values[value]
        if seen >= half:
            return value
    raise ValueError("the median of nothing")


def judged(price: Decimal, references: Iterable[Decimal]) -> Fault | None:
    """What is wrong with the price: nothing where one of the references is within a factor of ten of it. A free product
    is not wrong where it is free in the catalogue, and without any reference only nothing or less is."""
    known = list(references)
    if price <= 0:
        return Fault.NOTHING if price < 0 or all(known) else None
    factors = [max(price / other, other / price) for other in known if other > 0]
    if not factors or min(factors) < JUMP:
        return None
    low, high = HUNDREDFOLD
    return Fault.MINOR_UNITS if any(low <= factor <= high for factor in factors) else Fault.JUMP


_SAYS: Final[Mapping[Fault, str]] = {
    Fault.NOTHING: "a price of nothing or less",
    Fault.MINOR_UNITS: "about a hundred times more or less than usual: cents in the place of units, or the other way round",
    Fault.JUMP: "ten times more or less than usual",
}


def _single(one: OddPrice) -> FindingDraft:
    told = one.told
    usual = f", usual is {one.usual.normalize():f} {one.currency}" if one.usual is not None else ""
    amount = f"{told.price.normalize():f} {one.currency}"
    return FindingDraft(
        FindingKind.IMPOSSIBLE_PRICE,
        f"{one.fault}:{told.product_id}:{told.currency}:{told.price.normalize():f}",
        f"Product {told.product_id} was told at {amount}{usual}: {_SAYS[one.fault]}.",
        severity=Finding.Severity.LOW if one.fault is Fault.NOTHING else Finding.Severity.MEDIUM,
        details={
            "fault": one.fault,
            "price": str(told.price.normalize()),
            "currency": one.currency,
            "usual_price": None if one.usual is None else str(one.usual.normalize()),
            "times_told": told.count,
        },
        evidence=[f"product:{told.product_id}", f"event:{told.event_id}"],
        observed_at=told.last_seen_at,
        began_at=told.first_seen_at,
        fingerprint=f"{one.fault}:{told.price.normalize():f}",
    )


def _together(fault: Fault, found: Sequence[OddPrice]) -> FindingDraft:
    newest = max(one.told.last_seen_at for one in found)
    return FindingDraft(
        FindingKind.IMPOSSIBLE_PRICE,
        f"{fault}:many",
        f"{len(found):,} products have {_SAYS[fault]}."
        if fault is Fault.NOTHING
        else f"{len(found):,} products were told at {_SAYS[fault]}.",
        severity=Finding.Severity.HIGH,
        details={
            "fault": fault,
            "products": len({one.told.product_id for one in found}),
            "times_told": sum(one.told.count for one in found),
        },
        evidence=_evidence(found),
        observed_at=newest,
        fingerprint=fault,
    )


def _by_currency(store: Store, found: Sequence[OddPrice]) -> Iterator[FindingDraft]:
    by_currency: dict[str, list[OddPrice]] = defaultdict(list)
    for one in found:
        by_currency[one.currency].append(one)
    for currency, members in sorted(by_currency.items()):
        products = {one.told.product_id for one in members}
        yield FindingDraft(
            FindingKind.IMPOSSIBLE_PRICE,
            f"{Fault.CURRENCY}:{currency}",
            f"Prices of {len(products):,} products were told in {currency}; the store sells in {store.currency}.",
            severity=Finding.Severity.MEDIUM,
            details={
                "fault": Fault.CURRENCY,
                "currency": currency,
                "products": len(products),
                "times_told": sum(one.told.count for one in members),
            },
            evidence=_evidence(members),
            observed_at=max(one.told.last_seen_at for one in members),
            fingerprint=currency,
        )


def _evidence(found: Sequence[OddPrice]) -> list[str]:
    newest = sorted(found, key=lambda one: one.told.last_seen_at, reverse=True)[: _MOST_EVIDENCE // 2]
    return [
        reference
        for one in newest
        for reference in (f"product:{one.told.product_id}", f"event:{one.told.event_id}")
    ]
