"""What the paired items of two cells say of a loss: tests against a margin, limits, and how many items decide; pure.

Right-or-wrong items are tested exactly (`harness.statistics.proportions`), so that no flip at all in a hundred items is
undecided and not "0 +- 0". Means of other scores take Student's t, or its correction for a long tail
(`harness.statistics.tails`) where that is less sure; where fewer than ten items differ, and most do not, they must also
pass the exact test with each of these items counted as a whole win or loss of the largest size seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.results.records import Unit
from harness.statistics.paired import few_differ
from harness.statistics.proportions import (
    is_not_worse,
    items_without_flips,
    largest_loss,
    p_not_worse,
    p_worse,
    score_statistic,
)
from harness.statistics.tails import skewed, unskewed

LEVEL = 0.05
"""Error of "a loss of the margin or more", and of "a loss of no more than the margin", each one-sided."""
MOST_ITEMS = 10**9
"""More items than this decide nothing in practice."""
SKEWNESS_REACH = 3.0
"""Standard errors by which the skewness of the losses may be larger than it looks."""
NEEDED_STEP = 1.05
"""The number of items that would decide is found to within so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the paired items of one task say about one measure; knows no margin."""

    measure: str
    """Such as `exact_match`, or `nats per token of the gold answer`."""
    unit: Unit
    loss: float
    """Baseline minus model (turned round where less is better), in `unit`; positive is worse."""
    base: float
    """The baseline's own figure, in `unit`."""
    n: int
    """Items."""
    wins: int
    """Items on which the model is better."""
    losses: int
    scale: float
    """In `unit`: what one whole win or loss counts; for right-or-wrong items in points, 100."""
    stderr: float | None = None
    """Of the loss, in `unit`; None where items are right or wrong: they are tested exactly."""
    freedom: float | None = None
    """Degrees of freedom of `stderr`, fewer with a long tail (`harness.statistics.tails`)."""
    skewness: float = 0.0
    """Of the items' losses, where there is a `stderr`: a long tail of losses makes Student's t too sure."""
    skewness_error: float = 0.0
    """Standard error of `skewness`."""
    base_right: int | None = None
    """Items that the baseline has right; None where items are not right or wrong."""


def p_kept(evidence: Evidence, margin: float) -> float:
    """Return the one-sided p-value of "the loss is `margin` or more"."""
    if evidence.stderr is None:
        return p_not_worse(evidence.wins, evidence.losses, evidence.n, margin / evidence.scale)
    return _p_of_mean(evidence, margin)


def p_lost(evidence: Evidence, margin: float) -> float:
    """Return the one-sided p-value of "the loss is `margin` or less"."""
    if evidence.stderr is None:
        return p_worse(evidence.wins, evidence.losses, evidence.n, margin / evidence.scale)
    return _p_of_mean(_turned(evidence), -margin)


def _p_of_mean(evidence: Evidence, margin: float) -> float:
    from scipy.stats import t as student

    room = margin - evidence.loss
    if not evidence.stderr:  # nothing differs: the exact test below has the word
        p_value = 0.0 if room > 0 else 1.0
    else:
        reach = room / evidence.stderr
        p_value = float(
            student.sf(min(reach, -unskewed(-reach, _worst_skewness(evidence), evidence.n)), evidence.freedom)
        )
    if _is_rare(evidence) and abs(margin) < evidence.scale:
        exact = p_not_worse(evidence.wins, evidence.losses, evidence.n, margin / evidence.scale)
        p_value = max(p_value, exact)
    return p_value


def upper(evidence: Evidence, level: float = LEVEL) -> float:
    """Return the loss above which all are excluded, each with an error of `level`."""
    from scipy.stats import t as student

    if evidence.stderr is None:
        return evidence.scale * largest_loss(evidence.wins, evidence.losses, evidence.n, level)
    limit = evidence.loss
    if evidence.stderr:
        reach = float(student.ppf(1 - level, evidence.freedom))
        limit += evidence.stderr * max(reach, -skewed(-reach, _worst_skewness(evidence), evidence.n))
    if _is_rare(evidence):
        limit = max(limit, evidence.scale * largest_loss(evidence.wins, evidence.losses, evidence.n, level))
    return limit


def lower(evidence: Evidence, level: float = LEVEL) -> float:
    """Return the loss below which all are excluded, each with an error of `level`."""
    return -upper(_turned(evidence), level)


def _worst_skewness(evidence: Evidence) -> float:
    """Return the upper limit of the skewness: items among which the largest losses are missing look less skewed."""
    return evidence.skewness + SKEWNESS_REACH * evidence.skewness_error


def _is_rare(evidence: Evidence) -> bool:
    return few_differ(evidence.wins, evidence.losses, evidence.n)


def _turned(evidence: Evidence) -> Evidence:
    """Return the evidence with model and baseline exchanged."""
    return replace(
        evidence, loss=-evidence.loss, wins=evidence.losses, losses=evidence.wins, skewness=-evidence.skewness
    )


def excludable(evidence: Evidence) -> float:
    """Return the smallest loss that so many items can exclude at best: without a flip, or with this spread alone."""
    from scipy.stats import t as student

    if evidence.stderr and not _is_rare(evidence):
        return float(student.ppf(1 - LEVEL, evidence.freedom)) * evidence.stderr
    return evidence.scale * largest_loss(0, 0, evidence.n, LEVEL)


def needed(evidence: Evidence, margin: float) -> int | None:
    """Return how many items like these would decide; None where the loss is the margin itself."""
    from scipy.stats import norm
    from scipy.stats import t as student

    is_kept = evidence.loss < margin  # then more items would show that, else that it is lost
    share, found = margin / evidence.scale, []
    if share < 1 and (evidence.stderr is None or _is_rare(evidence)):
        seen = evidence if is_kept else _turned(evidence)
        statistic = float(score_statistic(seen.wins, seen.losses, seen.n, -share if is_kept else share))
        first = items_to_shrink(evidence.n, float(norm.ppf(1 - LEVEL)), statistic)
        found.append(None if first is None else _exactly(seen, share if is_kept else -share, first))
    if evidence.stderr:
        reach = float(student.ppf(1 - LEVEL, evidence.freedom)) * evidence.stderr
        found.append(items_to_shrink(evidence.n, reach, abs(margin - evidence.loss)))
    numbers = [one for one in found if one is not None]
    return max(numbers) if numbers and len(numbers) == len(found) else None


def _exactly(seen: Evidence, share: float, first: int) -> int | None:
    """Return about how many items with flips at the rate of `seen` pass the exact test, from `first` up in steps."""
    if not seen.wins + seen.losses and share > 0:
        return max(seen.n + 1, items_without_flips(share, LEVEL))
    n = first
    while n < MOST_ITEMS:
        wins, losses = round(seen.wins * n / seen.n), round(seen.losses * n / seen.n)
        if is_not_worse(wins, losses, n, share, level=LEVEL):
            return n
        n = math.ceil(n * NEEDED_STEP)
    return None


def items_to_shrink(n: int, reach: float, room: float) -> int | None:
    """Return how many items shrink `reach` to `room`: it falls with the root of their number; more than n."""
    if room == 0:
        return None
    found = n * (reach / room) ** 2
    return max(n + 1, math.ceil(found)) if found < MOST_ITEMS else None
