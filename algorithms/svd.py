"""Item vectors for sessions: a truncated SVD of the positive pointwise mutual information of items seen together.

Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization" (NIPS 2014): what item2vec approximates,
without its random walk. With n(i, j) the gap-decayed co-occurrence of i and j, n(i) its row sums:

    PPMI(i, j) = max(0, log( n(i, j) · Σ n^smoothing / (n(i) · n(j)^smoothing) ) - log(shift))
    PPMI ≈ U S Uᵀ, vector(i) = U_i S^spectrum, of length 1
    score(j) = max(0, vector(j) · Σ_a query_decay^a vector(q_a)), the sum of length 1
"""
