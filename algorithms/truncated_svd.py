"""The leading singular vectors of a sparse matrix, by randomised subspace iteration.

Halko, Martinsson and Tropp, "Finding Structure with Randomness" (SIAM Review 2011), algorithms 4.4 and 5.1. A basis Q of the range is
found by multiplying a random block by A and Aᵀ in turn; then AᵀQ = B, and the eigenvectors of the small BᵀB rotate Q into singular
vectors. Orthonormal bases come from eigenvectors of the small Gram matrices, too (in double precision), never from a QR or SVD of a block
that is as tall as the matrix: those took nine tenths of the time.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from scipy.sparse import csr_matrix

from algorithms.threads import by_parts
from algorithms.types import Float32, Float64, Int32, Int64

OVERSAMPLES: Final = 10
BLOCK_ROWS: Final = 8192
NEGLIGIBLE: Final = 1e-10
"""A direction whose share of the block's squared length is below is rounding: the matrix has no further rank."""


def left_singular_vectors(
    matrix: csr_matrix, factors: int, iterations: int, rng: np.random.Generator
) -> tuple[Float32, Float32]:
    """U (n_rows, k) and S (k,) descending, k = min(factors, n_rows, n_columns), of float32 `matrix`; where its rank is less, S and the
    columns of U end in zeros. `iterations` are power iterations. Deterministic for a state of `rng`, whatever the number of threads."""
    k = min(factors, *matrix.shape)
    size = min(k + OVERSAMPLES, *matrix.shape)
    transposed = matrix.T.tocsr()
    basis = _product(matrix, rng.standard_normal((matrix.shape[1], size), np.float32))
    for _ in range(iterations):
        basis = _product(matrix, _orthonormal(_product(transposed, _orthonormal(basis))))
    basis = _orthonormal(basis)
    eigenvalues, rotation = np.linalg.eigh(_gram(_product(transposed, basis)))
    strongest = np.arange(len(eigenvalues))[::-1][:k]
    spectrum = np.sqrt(np.maximum(eigenvalues[strongest], 0.0)).astype(np.float32)
    return np.asarray(basis @ rotation[:, strongest].astype(np.float32)), spectrum


def _orthonormal(block: Float32) -> Float32:
    """A basis of the columns of (n, d) `block`, which may not be used any more; directions that are rounding become columns of zeros."""
    lengths, rotation = np.linalg.eigh(_gram(block))
    kept = lengths > NEGLIGIBLE * max(lengths[-1], 1e-300)
    rotation[:, kept] /= np.sqrt(lengths[kept])
    rotation[:, ~kept] = 0.0
    turn = rotation.astype(np.float32)
    for start in range(0, len(block), BLOCK_ROWS):
        block[start : start + BLOCK_ROWS] = block[start : start + BLOCK_ROWS] @ turn
    return block


def _gram(block: Float32) -> Float64:
    """(d, d) blockᵀ · block, summed in double precision, some rows at a time."""
    gram = np.zeros((block.shape[1], block.shape[1]))
    for start in range(0, len(block), BLOCK_ROWS):
        rows = block[start : start + BLOCK_ROWS].astype(np.float64)
        gram += rows.T @ rows
    return gram


def _product(matrix: csr_matrix, block: Float32) -> Float32:
    """(n, d) matrix · block."""
    product = np.empty((matrix.shape[0], block.shape[1]), np.float32)
    offsets = matrix.indptr.astype(np.int64)
    by_parts(
        lambda rows: _multiply(rows, offsets, matrix.indices, matrix.data, block, product),
        np.arange(matrix.shape[0], dtype=np.int64),
    )
    return product


@numba.njit(nogil=True, cache=True)
def _multiply(
    rows: Int64, offsets: Int64, columns: Int32, values: Float32, block: Float32, product: Float32
) -> None:
    width = block.shape[1]
    for row in rows:
        for d in range(width):
            product[row, d] = 0.0
        for p in range(offsets[row], offsets[row + 1]):
            value, column = values[p], columns[p]
            for d in range(width):
                product[row, d] += value * block[column, d]
