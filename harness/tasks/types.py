"""THE table of embedding task types: what is known of each without an engine; the ability types stand beside it.

What is done with a type's tasks stands in the file that its row names, in `harness.backends.mteb.types`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Axis = Literal["embedding", "ability"]
Role = Literal["query", "document"]
Ranked = Literal["corpus", "candidates"]
ItemError = Literal["rank distance", "wrong side", "lost metric"]
NO_ROLE = "text"
"""How the absence of a role is written where a key is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskType:
    """One embedding task type."""

    name: str
    """As MTEB has it."""
    file: str
    """Module of `harness.backends.mteb.types` that measures it; types that are measured alike share one."""
    main_score: str
    """MTEB's own; that of a custom task."""
    unit: str
    """What is resampled."""
    roles: tuple[Role | None, ...] = (None,)
    """Roles in which texts are encoded; None where they have none."""
    ranks: Ranked | None = None
    """What each query ranks: the whole corpus, or candidates of its own; None where there are no queries."""
    item_error: ItemError | None = None
    """Which of `harness.statistics.item_errors.ITEM_ERRORS` judges one item; None: items are not shown one by one."""


EMBEDDING_TYPES = {
    row.name: row
    for row in (
        TaskType(
            name="Retrieval",
            file="queries",
            main_score="ndcg_at_10",
            unit="query",
            roles=("query", "document"),
            ranks="corpus",
            item_error="lost metric",
        ),
        TaskType(
            name="Reranking",
            file="queries",
            main_score="map_at_1000",
            unit="query",
            roles=("query", "document"),
            ranks="candidates",
            item_error="lost metric",
        ),
        TaskType(
            name="Clustering",
            file="clustering",
            main_score="v_measure",
            unit="set of texts x k-means seed (newer tasks: half of the texts)",
        ),
        TaskType(name="PairClassification", file="pairs", main_score="max_ap", unit="pair", item_error="wrong side"),
        TaskType(
            name="Classification",
            file="classification",
            main_score="accuracy",
            unit="test text x training sample",
        ),
        TaskType(name="STS", file="sts", main_score="cosine_spearman", unit="pair", item_error="rank distance"),
        TaskType(name="Summarization", file="summarization", main_score="cosine_spearman", unit="document"),
    )
}
"""By name, in the order of reports."""
UNITS = {name: row.unit for name, row in EMBEDDING_TYPES.items()}
"""What is resampled in each type."""


def ranks_documents(kind: str) -> bool:
    """Whether queries of a task type, of either axis, rank documents."""
    return kind in EMBEDDING_TYPES and EMBEDDING_TYPES[kind].ranks is not None


def ranks_a_corpus(kind: str) -> bool:
    """Whether queries of a task type rank a whole corpus."""
    return kind in EMBEDDING_TYPES and EMBEDDING_TYPES[kind].ranks == "corpus"


OWN_TYPE = "Own"
"""Ability tasks of the user's that name no type."""
LIKELIHOOD_TYPE = "Likelihood"
"""Tasks that measure nats per token."""
NLL = "lm_nll"
"""The one task of that type."""
