"""What a `limit` leaves of a task: the constants of the subsample, and the counts that planning expects; pure."""

from __future__ import annotations

from dataclasses import replace

from harness.tasks.catalogue import Counts
from harness.tasks.types import EMBEDDING_TYPES

DISTRACTORS_PER_QUERY = 10
"""Documents kept a query beside the judged ones (retrieval)."""
TEXTS_PER_SET = 100
"""Clustering keeps as many sets as can have so many texts each."""
LEAST_SETS = 2
"""Clustering keeps so many sets whatever the limit, where there are so many: of one set there is no interval."""
LEAST_TEXTS = 2
"""Of each set."""
TEXTS_PER_LABEL = 5
"""Clustering keeps so many labels that each keeps so many texts."""
JUDGED_PER_QUERY = 2
"""Judged documents a query that planning expects; the data decide."""


def sets_kept(sets: int, limit: int) -> int:
    """Return how many of a clustering task's sets of texts a limit keeps."""
    return min(sets, max(LEAST_SETS if limit >= LEAST_TEXTS else 1, limit // TEXTS_PER_SET))


def keeps_excluded(name: str, limit: int | None) -> bool:
    """Whether a limited task keeps documents because they are excluded for a query: those of BRIGHT name them."""
    return limit is not None and name.startswith("Bright")


def draws_least_sets(kind: str, limit: int | None) -> bool:
    """Whether a limit is so small that a task of a type keeps `LEAST_SETS` sets of fewer texts each."""
    return kind == "Clustering" and limit is not None and LEAST_TEXTS <= limit < LEAST_SETS * TEXTS_PER_SET


def limited_counts(kind: str, counts: Counts, limit: int) -> Counts:
    """Return about what `limit` leaves of `counts` of a type; exact for pairs and documents, an estimate elsewhere."""
    if limit >= counts.items:
        return counts
    share = limit / counts.items
    characters = counts.characters / max(counts.texts, 1)
    texts = max(1, round(counts.texts * share))
    if (row := EMBEDDING_TYPES.get(kind)) and row.ranks == "corpus":
        documents = min(counts.texts - counts.items, limit * (DISTRACTORS_PER_QUERY + JUDGED_PER_QUERY))
        texts = limit + documents
    # A tenth of the training texts bounds what the ten draws of each class can want.
    training = min(counts.training_texts, max(limit, counts.training_texts // 10))
    return replace(
        counts,
        items=limit,
        texts=texts,
        unique_texts=min(counts.unique_texts, texts),
        characters=round(characters * texts),
        training_texts=training,
    )
