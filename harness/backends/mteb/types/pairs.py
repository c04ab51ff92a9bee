"""STS, pair classification: items."""

from __future__ import annotations

PAIR_SIMILARITIES = {
    "similarity": ("similarity_scores", 1.0),
    "cosine": ("cosine_scores", 1.0),
    "manhattan": ("manhattan_distances", -1.0),
    "euclidean": ("euclidean_distances", -1.0),
    "dot": ("dot_scores", 1.0),
}
