"""How sure a mean is when its items were each scored several times: pure functions over matrices; numpy only.

- Crossed: every item in every round, such as test texts x the ten training samples of a classification task. Items and
  rounds are both drawn: the variance is that of the two-way layout (Searle, Casella & McCulloch 1992, ch. 4).
- Nested: every item with rounds of its own, such as sets of texts x k-means seeds. The score is that of the first
  round alone, as the engine has it; the other rounds say how much one round is worth.

Degrees of freedom are Satterthwaite's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.statistics.conventions import Floats


class Term(NamedTuple):
    """A mean square in a variance, with its degrees of freedom; it may be subtracted."""

    value: float
    freedom: float


def crossed(values: Floats) -> list[Term]:
    """Return the terms of the variance of the mean of (rounds, items) `values`, both drawn at random.

    With one round the rounds are taken as fixed.
    """
    rounds, items = values.shape
    of_items = Term(float(values.mean(axis=0).var(ddof=1)) / items, items - 1)
    if rounds < 2:
        return [of_items]
    centred = values - values.mean(axis=0, keepdims=True) - values.mean(axis=1, keepdims=True) + values.mean()
    freedom = (rounds - 1) * (items - 1)
    of_rounds = Term(float(values.mean(axis=1).var(ddof=1)) / rounds, rounds - 1)
    rest = Term(-float((centred**2).sum()) / freedom / (rounds * items), freedom)
    terms = [of_items, of_rounds, rest]
    # an estimate below that of the items alone is noise of the estimate
    return terms if of_rounds.value + rest.value > 0 else [of_items]


def nested(values: Floats) -> list[Term]:
    """Return the terms of the variance of the mean over items of the first of (items, rounds) `values`."""
    items, rounds = values.shape
    between = Term(float(values.mean(axis=1).var(ddof=1)) / items, items - 1)
    if rounds < 2:
        return [between]
    within = float(values.var(axis=1, ddof=1).mean())
    return [between, Term(within * (1 - 1 / rounds) / items, items * (rounds - 1))]


def added(terms: Sequence[Term]) -> Term:
    """Return the variance that the terms sum to, with Satterthwaite's degrees of freedom; 1 where it is 0."""
    total = sum(one.value for one in terms)
    doubt = sum(one.value**2 / one.freedom for one in terms if one.value)
    return Term(max(total, 0.0), total**2 / doubt if total > 0 and doubt else 1.0)
