from __future__ import annotations

from datetime import date
from itertools import pairwise

from django.utils import timezone

from accounts.models import Customer

AGE_BANDS = (18, 25, 35, 45, 55, 65)


def customer_features(customer: Customer, *, today: date | None = None) -> tuple[str, ...]:
    """`kind:value` names of what a customer is, for the hybrid model: age band, gender, country, device, loyalty, interests.

    Nothing for a customer who objected to profiling or whose data is frozen.
    """
    if (
        customer.has_objected_to_profiling
        or customer.is_processing_restricted
        or customer.is_personalisation_paused
    ):
        return ()
    features = []
    if customer.birth_year:
        features.append(f"age:{_age_band((today or timezone.localdate()).year - customer.birth_year)}")
    for kind in ("gender", "country", "device", "loyalty_status"):
        value = getattr(customer, kind)
        if value:
            features.append(f"{kind}:{value}")
    features += [
        f"interest:{entry['kind']}:{entry['value']}"
        for entry in customer.interests
        if {"kind", "value"} <= entry.keys()
    ]
    return tuple(features)


def segment_feature(segment_id: int) -> str:
    """The name of being in a segment, among the features of people."""
    return f"segment:{segment_id}"


def _age_band(age: int) -> str:
    """`25-34`, `under 18`, `65+`."""
    if age < AGE_BANDS[0]:
        return f"under {AGE_BANDS[0]}"
    for low, high in pairwise(AGE_BANDS):
        if age < high:
            return f"{low}-{high - 1}"
    return f"{AGE_BANDS[-1]}+"
