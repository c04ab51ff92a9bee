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

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.backends.limits import DISTRACTORS_PER_QUERY, TEXTS_PER_LABEL, TEXTS_PER_SET
from harness.digests import sha256_text


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


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends on `seed` and `names` alone."""
    return np.random.default_rng([seed, int(sha256_text("\0".join(names))[:16], 16)])


def _limit_split(task: Any, subset: str, split: str, limit: int, rng: np.random.Generator) -> dict[str, int]:
    kind = task.metadata.type
    data = task.dataset.get(subset, task.dataset)
    if kind in ("Retrieval", "Reranking"):
        return _limit_retrieval(data[split], limit, rng, by_impression="subqueries" in task.metadata.main_score)
    before = len(data[split])
    if kind == "Clustering":
        data[split] = _limit_clustering(task, data[split], limit, rng)
    elif kind == "PairClassification":
        pairs = _as_rows(data[split])
        before = len(pairs)
        data[split] = pairs.select(stratified(pairs[task.label_column_name], limit, rng))
    elif kind == "Classification":
        return _limit_classification(task, data, split, limit, rng)
    else:
        data[split] = data[split].select(sorted(_draw(rng, len(data[split]), limit)))
    return {"of": before, "kept": len(data[split])}


def stratified(labels: Sequence[Any], limit: int, rng: np.random.Generator) -> list[int]:
    """Return `limit` places (or all), labels in their proportion and each at least once, in rising order.

    Where there are more labels than `limit`, each still keeps one place: the result is then longer than `limit`.
    """
    if limit >= len(labels):
        return list(range(len(labels)))
    places: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[str(label)].append(place)
    quota = _quotas({label: len(of) for label, of in places.items()}, limit)
    chosen = [place for label, of in sorted(places.items()) for place in rng.permutation(of)[: quota[label]]]
    return sorted(int(place) for place in chosen)


def _quotas(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """Return how many of each label: at least one, then by largest remainder."""
    total = sum(sizes.values())
    exact = {label: limit * size / total for label, size in sizes.items()}
    quota = {label: max(1, int(share)) for label, share in exact.items()}
    spare = limit - sum(quota.values())
    for label in sorted(sizes, key=lambda one: (quota[one] - exact[one], one)):
        if spare <= 0:
            break
        if quota[label] < sizes[label]:
            quota[label] += 1
            spare -= 1
    return quota


def _draw(rng: np.random.Generator, n: int, limit: int) -> list[int]:
    return [int(place) for place in rng.permutation(n)[:limit]]


def _as_rows(pairs: Any) -> Any:
    """Return pairs a row each: version 1 kept a whole split in one row."""
    from datasets import Dataset

    return Dataset.from_dict(pairs[0]) if len(pairs) == 1 else pairs


def _limit_classification(task: Any, data: Any, split: str, limit: int, rng: np.random.Generator) -> dict[str, int]:
    column = task.label_column_name
    before = len(data[split])
    data[split] = data[split].select(stratified(data[split][column], limit, rng))
    kept = {"of": before, "kept": len(data[split])}
    if task.train_split != split:
        train = data[task.train_split]
        per_class = max(task.samples_per_label, limit // max(len(set(map(str, train[column]))), 1))
        places = rng.permutation(len(train))
        seen: Counter[str] = Counter()
        labels = train[column]
        chosen = []
        for place in places:
            label = str(labels[int(place)])
            if seen[label] < per_class:
                seen[label] += 1
                chosen.append(int(place))
        data[task.train_split] = train.select(sorted(chosen))
        kept |= {"training_of": len(train), "training_kept": len(chosen)}
    return kept


def _limit_clustering(task: Any, data: Any, limit: int, rng: np.random.Generator) -> Any:
    from datasets import Dataset

    inputs, labels = task.input_column_name, task.label_column_name
    if not (len(data) and isinstance(data[0][inputs], list)):  # the faster tasks: a text a row
        names = [str(label) for label in data[labels]]
        task.max_fraction_of_documents_to_embed = None
        task.max_document_to_embed = None
        return data.select(_texts_of_some_labels(names, limit, rng))
    sets = max(1, min(len(data), limit // TEXTS_PER_SET))
    kept = []
    for index in sorted(_draw(rng, len(data), sets)):
        row = data[index]
        places = _texts_of_some_labels([str(label) for label in row[labels]], limit // sets, rng)
        kept.append({inputs: [row[inputs][p] for p in places], labels: [row[labels][p] for p in places]})
    return Dataset.from_list(kept)


def _texts_of_some_labels(labels: list[str], limit: int, rng: np.random.Generator) -> list[int]:
    """Return places of texts of so many labels that each keeps `TEXTS_PER_LABEL`, at least two labels."""
    names = sorted(set(labels))
    most = max(2, limit // TEXTS_PER_LABEL)
    if len(names) > most:
        names = [names[place] for place in sorted(_draw(rng, len(names), most))]
    allowed = set(names)
    inside = [place for place, label in enumerate(labels) if label in allowed]
    return [inside[place] for place in stratified([labels[place] for place in inside], limit, rng)]


def _limit_retrieval(data: Any, limit: int, rng: np.random.Generator, *, by_impression: bool) -> dict[str, int]:
    judged = data["relevant_docs"]
    queries = [query for query in data["queries"]["id"] if any(score > 0 for score in judged[query].values())]
    groups: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        groups[query.rpartition("_")[0] if by_impression else query].append(query)
    names = sorted(groups)
    chosen = {query for place in _draw(rng, len(names), limit) for query in groups[names[place]]}
    corpus_before, queries_before = len(data["corpus"]), len(data["queries"])
    data["queries"] = data["queries"].select([i for i, one in enumerate(data["queries"]["id"]) if one in chosen])
    data["relevant_docs"] = {query: judged[query] for query in data["queries"]["id"]}
    wanted = {document for relevant in data["relevant_docs"].values() for document in relevant}
    ids = list(data["corpus"]["id"])
    if data["top_ranked"] is not None:
        data["top_ranked"] = {query: data["top_ranked"][query] for query in chosen if query in data["top_ranked"]}
        wanted |= {document for ranked in data["top_ranked"].values() for document in ranked}
    else:
        others = [document for document in ids if document not in wanted]
        wanted |= {others[place] for place in _draw(rng, len(others), DISTRACTORS_PER_QUERY * limit)}
    data["corpus"] = data["corpus"].select([i for i, one in enumerate(ids) if one in wanted])
    return {
        "of": queries_before,
        "kept": len(data["queries"]),
        "documents_of": corpus_before,
        "documents_kept": len(data["corpus"]),
    }
