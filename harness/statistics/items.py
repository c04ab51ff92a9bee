"""From a cell's per-item results back to its score, as a function of which items were drawn: pure.

The one definition of how a main metric is made of items: the backend takes a cell's interval from it, a comparison the
paired difference of two cells. Columns are those of the cell's parquet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from harness.statistics.conventions import Floats
from harness.statistics.resampling import (
    Counts,
    Statistic,
    average_precision_statistic,
    mean_statistic,
    ratio_statistic,
    spearman_statistic,
)

PAIR_MEASURES = ("similarity", "cosine", "manhattan", "euclidean", "dot")
"""Columns of pair classification whose best average precision is max_ap; larger means more alike."""
SEED_COLUMN = "v_measure_seed_"
"""Columns of clustering: the set's score under another k-means seed."""
POOL_COLUMN = "v_measure_pool_"
"""Columns of mteb's newer clustering: the score on half of the pool of texts."""
READ = (
    "part", "split", "subset", "item", "query", "score", "gold", "label", "set", "level", "experiment", "cluster",
    "nll", "tokens", *PAIR_MEASURES,
)  # fmt: skip
"""Columns of which statistics are made, and where they stand."""
READ_FROM = ("prediction_", SEED_COLUMN, POOL_COLUMN)
"""Beginnings of the names of further ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatistic:
    """The main metric of one part, split and subset over resampled items."""

    items: tuple[Any, ...]
    """What each item is called; two cells pair up only when these are equal."""
    statistic: Statistic
    """(B, n) counts -> (B,) scores, 0 to 1 (or -1 to 1)."""
    scores: Floats | None = None
    """(n,) scores whose mean (with `sizes`: sum over sum of sizes) the metric is; None where it is neither."""
    sizes: Floats | None = None
    """(n,) such as tokens; None where each item weighs alike."""
    rounds: Floats | None = None
    """(n, rounds) scores of every item in every round: training samples, k-means seeds; None where there is one."""
    are_crossed: bool = False
    """Whether a round is the same for all items."""
    merits: Floats | None = None
    """(n,) what is counted as win, tie or loss an item, more is better; None where an item has nothing of the kind."""

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.items)


def mean_of(each: Sequence[ItemStatistic]) -> ItemStatistic:
    """Return the mean of statistics over the same items, such as those of several seeds of one model."""
    if any(one.items != each[0].items or one.sizes is not None for one in each):
        raise ValueError("a mean needs statistics over the same items, each of one weight")

    def averaged(name: str) -> Floats | None:
        values = [getattr(one, name) for one in each]
        if any(one is None for one in values):
            return None
        mean: Floats = np.mean(values, axis=0)
        return mean

    def statistic(counts: Counts) -> Floats:
        result: Floats = np.mean([one.statistic(counts) for one in each], axis=0)
        return result

    return ItemStatistic(items=each[0].items, statistic=statistic, scores=averaged("scores"), merits=averaged("merits"))


def is_for_statistics(column: str) -> bool:
    """Whether `of_columns` may look at a column of that name: rankings and answers are much to read for nothing."""
    return column in READ or column.startswith(READ_FROM)


def of_columns(kind: str, columns: Mapping[str, Any]) -> ItemStatistic | None:
    """Return the statistic of a task type's columns, or None where the type has none over items.

    Args:
        kind: an embedding type; of any other the columns alone say what they hold.
        columns: column name -> values of one part, split and subset.
    """
    if kind in STATISTICS:
        return STATISTICS[kind](columns)
    if "nll" in columns and "tokens" in columns:
        return _nats_a_token(columns)
    return of_scores(columns["item" if "item" in columns else "query"], _floats(columns["score"]))


def of_scores(items: Sequence[Any], scores: Floats) -> ItemStatistic:
    """Return the statistic of a metric that is the mean of (n,) item scores."""
    return ItemStatistic(items=tuple(items), statistic=mean_statistic(scores), scores=scores, merits=scores)


def _ranks(values: Floats) -> Floats:
    from scipy.stats import rankdata

    found: Floats = rankdata(values).astype(np.float64)
    return found


def _floats(values: Sequence[Any]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _rank_correlation(columns: Mapping[str, Any]) -> ItemStatistic:
    gold, cosine = _floats(columns["gold"]), _floats(columns["cosine"])
    merits = -np.abs(_ranks(cosine) - _ranks(gold))  # the nearer a pair's rank to that of its gold score
    return ItemStatistic(items=tuple(columns["item"]), statistic=spearman_statistic(gold, cosine), merits=merits)


def _average_precision(columns: Mapping[str, Any]) -> ItemStatistic:
    ranks = _ranks(_floats(columns["similarity"]))
    merits = np.where(_floats(columns["label"]) > 0, ranks, -ranks)  # pairs that match high up, others low
    return ItemStatistic(items=tuple(columns["item"]), statistic=_best_average_precision(columns), merits=merits)


def _nats_a_token(columns: Mapping[str, Any]) -> ItemStatistic:
    """Long texts weigh more."""
    nats, tokens = _floats(columns["nll"]), _floats(columns["tokens"])
    return ItemStatistic(
        items=tuple(columns["item"]),
        statistic=ratio_statistic(nats, tokens),
        scores=nats,
        sizes=tokens,
        merits=nats,  # less is better: the score says so
    )


def _best_average_precision(columns: Mapping[str, Any]) -> Statistic:
    labels = np.asarray(columns["label"], dtype=np.int64)
    each = [average_precision_statistic(_floats(columns[name]), labels) for name in PAIR_MEASURES]

    def best(counts: Counts) -> Floats:
        result: Floats = np.max([statistic(counts) for statistic in each], axis=0)
        return result

    return best


def _over_experiments(columns: Mapping[str, Any]) -> ItemStatistic:
    """Test texts x training samples: a text is right or wrong in each of them."""
    labels = np.asarray(columns["label"])
    right = [np.asarray(columns[name]) == labels for name in numbered(columns, "prediction_")]
    found = of_scores(columns["item"], _floats(columns["score"]))
    return replace(found, rounds=np.stack(right, axis=1).astype(np.float64), are_crossed=True) if right else found


def _over_sets_or_pools(columns: Mapping[str, Any]) -> ItemStatistic | None:
    return _over_pools(columns) if "experiment" in columns else _over_sets(columns)


def _over_sets(columns: Mapping[str, Any]) -> ItemStatistic:
    """Sets x k-means seeds: the score is that of the engine's own seed, which comes first."""
    from sklearn.metrics import v_measure_score

    sets = np.asarray(columns["set"])
    labels, clusters = np.asarray(columns["label"]), np.asarray(columns["cluster"])
    names = sorted(set(sets.tolist()))
    values = _floats([float(v_measure_score(labels[sets == name], clusters[sets == name])) for name in names])
    first = [int(np.argmax(sets == name)) for name in names]  # the other seeds' scores stand on every row of a set
    others = [_floats(columns[name])[first] for name in numbered(columns, SEED_COLUMN)]
    found = of_scores(names, values)
    return replace(found, rounds=np.stack([values, *others], axis=1)) if others else found


def _over_pools(columns: Mapping[str, Any]) -> ItemStatistic | None:
    """Halves of the pool of texts: the score is mteb's own, its variance that of the scores on the halves.

    So that halves can stand as items whose mean is the score, and that mean has this variance, each is taken at the
    score plus the root of their number times its distance to their mean.
    """
    from sklearn.metrics import v_measure_score

    names = numbered(columns, POOL_COLUMN)
    if not names:
        return None
    runs = np.stack([np.asarray(columns["level"]), np.asarray(columns["experiment"])], axis=1)
    labels, clusters = np.asarray(columns["label"]), np.asarray(columns["cluster"])
    score = np.mean(
        [
            float(v_measure_score(labels[rows], clusters[rows]))
            for rows in ((runs == one).all(axis=1) for one in np.unique(runs, axis=0))
        ]
    )
    pools = _floats([columns[name][0] for name in names])
    texts = sha256(np.ascontiguousarray(columns["item"], dtype=np.int64).tobytes()).hexdigest()
    found = of_scores([(texts, name) for name in names], score + math.sqrt(len(pools)) * (pools - pools.mean()))
    return replace(found, merits=None)  # a half is nothing to win


STATISTICS: dict[str, Callable[[Mapping[str, Any]], ItemStatistic | None]] = {
    "STS": _rank_correlation,
    "PairClassification": _average_precision,
    "Clustering": _over_sets_or_pools,
    "Classification": _over_experiments,
}
"""Of the task types whose metric is no plain mean over items."""


def numbered(columns: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the columns `prefix` + number that hold values, by number."""
    named = [name for name in columns if name.startswith(prefix) and name[len(prefix) :].isdecimal()]
    held = [name for name in named if not any(value is None or value != value for value in columns[name][:1])]
    return sorted(held, key=lambda name: int(name[len(prefix) :]))
