"""`limit` on mteb: a seeded subsample that keeps what makes a task the task it is.

| type | kept |
|---|---|
| STS, Summarization | N pairs or documents |
| PairClassification | N pairs, labels in their proportion |
| Classification | N test texts and the training texts, classes in their proportion, every class at least once |
| Clustering | N texts over as many sets as can have 100 each, two at least; labels so few that each keeps five texts |
| Retrieval | N queries, every document judged or excluded for them, and ten further documents a query |
| Reranking | N queries (MindSmall: impressions) and their candidates |

The draw depends on the suite's seed, the task, split and subset alone.
"""

from __future__ import annotations

from typing import Any

from harness.backends.mteb.by_type import file_of
from harness.backends.mteb.draw import generator
from harness.backends.mteb.loaded import Loaded


def apply_limit(task: Any, limit: int, seed: int) -> dict[str, Any]:
    """Cut the loaded data of an mteb task down to `limit` scored items.

    Returns:
        What was kept, as `split/subset` -> counts, for provenance.
    """
    cut = file_of(task.metadata.type).limit
    kept: dict[str, Any] = {}
    for subset in task.hf_subsets:
        for split in task.eval_splits:
            loaded = Loaded(task=task, split=split, subset=subset)
            rng = generator(seed, loaded.part, split, subset)
            kept[f"{split}/{subset}"] = cut(loaded, limit, rng)
    return kept
