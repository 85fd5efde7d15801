"""Strategies, blending, reranking, evaluation and shopper statistics: arrays in, arrays out, no Django.

`STRATEGIES` maps names to strategy classes. It is looked up when first asked for: whoever needs the vocabulary alone does
not load the libraries behind the strategies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algorithms.registry import STRATEGIES as STRATEGIES


def __getattr__(name: str) -> Any:
    if name == "STRATEGIES":
        from algorithms.registry import STRATEGIES

        return STRATEGIES
    raise AttributeError(f"module 'algorithms' has no attribute {name!r}")
