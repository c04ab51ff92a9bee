"""Do results meet a suite's gates? Pure: views and references in, a `Check` for every condition out.

A gate never passes for want of a number: a cell that is missing, failed, not applicable, limited or not finite fails
every condition that needs it, and says so. Differences are in points, new minus reference, or in a cell's own unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.candidates.rule import rule_of
from harness.gates.check import Check, Judge, Subject, needs_baseline
from harness.gates.pairs import pair_of
from harness.gates.rules import against_decisions, against_floor, against_reference
from harness.suite.schema import Gate
from harness.summary.views import CellView


def judge(gates: Sequence[Gate], by: Judge) -> list[Check]:
    """Return every check of every gate, in suite order: gates outside, then models, then tasks."""
    checks = [check for gate in gates for check in _judge_gate(gate, by)]
    return checks + (_dropped(by) if any(needs_baseline(gate) for gate in gates) else [])


def _dropped(by: Judge) -> list[Check]:
    """Return a failed check for every cell of the baseline that the suite has no more: no gate would miss it."""
    here = {str(view.cell) for view in by.summary.cells.values()}
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
    reference = gate.against or (by.summary.baseline if gate.min_gain is not None else None)
    models = [one for one in (gate.models or by.summary.models) if one != reference or one in gate.models]
    tasks = [
        task.name
        for task in by.summary.tasks
        if gate.axis in (None, task.axis) and gate.type in (None, task.type) and gate.task in (None, task.name)
    ]
    checks = []
    if not models:
        return [Subject(gate, "-", "-").failed(None, "no model is left to judge beside the one compared with")]
    for model in models:
        if by.models and model not in by.models:
            continue
        views = [by.summary.cells[model, task] for task in tasks]
        is_single = gate.each or gate.task is not None or gate.max_flips is not None
        groups = [[view] for view in views] if is_single else [views]
        rule = rule_of(by.summary.candidates.get(model))
        checks += [_under(rule, _check(gate, by, model, group, reference)) for group in groups]
    return checks


def _under(rule: str | None, check: Check) -> Check:
    """Return the check with the rule under which its model stands, where it has an adapter."""
    return check if rule is None else replace(check, said=f"{check.said} (served {rule})")


def _check(gate: Gate, by: Judge, model: str, views: Sequence[CellView], against: str | None) -> Check:
    """Return the verdict on one model: over one task, or over the mean of several."""
    pairs = [pair_of(gate, by, view, against) for view in views]
    reasons = [reason for pair in pairs for reason in pair.reasons]
    single = len(views) == 1
    subject = Subject(gate, model, views[0].cell.task.label if single else f"mean over {len(views)} task(s)")
    if not single:
        reasons += _not_to_be_averaged(views)
    if reasons or not views:
        failed = any(view.failure for view in views)
        said = f"{len(reasons)} reason(s) not to judge" if reasons else "no task is left to judge"
        return subject.failed(None, said, reasons, failed_cell=failed)
    sign = -1.0 if views[0].score and views[0].score.lower_is_better else 1.0
    if gate.max_flips is not None:
        return against_decisions(subject, pairs[0], by.decided)
    return against_floor(subject, pairs, sign) if gate.floor is not None else against_reference(subject, pairs, sign)


def _not_to_be_averaged(views: Sequence[CellView]) -> list[str]:
    return [
        f"{view.cell}: in {view.score.unit}, which no mean holds; give it a gate of its own"
        for view in views
        if view.score and (view.score.unit != "points" or view.score.lower_is_better)
    ]
