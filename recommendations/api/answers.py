from __future__ import annotations

from typing import Any

from catalog.money import from_minor_units
from recommendations.serving.tokens import impression_token
from recommendations.shelf import Shelf, ShelfItem, Trace


def shelf_answer(store_id: int, shelf: Shelf, *, explain: bool = False) -> dict[str, Any]:
    """As `ShelfSerializer` describes it."""
    answer: dict[str, Any] = {
        "request_id": str(shelf.request_id),
        "placement": shelf.placement,
        "heading": shelf.heading,
        "model_version": shelf.model_version,
        "variant": str(shelf.variant),
        "personalised": shelf.personalised,
        "fallback": shelf.fallback,
        "token": impression_token(store_id, shelf),
        "items": [_item(item) for item in shelf.items],
    }
    if explain and shelf.trace is not None:
        answer["trace"] = _trace(shelf.trace, shelf)
    return answer


def _item(item: ShelfItem) -> dict[str, Any]:
    product = item.product
    reduced_from = product.list_price_minor_units if product.is_reduced else None
    return {
        "product_id": product.external_id,
        "rank": item.rank,
        "score": round(item.score, 5),
        "strategy": item.strategy,
        "strategies": {name: round(value, 5) for name, value in item.strategies.items()},
        "reason": {"code": item.reason.code, "text": item.reason.text, "product_id": item.reason.trigger},
        "name": product.name,
        "brand": product.brand_name or None,
        "category": product.category_name or None,
        "price": str(from_minor_units(product.price_minor_units, product.currency)),
        "list_price": None if reduced_from is None else str(from_minor_units(reduced_from, product.currency)),
        "price_minor_units": product.price_minor_units,
        "currency": product.currency,
        "stock": product.stock,
        "url": product.url,
        "image_url": product.image_url,
        "variant_group": product.variant_group,
    }


def _trace(trace: Trace, shelf: Shelf) -> dict[str, Any]:
    return {
        "weights": dict(trace.weights),
        "weights_source": trace.weights_source,
        "density": trace.density,
        "segments": list(trace.segments),
        "known_interactions": trace.known_interactions,
        "filtered": dict(trace.filtered),
        "milliseconds": {name: round(value, 3) for name, value in trace.milliseconds.items()},
        "items": [
            {
                "product_id": item.product.external_id,
                "blended": round(item.blended, 5),
                "rules": list(item.rules),
            }
            for item in shelf.items
        ],
    }
