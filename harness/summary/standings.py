"""Ranks, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from statistics import fmean

from harness.statistics.difference import Difference, mean_difference
from harness.summary.matrix import Matrix
from harness.summary.views import Standing

LEVEL = 0.05
"""Of rank intervals."""


def standings_of(matrix: Matrix, models: Sequence[str], common: Sequence[str]) -> tuple[Standing, ...]:
    """Return where each of `models` stands over the `common` tasks, the best mean first; empty where there is no task.

    Every one of `models` has a score of every one of `common`.
    """
    if not common:
        return ()
    means = {model: fmean(matrix.views[model, task].value or 0.0 for task in common) for model in models}
    order = sorted(models, key=lambda model: -means[model])
    mean_to = {pair: mean_difference(_each(matrix, *pair, common)) for pair in permutations(order, 2)}
    ranks = _rank_intervals(order, mean_to)
    standings = []
    for model in order:
        to_leader = mean_to.get((model, order[0]))
        is_compared = matrix.baseline in models and model != matrix.baseline
        each = _each(matrix, model, str(matrix.baseline), common) if is_compared else []
        clear = [one for one in each if one.is_clear]
        standings.append(
            Standing(
                model=model,
                mean=means[model],
                is_tied_with_leader=to_leader is None or not to_leader.is_clear,
                to_leader=to_leader,
                to_baseline=mean_difference(each),
                ahead=sum(one.value > 0 for one in clear),
                behind=sum(one.value < 0 for one in clear),
                undecided=sum(not (one.is_clear or one.is_same_record) for one in each),
                best_rank=ranks[model][0] if model in ranks else None,
                worst_rank=ranks[model][1] if model in ranks else None,
            )
        )
    return tuple(standings)


def _each(matrix: Matrix, model: str, other: str, common: Sequence[str]) -> list[Difference]:
    found = [matrix.difference(model, other, task) for task in common]
    return [one for one in found if one is not None]


def _rank_intervals(
    models: Sequence[str], differences: Mapping[tuple[str, str], Difference | None]
) -> dict[str, tuple[int, int]]:
    """Return the 95 % interval of each model's rank, 1 the best; nothing for a model with an unknown difference.

    A model outranks another when the p-value of their mean difference is under 5 % divided by the number of other
    models (Bonferroni), so that all comparisons behind one rank hold together (Klein, Wright & Wieczorek 2020).
    """
    found = {}
    level = LEVEL / max(1, len(models) - 1)
    for model in models:
        others = [differences[model, other] for other in models if other != model]
        known = [one for one in others if one is not None and (one.p_value is not None or one.is_same_record)]
        if len(known) == len(others):
            clear = [one for one in known if one.p_value is not None and one.p_value < level]
            better, worse = sum(one.value < 0 for one in clear), sum(one.value > 0 for one in clear)
            found[model] = (1 + better, len(models) - worse)
    return found
