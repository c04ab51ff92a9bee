"""Is general ability kept? A verdict from paired items: pure functions, numpy and scipy only.

The question is one of non-inferiority: is a loss of the margin or more excluded? Each side is tested one-sided at 5 %:

- retained: a loss of the margin or more is excluded;
- lost: a loss of no more than the margin is excluded;
- undecided: neither; with the number of items that would decide it if they go on as these did;
- same language model: both are one stored measurement (vectors differ, answers cannot);
- not measurable: the baseline is not above chance by more than the margin, so there is nothing to lose; then nats per
  token of the gold answers decide, at a margin of their own.

Right-or-wrong items are tested exactly (`harness.statistics.proportions`), so that no flip at all in a hundred items is
undecided and not "0 +- 0". Means of other scores take Student's t, or its correction for a long tail
(`harness.statistics.tails`) where that is less sure; where fewer than ten items differ, and most do not, they must also
pass the exact test with each of these items counted as a whole win or loss of the largest size seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.results.records import Unit
from harness.statistics.conventions import POINTS
from harness.statistics.paired import few_differ
from harness.statistics.proportions import items_without_flips, largest_loss, p_not_worse, p_worse, score_statistic
from harness.statistics.tails import skewed, unskewed

LEVEL = 0.05
"""Error of "retained" at the margin, and of "lost"."""
MOST_ITEMS = 10**9
"""More items than this decide nothing in practice."""
SKEWNESS_REACH = 3.0
"""Standard errors by which the skewness of the losses may be larger than it looks."""
NEEDED_STEP = 1.05
"""The number of items that would decide is found to within so much."""
Decision = Literal["retained", "lost", "undecided"]
Verdict = Literal["retained", "lost", "undecided", "not measurable", "same language model"]
SAME_MODEL: Verdict = "same language model"
"""Of a candidate that shares its ability cells with the baseline: nothing could be lost, so nothing is tested."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One measure held against its margin."""

    evidence: Evidence
    margin: float
    """Largest loss that counts as none, in the evidence's unit."""
    verdict: Decision
    upper: float
    """Losses above this are excluded (one-sided, 95 %)."""
    lower: float
    """Losses below this are excluded (one-sided, 95 %); negative: it may have gained."""
    excludable: float
    """The smallest loss that so many items can exclude at best: with no flip, or with this spread and no loss."""
    needed: int | None
    """Items that would decide an undecided verdict if they go on as these; None where it is decided or none would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetention:
    """What is said of one model on one ability task."""

    task: str
    verdict: Verdict
    main: Judgement | None
    """Of the task's own metric; None where there are no paired items."""
    nats: Judgement | None
    """Of the gold answers' nats per token, where both models read them in the same tokens."""
    why: str | None = None
    """Why it is not measurable, or cannot be judged."""

    @property
    def decision(self) -> Decision | None:
        """What counts for the axis: the verdict, or that in nats where the task is not measurable; None: nothing."""
        if self.verdict == "not measurable":
            return self.nats.verdict if self.nats else None
        return None if self.verdict == "same language model" else self.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisRetention:
    """What is said of one model over the ability axis."""

    model: str
    baseline: str
    verdict: Verdict
    """The worst of the mean in points and of the tasks that nats decide."""
    loss: float | None
    """Mean loss over the measurable tasks, in points; tasks fixed, items resampled within each."""
    upper: float | None
    """Mean losses above this are excluded (one-sided, 95 %)."""
    lower: float | None
    margin: float
    needed: int | None
    """Items over all measurable tasks that would decide it, as `Judgement.needed`."""
    tasks: tuple[TaskRetention, ...]
    absent: tuple[str, ...] = ()
    """Tasks of the axis without a score from both models: not in the verdict."""

    @property
    def measurable(self) -> tuple[TaskRetention, ...]:
        """The tasks whose own metric is in the mean."""
        return tuple(one for one in self.tasks if one.main is not None and _in_mean(one))

    @property
    def by_nats(self) -> tuple[TaskRetention, ...]:
        """The tasks that count by a verdict in nats: likelihood tasks, and those not measurable in points."""
        return tuple(
            one for one in self.tasks if one.main is not None and not _in_mean(one) and one.decision is not None
        )


def judge(evidence: Evidence, margin: float) -> Judgement:
    """Hold `evidence` against `margin`, in its unit; raises ValueError where the margin is not above 0."""
    if not margin > 0:
        raise ValueError(f"a margin is a number above 0, got {margin!r}")
    kept, gone = p_kept(evidence, margin) <= LEVEL, p_lost(evidence, margin) <= LEVEL
    verdict: Decision = "retained" if kept else "lost" if gone else "undecided"
    return Judgement(
        evidence=evidence,
        margin=margin,
        verdict=verdict,
        upper=_upper(evidence),
        lower=-_upper(_turned(evidence)),
        excludable=_excludable(evidence),
        needed=_needed(evidence, margin) if verdict == "undecided" else None,
    )


def judge_task(
    task: str, main: Evidence | None, nats: Evidence | None, *, chance: float | None, margin: float, nats_margin: float
) -> TaskRetention:
    """Return the verdict on one task.

    Args:
        task: its name.
        main: evidence of its own metric.
        nats: evidence of the gold answers' nats per token.
        chance: what guessing scores in points; None where the metric knows none.
        margin: in points.
        nats_margin: in nats per token.
    """
    in_nats = judge(nats, nats_margin) if nats else None
    if main is None:
        why = "the two cells have no items that pair up"
        return TaskRetention(task=task, verdict="undecided", main=None, nats=in_nats, why=why)
    if main.unit == "raw":
        why = f"{main.measure} has a unit of its own, for which there is no margin"
        return TaskRetention(task=task, verdict="not measurable", main=None, nats=in_nats, why=why)
    judged = judge(main, nats_margin if main.unit == "nats" else margin)
    why_not = _nothing_to_lose(main, chance, margin)
    return TaskRetention(
        task=task,
        verdict="not measurable" if why_not else judged.verdict,
        main=judged,
        nats=in_nats,
        why=why_not,
    )


def of_same_record(task: str) -> TaskRetention:
    """Return what is said of a task whose cell a model shares with the baseline."""
    return TaskRetention(task=task, verdict=SAME_MODEL, main=None, nats=None)


def judge_axis(
    model: str, baseline: str, tasks: Sequence[TaskRetention], *, margin: float, absent: Sequence[str] = ()
) -> AxisRetention:
    """Return the verdict over tasks: the mean loss of the measurable ones, and each that only nats can decide.

    Tasks are fixed and items are independent between them, so the distances from each loss to its limit are added in
    squares (MOVER; Zou & Donner 2008, Statistics in Medicine 27:1693-1702).
    """
    mains = [one.main for one in tasks if one.main is not None and _in_mean(one)]
    verdicts: list[Decision] = [one.decision for one in tasks if not _in_mean(one) and one.decision is not None]
    loss = upper = lower = None
    needed = None
    if mains:
        loss = sum(one.evidence.loss for one in mains) / len(mains)
        above = math.sqrt(sum((one.upper - one.evidence.loss) ** 2 for one in mains)) / len(mains)
        below = math.sqrt(sum((one.evidence.loss - one.lower) ** 2 for one in mains)) / len(mains)
        upper, lower = loss + above, loss - below
        verdicts.append("retained" if upper < margin else "lost" if lower > margin else "undecided")
        if verdicts[-1] == "undecided":
            total = sum(one.evidence.n for one in mains)
            needed = _more(total, above if loss < margin else below, margin - loss)
    worst: Verdict = min(verdicts, key=["lost", "undecided", "retained"].index) if verdicts else "not measurable"
    if tasks and all(one.verdict == SAME_MODEL for one in tasks):
        worst = SAME_MODEL
    return AxisRetention(
        model=model, baseline=baseline, verdict=worst, loss=loss, upper=upper, lower=lower, margin=margin,
        needed=needed, tasks=tuple(tasks), absent=tuple(absent),
    )  # fmt: skip


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


def _upper(evidence: Evidence) -> float:
    """Return the loss above which all are excluded."""
    from scipy.stats import t as student

    if evidence.stderr is None:
        return evidence.scale * largest_loss(evidence.wins, evidence.losses, evidence.n, LEVEL)
    upper = evidence.loss
    if evidence.stderr:
        reach = float(student.ppf(1 - LEVEL, evidence.freedom))
        upper += evidence.stderr * max(reach, -skewed(-reach, _worst_skewness(evidence), evidence.n))
    if _is_rare(evidence):
        upper = max(upper, evidence.scale * largest_loss(evidence.wins, evidence.losses, evidence.n, LEVEL))
    return upper


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


def _excludable(evidence: Evidence) -> float:
    from scipy.stats import t as student

    if evidence.stderr and not _is_rare(evidence):
        return float(student.ppf(1 - LEVEL, evidence.freedom)) * evidence.stderr
    return evidence.scale * largest_loss(0, 0, evidence.n, LEVEL)


def _needed(evidence: Evidence, margin: float) -> int | None:
    """Return how many items like these would decide; None where the loss is the margin itself."""
    from scipy.stats import norm
    from scipy.stats import t as student

    is_kept = evidence.loss < margin  # then more items would show that, else that it is lost
    share, found = margin / evidence.scale, []
    if share < 1 and (evidence.stderr is None or _is_rare(evidence)):
        seen = evidence if is_kept else _turned(evidence)
        statistic = float(score_statistic(seen.wins, seen.losses, seen.n, -share if is_kept else share))
        first = _more(evidence.n, float(norm.ppf(1 - LEVEL)), statistic)
        found.append(None if first is None else _exactly(seen, share if is_kept else -share, first))
    if evidence.stderr:
        reach = float(student.ppf(1 - LEVEL, evidence.freedom)) * evidence.stderr
        found.append(_more(evidence.n, reach, abs(margin - evidence.loss)))
    numbers = [one for one in found if one is not None]
    return max(numbers) if numbers and len(numbers) == len(found) else None


def _exactly(seen: Evidence, share: float, first: int) -> int | None:
    """Return about how many items with flips at the rate of `seen` pass the exact test, from `first` up in steps."""
    if not seen.wins + seen.losses and share > 0:
        return max(seen.n + 1, items_without_flips(share, LEVEL))
    n = first
    while n < MOST_ITEMS:
        wins, losses = round(seen.wins * n / seen.n), round(seen.losses * n / seen.n)
        if p_not_worse(wins, losses, n, share) <= LEVEL:
            return n
        n = math.ceil(n * NEEDED_STEP)
    return None


def _more(n: int, reach: float, room: float) -> int | None:
    """Return how many items shrink `reach` to `room`: it falls with the root of their number; more than n."""
    if room == 0:
        return None
    found = n * (reach / room) ** 2
    return max(n + 1, math.ceil(found)) if found < MOST_ITEMS else None


def _nothing_to_lose(main: Evidence, chance: float | None, margin: float) -> str | None:
    """Return why the baseline has no ability to lose here, or None where it has."""
    from scipy.stats import binomtest

    if main.unit != "points":
        return None
    guessing = chance or 0.0
    if main.base <= guessing + margin:
        if guessing:
            return f"the baseline's {main.base:.2f} is not above chance ({guessing:.2f}) by more than the margin"
        return f"the baseline's {main.base:.2f} leaves no more than the margin to lose"
    if guessing and main.base_right is not None:
        p_value = float(binomtest(main.base_right, main.n, guessing / POINTS, alternative="greater").pvalue)
        if p_value > LEVEL:
            return f"the baseline's {main.base:.2f} may be chance ({guessing:.2f}; exact binomial p = {p_value:.2f})"
    return None


def _in_mean(one: TaskRetention) -> bool:
    """Whether the task's own metric is in the mean over the axis: in points, and measurable."""
    return one.verdict != "not measurable" and one.main is not None and one.main.evidence.unit == "points"
