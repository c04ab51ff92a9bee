"""Is general ability kept? A verdict from paired items: pure functions, numpy and scipy only.

The question is one of non-inferiority: is a loss of the margin or more excluded? Each side is tested one-sided at 5 %
(`losses.py` says how):

- retained: a loss of the margin or more is excluded;
- lost: a loss of no more than the margin is excluded;
- undecided: neither; with the number of items that would decide it if they go on as these did;
- same language model: both are one stored measurement (vectors differ, answers cannot);
- not measurable: the baseline is not above chance by more than the margin, so there is nothing to lose; then nats per
  token of the gold answers decide, at a margin of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.comparison.losses import (
    LEVEL,
    Evidence,
    excludable,
    items_to_shrink,
    lower,
    needed,
    p_kept,
    p_lost,
    upper,
)
from harness.statistics.conventions import POINTS

Decision = Literal["retained", "lost", "undecided"]
Verdict = Literal["retained", "lost", "undecided", "not measurable", "same language model"]
SAME_MODEL: Verdict = "same language model"
"""Of a candidate that shares its ability cells with the baseline: nothing could be lost, so nothing is tested."""


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
    """The worst of the mean in points and of the tasks that nats decide, "lost" at `lost_level` alone."""
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
    lost_level: float = LEVEL
    """One-sided error of a "lost" that makes the axis lost: 5 % over the number of verdicts that could say so."""

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
        upper=upper(evidence),
        lower=lower(evidence),
        excludable=excludable(evidence),
        needed=needed(evidence, margin) if verdict == "undecided" else None,
    )


Judge = Callable[[Evidence, float], Judgement]
"""Holds evidence against a margin, in its unit."""


def judge_task(
    task: str,
    main: Evidence | None,
    nats: Evidence | None,
    *,
    chance: float | None,
    margin: float,
    nats_margin: float,
    decide: Judge = judge,
) -> TaskRetention:
    """Return the verdict on one task.

    Args:
        task: its name.
        main: evidence of its own metric.
        nats: evidence of the gold answers' nats per token.
        chance: what guessing scores in points; None where the metric knows none.
        margin: in points.
        nats_margin: in nats per token.
        decide: `judge`, or what remembers its answers.
    """
    in_nats = decide(nats, nats_margin) if nats else None
    if main is None:
        why = "the two cells have no items that pair up"
        return TaskRetention(task=task, verdict="undecided", main=None, nats=in_nats, why=why)
    if main.unit == "raw":
        why = f"{main.measure} has a unit of its own, for which there is no margin"
        return TaskRetention(task=task, verdict="not measurable", main=None, nats=in_nats, why=why)
    judged = decide(main, nats_margin if main.unit == "nats" else margin)
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

    Any of these verdicts makes the axis lost, so each must be sure of it at 5 % divided by their number (Bonferroni):
    six tasks at a loss of just the margin, each tested at 5 %, would call it lost in 26 % of cases. All of them must
    say retained, which needs no division (Berger 1982, Technometrics 24:295-300).

    Args:
        model, baseline: names.
        tasks: what is said of each task that both have.
        margin: the largest mean loss that counts as none, in points.
        absent: tasks of the axis that one of them lacks.
    """
    mains = [one.main for one in tasks if one.main is not None and _in_mean(one)]
    others = [one for one in tasks if not _in_mean(one) and one.decision is not None]
    level = LEVEL / max(1, len(others) + bool(mains))
    mean = _mean_loss(mains, margin, level)
    verdicts = [_at_level(one, level) for one in others]
    if mean.verdict is not None:
        verdicts.append(mean.verdict)
    worst: Verdict = min(verdicts, key=["lost", "undecided", "retained"].index) if verdicts else "not measurable"
    if tasks and all(one.verdict == SAME_MODEL for one in tasks):
        worst = SAME_MODEL
    return AxisRetention(
        model=model, baseline=baseline, verdict=worst, loss=mean.loss, upper=mean.upper, lower=mean.lower,
        margin=margin, needed=mean.needed, tasks=tuple(tasks), absent=tuple(absent), lost_level=level,
    )  # fmt: skip


def _at_level(one: TaskRetention, level: float) -> Decision:
    """Return the decision on a task, undecided where it is not lost with an error of `level`."""
    judged = one.nats if one.verdict == "not measurable" else one.main
    if one.decision == "lost" and judged is not None and p_lost(judged.evidence, judged.margin) > level:
        return "undecided"
    return one.decision or "undecided"


class _MeanLoss(NamedTuple):
    """The mean over the measurable tasks, as `AxisRetention` has it; all None where there is no such task."""

    verdict: Decision | None = None
    loss: float | None = None
    upper: float | None = None
    lower: float | None = None
    needed: int | None = None


def _mean_loss(mains: Sequence[Judgement], margin: float, lost_level: float) -> _MeanLoss:
    """Return the mean loss and its limits, lost only with an error of `lost_level`.

    Tasks are fixed and items are independent between them, so the distances from each loss to its limit are added in
    squares (MOVER; Zou & Donner 2008, Statistics in Medicine 27:1693-1702).
    """
    if not mains:
        return _MeanLoss()
    loss = sum(one.evidence.loss for one in mains) / len(mains)
    above = math.sqrt(sum((one.upper - one.evidence.loss) ** 2 for one in mains)) / len(mains)
    below = _below(mains, LEVEL)
    verdict: Decision = "retained" if loss + above < margin else "undecided"
    if loss - below > margin and loss - _below(mains, lost_level) > margin:
        verdict = "lost"
    items = None
    if verdict == "undecided":
        total = sum(one.evidence.n for one in mains)
        items = items_to_shrink(total, above if loss < margin else below, margin - loss)
    return _MeanLoss(verdict, loss, loss + above, loss - below, items)


def _below(mains: Sequence[Judgement], level: float) -> float:
    """Return how far below the mean loss the limit of an error of `level` is."""
    limits = [one.lower if level == LEVEL else lower(one.evidence, level) for one in mains]
    squares = [(one.evidence.loss - limit) ** 2 for one, limit in zip(mains, limits, strict=True)]
    return math.sqrt(sum(squares)) / len(mains)


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
