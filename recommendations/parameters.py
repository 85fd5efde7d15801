"""Query parameters of a shelf, the same from a browser and from an API client."""

from __future__ import annotations

from collections.abc import Mapping

from recommendations.shelf import InvalidLimit, RequestError

MAX_IDS = 200
MAX_ID_LENGTH = 120


def read_limit(parameters: Mapping[str, str]) -> int | None:
    """Raises InvalidLimit for what is no whole number; the pipeline checks its range."""
    text = parameters.get("limit", "").strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidLimit(
            f"limit must be a whole number, not {text[:20]!r}.", field="limit", code="invalid_limit"
        ) from None


def read_ids(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Comma-separated product ids, distinct, in order. Raises RequestError for too many or too long ones."""
    ids = tuple(dict.fromkeys(part.strip() for part in parameters.get(name, "").split(",") if part.strip()))
    if len(ids) > MAX_IDS:
        raise RequestError(
            f"{name} takes at most {MAX_IDS} product ids, not {len(ids)}.", field=name, code="too_many_ids"
        )
    if any(len(product_id) > MAX_ID_LENGTH for product_id in ids):
        raise RequestError(
            f"A product id in {name} is longer than {MAX_ID_LENGTH} characters.",
            field=name,
            code="invalid_id",
        )
    return ids


def read_text(parameters: Mapping[str, str], name: str, max_length: int = MAX_ID_LENGTH) -> str | None:
    """Raises RequestError for a longer text, and for one with a null character, which no table holds."""
    text = parameters.get(name, "").strip()
    if not text:
        return None
    if len(text) > max_length or "\x00" in text:
        raise RequestError(
            f"{name} must be a plain text of at most {max_length} characters.",
            field=name,
            code=f"invalid_{name}",
        )
    return text
