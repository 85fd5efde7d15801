from __future__ import annotations

from math import log
from typing import Any

import orjson

from catalog.money import from_minor_units
from recommendations.serving.recent import Recent
from recommendations.serving.tokens import impression_token
from recommendations.shelf import Shelf, ShelfItem, ShelfProduct, Trace


def shelf_json(store_id: int, shelf: Shelf, *, explain: bool = False) -> bytes:
    """As `ShelfSerializer` describes it. Products are written once for all requests that get this shelf."""
    items = shelf.rendered.get("items")
    if items is None:
        items = shelf.rendered["items"] = b"[%s]" % b",".join(map(_item, shelf.items))
    answer: dict[str, Any] = {
        "request_id": str(shelf.request_id),
        "placement": shelf.placement,
        "heading": shelf.heading,
        "model_version": shelf.model_version,
        "variant": str(shelf.variant),
        "personalised": shelf.personalised,
        "fallback": shelf.fallback,
        "token": impression_token(store_id, shelf),
        "items": orjson.Fragment(items),
    }
    if explain and shelf.trace is not None:
        answer["trace"] = _trace(shelf.trace, shelf)
    return orjson.dumps(answer)


def _item(item: ShelfItem) -> bytes:
    """What this shopper's shelf says of the product, then what every shelf does."""
    reason = item.reason
    own = orjson.dumps(
        {
            "product_id": item.product.external_id,
            "rank": item.rank,
            "score": round(item.score, 5),
            "strategy": item.strategy,
            "strategies": {name: round(value, 5) for name, value in item.strategies.items()},
            "reason": {"code": reason.code, "text": reason.text, "product_id": reason.trigger},
        }
    )
    return own[:-1] + b"," + _product(item.product)[1:]


_written: Recent[tuple[ShelfProduct, bytes]] = Recent(seconds=300.0, capacity=20_000)


def _product(product: ShelfProduct) -> bytes:
    """Products are replaced, never changed: the same object says the same."""
    known = _written.get(id(product))
    if known is not None and known[0] is product:
        return known[1]
    reduced_from = product.list_price_minor_units if product.is_reduced else None
    written = orjson.dumps(
        {
            "name": product.name,
            "brand": product.brand_name or None,
            "category": product.category_name or None,
            "price": str(from_minor_units(product.price_minor_units, product.currency)),
            "list_price": None
            if reduced_from is None
            else str(from_minor_units(reduced_from, product.currency)),
            "price_minor_units": product.price_minor_units,
            "currency": product.currency,
            "stock": product.stock,
            "url": product.url,
            "image_url": product.image_url,
            "variant_group": product.variant_group,
        }
    )
    _written.put(id(product), (product, written))
    return written


def _trace(trace: Trace, shelf: Shelf) -> dict[str, Any]:
    return {
        "weights": dict(trace.weights),
        "weights_source": trace.weights_source,
        "arm": None
        if shelf.arm is None
        else {"name": shelf.arm.name, "share": round(shelf.arm.share, 4), "epoch": shelf.arm.epoch},
        "density": trace.density,
        "segments": list(trace.segments),
        "known_interactions": trace.known_interactions,
        "filtered": dict(trace.filtered),
        "milliseconds": {name: round(value, 3) for name, value in trace.milliseconds.items()},
        "items": [
            {
                "product_id": item.product.external_id,
                "blended": round(item.blended, 5),
                "learned": {"factor": round(item.learned, 5), "features": features},
                "rules": list(item.rules),
                "moves": [
                    {"code": move.code, "text": move.text, "factor": round(move.factor, 5)}
                    for move in item.moves
                ],
                "score": round(item.score, 5),
                "rank_by_score": item.rank_by_score,
                "propensity": item.propensity,
            }
            for item, features in zip(shelf.items, _learned(trace, shelf), strict=True)
        ],
    }


def _learned(trace: Trace, shelf: Shelf) -> list[dict[str, float]]:
    """For each item what each feature multiplied its score by, those that did most first; empty where nothing was learned."""
    if trace.learned is None:
        return [{} for _ in shelf.items]
    return [
        {
            name: round(factor, 5)
            for name, factor in sorted(factors.items(), key=lambda given: -abs(log(given[1])))
            if round(factor, 5) != 1.0
        }
        for factors in trace.learned()
    ]
