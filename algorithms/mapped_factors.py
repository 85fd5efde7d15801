"""Factors of items that nobody has touched, told by their contents: "attribute-to-feature" cold start.

Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations" (ICDM 2010). With F the item factors of `als`,
x_j an item's content vector and n_j how often it was touched, one ridge regression maps contents to factors, and a shopper u, folded
in, likes an item as far as what it is like points their way:

    B = argmin Σ_j w_j |x_j B − F_j|² + ridge · |B|²,  w_j ∝ √min(n_j, 50), 1 on the mean;  score(i) = max(0, x_i · B u)

Solved by conjugate gradients for all factors at once: a product of the sparse contents with a thin matrix at a time, nothing of d × d.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.als import ALS
from algorithms.types import JSON, Array, Bool, Float32, Float64, Query, TrainingData

RIDGE: Final = 1.0
MOST_STEPS: Final = 60
PRECISION: Final = 1e-3
ENOUGH: Final = 50.0
"""Touched so often, an item's factors are as sure as they get."""


@dataclass(frozen=True)
class MappedFactors:
    als: ALS
    mapping: Float32  # (d, factors) B

    @classmethod
    def learn(cls, data: TrainingData, contents: csr_matrix, rng: np.random.Generator) -> Self:
        """`contents` (n_items, d)."""
        return cls._of(ALS().fit(data, rng), data, contents)

    @classmethod
    def _of(cls, als: ALS, data: TrainingData, contents: csr_matrix) -> Self:
        touched = np.bincount(data.item, minlength=data.n_items)
        known = np.flatnonzero(touched)
        if not len(known):
            return cls(als, np.zeros((contents.shape[1], als.factors_.shape[1]), np.float32))
        weight = np.sqrt(np.minimum(touched[known], ENOUGH))
        solved = ridge(contents[known], als.factors_[known], weight / weight.mean(), RIDGE)
        return cls(als, solved.astype(np.float32))

    def shopper(self, query: Query) -> Float32:
        """(factors,) of who asks, zeros for somebody of whom nothing is known: to be multiplied with contents · `mapping`."""
        return self.als.shopper(query).astype(np.float32)

    def forget_sessions(self, forgotten: Bool, data: TrainingData, contents: csr_matrix) -> MappedFactors:
        """As `als` forgets; the regression is made anew. `contents` of the items of `data`."""
        remaining = data.without_sessions(forgotten)
        return self._of(self.als.forget_sessions(forgotten, data), remaining, contents)

    def arrays(self) -> dict[str, Array]:
        return {f"als_{name}": array for name, array in self.als.arrays().items()} | {"mapping": self.mapping}

    def parameters(self) -> dict[str, JSON]:
        return self.als.parameters()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        als = {name.removeprefix("als_"): array for name, array in arrays.items() if name.startswith("als_")}
        return cls(ALS.from_arrays(als, parameters), np.asarray(arrays["mapping"]))


def ridge(rows: csr_matrix, targets: Array, weight: Float64, strength: float) -> Float64:
    """(d, f): argmin_B Σ_r weight_r |rows_r B − targets_r|² + strength · |B|²; `rows` (n, d), `targets` (n, f)."""
    x = rows.astype(np.float64).tocsr()
    weighted = (x.multiply(weight[:, None])).T.tocsr()
    residual = np.asarray(weighted @ np.asarray(targets, np.float64))
    solution, direction = np.zeros_like(residual), residual.copy()
    squares = (residual**2).sum(axis=0)
    enough = PRECISION**2 * np.maximum(squares, 1e-30)
    for _ in range(MOST_STEPS):
        if (squares <= enough).all():
            break
        moved = weighted @ (x @ direction) + strength * direction
        step = squares / np.maximum((direction * moved).sum(axis=0), 1e-300)
        solution += step * direction
        residual -= step * moved
        fresh = (residual**2).sum(axis=0)
        direction = residual + fresh / np.maximum(squares, 1e-300) * direction
        squares = fresh
    return solution
