"""Do results meet a suite's gates? Pure: views and references in, a `Check` for every condition out.

A gate never passes for want of a number: a cell that is missing, failed, not applicable, limited or not finite fails
every condition that needs it, and says so. Differences are in points, new minus reference, or in a cell's own unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from harness.gates.baselines import Baseline, Reference
from harness.results.records import Score
from harness.statistics.conventions import NORMAL_QUANTILE
from harness.statistics.decisions import Decisions, as_stored, flips
from harness.statistics.difference import Difference, mean_difference
from harness.suite.checks.gates import RULES
from harness.suite.schema import Gate
from harness.summary.views import CellView, Summary

SLACK = 1e-9
"""Of floating-point differences; no score is shown with so many digits."""
AGAINST_BASELINE = ("max_drop", "max_change", "max_flips")
"""Rules that are judged against what `--baseline` names, unless the gate names a model."""
Comparer = Callable[[Score, Score], Difference]
Decided = Callable[[Score], Decisions | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition on one model, judged."""

    gate: str
    rule: str
    """floor, max_drop, max_change, max_flips, min_gain, or non-inferiority."""
    model: str
    scope: str
    """A task, or `mean over 7 task(s)` of what."""
    passed: bool
    value: float | None
    """The score (floor), the difference or the number of flips that was judged; None where there is none."""
    bound: float
    said: str
    """What was found and what was asked, with the test that was applied."""
    reasons: tuple[str, ...] = ()
    """Why it failed; empty where it passed."""
    failed_cell: bool = False
    """Whether a cell it needs ended in an error."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a check is about, before it is judged."""

    gate: Gate
    model: str
    scope: str

    def passed(self, value: float, said: str) -> Check:
        return self._check(passed=True, value=value, said=said, reasons=())

    def failed(
        self, value: float | None, said: str, reasons: Sequence[str] = (), *, failed_cell: bool = False
    ) -> Check:
        reasons = tuple(dict.fromkeys(reasons)) or (said,)
        return self._check(passed=False, value=value, said=said, reasons=reasons, failed_cell=failed_cell)

    def _check(self, **found: Any) -> Check:
        rule, bound = rule_of(self.gate)
        rule = self.gate.test or rule
        return Check(gate=title(self.gate), rule=rule, bound=bound, model=self.model, scope=self.scope, **found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What every gate of a suite is judged with."""

    report: Summary
    """The cells; its own means are not used."""
    baseline: Baseline | None
    """What `--baseline` named."""
    compare: Comparer
    """Paired difference of two cells at hand."""
    decided: Decided
    """The decisions behind a cell at hand; None where its type makes none, or its items are gone."""
    models: tuple[str, ...] = ()
    """Only these; empty: all."""


def title(gate: Gate) -> str:
    """Return the gate's name, or its condition in words."""
    if gate.name:
        return gate.name
    of = [part for part in (gate.axis, gate.type, gate.task) if part]
    rule, bound = rule_of(gate)
    test = f" ({gate.test})" if gate.test else ""
    against = f" against {gate.against}" if gate.against else ""
    each = ", each task" if gate.each and not gate.task else ""
    return f"{' '.join(of) or 'all tasks'}{each}: {rule} {bound:g}{test}{against}"


def rule_of(gate: Gate) -> tuple[str, float]:
    """Return the gate's rule and its bound."""
    for rule in RULES:
        bound = getattr(gate, rule)
        if bound is not None:
            return rule, bound
    raise ValueError("a gate without a rule: gate_checks refuses it")


def needs_baseline(gate: Gate) -> bool:
    """Whether the gate is judged against what `--baseline` names."""
    return gate.against is None and rule_of(gate)[0] in AGAINST_BASELINE


def judge(gates: Sequence[Gate], by: Judge) -> list[Check]:
    """Return every check of every gate, in suite order: gates outside, then models, then tasks."""
    checks = [check for gate in gates for check in _judge_gate(gate, by)]
    return checks + (_dropped(by) if any(needs_baseline(gate) for gate in gates) else [])


def _dropped(by: Judge) -> list[Check]:
    """Return a failed check for every cell of the baseline that the suite has no more: no gate would miss it."""
    here = {str(view.cell) for view in by.report.cells.values()}
    gone = [name for name in (by.baseline.cells if by.baseline else ()) if name not in here]
    why = "in the baseline and no longer in the suite; `--update` takes it out"
    return [
        Check(
            gate="every cell of the baseline",
            rule="max_drop",
            model=name.partition("/")[0],
            scope=name.partition("/")[2],
            passed=False,
            value=None,
            bound=0.0,
            said=why,
            reasons=(f"{name}: {why}",),
        )
        for name in gone
        if not by.models or name.partition("/")[0] in by.models
    ]


def _judge_gate(gate: Gate, by: Judge) -> list[Check]:
    reference = gate.against or (by.report.baseline if gate.min_gain is not None else None)
    models = [one for one in (gate.models or by.report.models) if one != reference or one in gate.models]
    tasks = [
        task.name
        for task in by.report.tasks
        if gate.axis in (None, task.axis) and gate.type in (None, task.type) and gate.task in (None, task.name)
    ]
    checks = []
    if not models:
        return [_Subject(gate, "-", "-").failed(None, "no model is left to judge beside the one compared with")]
    for model in models:
        if by.models and model not in by.models:
            continue
        views = [by.report.cells[model, task] for task in tasks]
        is_single = gate.each or gate.task is not None or gate.max_flips is not None
        groups = [[view] for view in views] if is_single else [views]
        checks += [_check(gate, by, model, group, reference) for group in groups]
    return checks


def _check(gate: Gate, by: Judge, model: str, views: Sequence[CellView], against: str | None) -> Check:
    """Return the verdict on one model: over one task, or over the mean of several."""
    pairs = [_pair(gate, by, view, against) for view in views]
    reasons = [reason for pair in pairs for reason in pair.reasons]
    single = len(views) == 1
    subject = _Subject(gate, model, views[0].cell.task.label if single else f"mean over {len(views)} task(s)")
    if not single:
        reasons += _not_to_be_averaged(views)
    if reasons or not views:
        failed = any(view.failure for view in views)
        said = f"{len(reasons)} reason(s) not to judge" if reasons else "no task is left to judge"
        return subject.failed(None, said, reasons, failed_cell=failed)
    sign = -1.0 if views[0].score and views[0].score.lower_is_better else 1.0
    if gate.max_flips is not None:
        return _against_decisions(subject, pairs[0], by.decided)
    return _against_floor(subject, pairs, sign) if gate.floor is not None else _against(subject, pairs, sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A cell and what it is compared with, or the reasons why it is not."""

    reasons: tuple[str, ...] = ()
    score: float = math.nan
    record: Score | None = None
    """The cell that is judged; None where there are reasons."""
    reference: Reference | None = None
    """None for a floor."""
    difference: Difference | None = None
    how: str = ""
    """How the difference got its interval."""
    source: str = ""


def _pair(gate: Gate, by: Judge, view: CellView, against: str | None) -> _Pair:
    reason = _unfit(view, gate)
    if reason is not None or view.score is None:
        return _Pair(reasons=(f"{view.cell}: {reason}",))
    if gate.floor is not None:
        return _Pair(score=view.score.score)
    if against is not None:
        other = by.report.cells.get((against, view.cell.task.name))
        reason = "not in this suite" if other is None else _unfit(other, gate)
        if other is None or other.score is None or reason is not None:
            return _Pair(reasons=(f"{against}/{view.cell.task.label}: {reason}",))
        if other.cell.task.label != view.cell.task.label:
            return _Pair(reasons=(f"{view.cell}: {other.cell} is another task",))
        reference, source = Reference.of(other.score), against
    elif by.baseline is None:
        return _Pair(reasons=(f"{view.cell}: there is no baseline: give --baseline FILE",))
    elif (stored := by.baseline.cells.get(str(view.cell))) is None:
        return _Pair(reasons=(f"{view.cell}: not in the baseline {by.baseline.source}",))
    else:
        reference, source = stored, by.baseline.source
    unlike = _unlike(view.score, reference)
    if unlike:
        return _Pair(reasons=(f"{view.cell}: not the task of the baseline: {unlike}",))
    difference, how = _difference(view.score, reference, by.compare)
    return _Pair(
        score=view.score.score,
        record=view.score,
        reference=reference,
        difference=difference,
        how=how,
        source=source,
    )


def _unfit(view: CellView, gate: Gate) -> str | None:
    """Return why a cell cannot be judged, or None."""
    if view.failure:
        return f"failed: {view.failure.error}: {view.failure.message.splitlines()[0] if view.failure.message else ''}"
    if view.status == "n/a":
        return f"n/a: {view.reason}; `models:` in the gate says whom it is for"
    if view.score is None:
        return f"missing: {view.reason}"
    if not math.isfinite(view.score.score):
        return f"the score is {view.score.score}"
    if view.score.limit and not gate.allow_limited:
        return f"limited to {view.score.limit} item(s); a gate wants whole tasks, or `allow_limited: true`"
    return None


def _unlike(score: Score, reference: Reference) -> str | None:
    both = [(name, getattr(score, name), getattr(reference, name)) for name in ("metric", "n", "limit")]
    apart = [f"{name} {own}, there {other}" for name, own, other in both if own != other]
    return "; ".join(apart) or None


def _not_to_be_averaged(views: Sequence[CellView]) -> list[str]:
    return [
        f"{view.cell}: in {view.score.unit}, which no mean holds; give it a gate of its own"
        for view in views
        if view.score and (view.score.unit != "points" or view.score.lower_is_better)
    ]


def _difference(score: Score, reference: Reference, compare: Comparer) -> tuple[Difference, str]:
    """Return new minus reference, and how it got its interval."""
    if score.key == reference.key and abs(score.score - reference.score) < 1e-4:
        return Difference(value=0.0, stderr=0.0, low=0.0, high=0.0, n=score.n), "the very same cell"
    if reference.record is not None:
        paired = compare(score, reference.record)
        if paired.stderr is not None:
            return paired, "the very same cell" if paired.is_same_record else "paired over items"
    value = score.score - reference.score
    if score.stderr is None or reference.stderr is None:
        return Difference(value=value, stderr=None, low=None, high=None, n=score.n), "no interval"
    stderr = math.hypot(score.stderr, reference.stderr)
    reach = NORMAL_QUANTILE * stderr
    unpaired = Difference(value=value, stderr=stderr, low=value - reach, high=value + reach, n=score.n)
    return unpaired, "unpaired, from both standard errors, since the baseline's items are not at hand"


def _against_floor(subject: _Subject, pairs: Sequence[_Pair], sign: float) -> Check:
    _, floor = rule_of(subject.gate)
    value = fmean(pair.score for pair in pairs)
    said = f"{value:.2f}, asked for {'at most' if sign < 0 else 'at least'} {floor:.2f}"
    return subject.passed(value, said) if sign * (value - floor) >= -SLACK else subject.failed(value, said)


def _against(subject: _Subject, pairs: Sequence[_Pair], sign: float) -> Check:
    rule, bound = rule_of(subject.gate)
    each = [pair.difference for pair in pairs if pair.difference is not None]
    found = each[0] if len(each) == 1 else mean_difference(each)
    assert found is not None  # noqa: S101 - there is at least one pair, and each has its difference
    said = f"{fmean(pair.score for pair in pairs):.2f}, {found.value:+.2f} to {pairs[0].source}"
    if subject.gate.test is not None:
        ways = "; ".join(dict.fromkeys(pair.how for pair in pairs))
        return _non_inferior(subject, found, sign, f"{said} ({ways})")
    gain = sign * found.value
    passed, asked = {
        "max_drop": (gain >= -bound - SLACK, "a drop of at most"),
        "max_change": (abs(gain) <= bound + SLACK, "a change of at most"),
        "min_gain": (gain >= bound - SLACK, "a gain of at least"),
    }[rule]
    said += f", asked for {asked} {bound:.2f}"
    return subject.passed(found.value, said) if passed else subject.failed(found.value, said)


def _against_decisions(subject: _Subject, pair: _Pair, decided: Decided) -> Check:
    """Return whether few enough of the decisions behind a score are other than the reference's."""
    assert pair.record is not None  # noqa: S101 - a pair without reasons has all three
    assert pair.reference is not None  # noqa: S101
    assert pair.difference is not None  # noqa: S101
    _, bound = rule_of(subject.gate)
    own, other = decided(pair.record), pair.reference.decisions
    if other is None and pair.reference.record is not None:
        made = decided(pair.reference.record)
        other = as_stored(made) if made else None
    if own is None or other is None:
        why = (
            f"no decisions are at hand for {pair.source}; `--update` writes them"
            if own is not None
            else f"{pair.record.metric} is not made of decisions; use `max_change`"
        )
        return subject.failed(None, why)
    flipped = flips(as_stored(own), other)
    if flipped is None:
        return subject.failed(None, f"not the decisions of {pair.source}: on other items, or of another kind")
    moved = f"({pair.score:.2f}, {pair.difference.value:+.2f})"
    said = f"{flipped} of {own.n} decision(s) other than in {pair.source} {moved}, asked for at most {bound:g}"
    return subject.passed(flipped, said) if flipped <= bound else subject.failed(flipped, said)


def _non_inferior(subject: _Subject, found: Difference, sign: float, said: str) -> Check:
    """Return whether the whole interval lies above -bound: one-sided, at 2.5 %."""
    _, bound = rule_of(subject.gate)
    if found.low is None or found.high is None:
        return subject.failed(found.value, f"{said}: no 95% interval, so no test")
    low = found.low if sign > 0 else -found.high
    said += f", the 95% interval begins at {low:+.2f}, asked for above {-bound:.2f}"
    surely_equal = found.low == found.high == bound == 0.0
    return subject.passed(found.value, said) if low > -bound or surely_equal else subject.failed(found.value, said)
