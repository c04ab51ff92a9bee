"""THE table of embedding task types: main score, roles, item unit, what an error is; the ability types beside it."""

from __future__ import annotations

from typing import Literal

OWN_TYPE = "Own"
LIKELIHOOD_TYPE = "Likelihood"
NLL = "lm_nll"
Axis = Literal["embedding", "ability"]

EMBEDDING_TYPES = (
    "Retrieval",
    "Reranking",
    "Clustering",
    "PairClassification",
    "Classification",
    "STS",
    "Summarization",
)
UNITS = {
    "STS": "pair",
    "PairClassification": "pair",
    "Classification": "test text x training sample",
    "Clustering": "set of texts x k-means seed (newer tasks: half of the texts)",
    "Retrieval": "query",
    "Reranking": "query",
    "Summarization": "document",
}
"""What is resampled in each type."""
MAIN_SCORES = {
    "Retrieval": "ndcg_at_10",
    "Reranking": "map_at_1000",
    "Clustering": "v_measure",
    "PairClassification": "max_ap",
    "Classification": "accuracy",
    "STS": "cosine_spearman",
    "Summarization": "cosine_spearman",
}
"""Main score of each type, as MTEB has it; used for custom tasks."""
Role = Literal["query", "document"]
ROLES_BY_TYPE: dict[str, tuple[Role | None, ...]] = {
    "Retrieval": ("query", "document"),
    "Reranking": ("query", "document"),
}
NO_ROLE = "text"
"""How the absence of a role is written where a key is needed."""
