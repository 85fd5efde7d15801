from __future__ import annotations

from recommendations.defaults import EVENT_WEIGHTS
from recommendations.models import EventWeight


def event_weights(store_id: int) -> dict[str, float]:
    """Weights > 0 by event name: the store's own, before the defaults. An event of weight 0 says nothing."""
    own = dict(EventWeight.objects.for_store(store_id).values_list("event_name", "weight"))
    return {name: weight for name, weight in (dict(EVENT_WEIGHTS) | own).items() if weight > 0}
