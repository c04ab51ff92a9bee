"""`limit` on mteb: a seeded subsample that keeps what makes a task the task it is.

| type | kept |
|---|---|
| STS, Summarization | N pairs or documents |
| PairClassification | N pairs, labels in their proportion |
| Classification | N test texts and the training texts, classes in their proportion, every class at least once |
| Clustering | N texts over as many sets as can have 100 each; of many labels so many that each keeps five texts |
| Retrieval | N queries, every document judged for them, and ten further documents a query |
| Reranking | N queries (MindSmall: impressions) and their candidates |

The draw depends on the suite's seed, the task, split and subset alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.backends.mteb.draw import as_rows, draw_rows, generator, stratified
from harness.backends.mteb.types.classification import limit_classification
from harness.backends.mteb.types.clustering import limit_clustering
from harness.backends.mteb.types.queries import limit_retrieval


def apply_limit(task: Any, limit: int, seed: int) -> dict[str, Any]:
    """Cut the loaded data of an mteb task down to `limit` scored items.

    Returns:
        What was kept, as `split/subset` -> counts, for provenance.
    """
    kept: dict[str, Any] = {}
    for subset in task.hf_subsets:
        for split in task.eval_splits:
            rng = generator(seed, task.metadata.name, split, subset)
            kept[f"{split}/{subset}"] = _limit_split(task, subset, split, limit, rng)
    return kept


def _limit_split(task: Any, subset: str, split: str, limit: int, rng: np.random.Generator) -> dict[str, int]:
    kind = task.metadata.type
    data = task.dataset.get(subset, task.dataset)
    if kind in ("Retrieval", "Reranking"):
        return limit_retrieval(data[split], limit, rng, by_impression="subqueries" in task.metadata.main_score)
    before = len(data[split])
    if kind == "Clustering":
        data[split] = limit_clustering(task, data[split], limit, rng)
    elif kind == "PairClassification":
        pairs = as_rows(data[split])
        before = len(pairs)
        data[split] = pairs.select(stratified(pairs[task.label_column_name], limit, rng))
    elif kind == "Classification":
        return limit_classification(task, data, split, limit, rng)
    else:
        data[split] = data[split].select(sorted(draw_rows(rng, len(data[split]), limit)))
    return {"of": before, "kept": len(data[split])}
