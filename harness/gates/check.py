"""What a check is: a condition on one model, judged; and what all checks of a suite are judged with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.gates.baselines import Baseline
from harness.results.records import Score
from harness.statistics.decisions import Decisions
from harness.suite.checks.gates import RULES
from harness.suite.schema import Gate
from harness.summary.views import Comparer, Summary

AGAINST_BASELINE = ("max_drop", "max_change", "max_flips")
"""Rules that are judged against what `--baseline` names, unless the gate names a model."""
Decided = Callable[[Score], Decisions | None]
"""From a cell to the decisions behind its score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What every gate of a suite is judged with."""

    summary: Summary
    """The cells; its own means are not used."""
    baseline: Baseline | None
    """What `--baseline` named."""
    compare: Comparer
    """Paired difference of two cells at hand."""
    decided: Decided
    """The decisions behind a cell at hand; None where its type makes none, or its items are gone."""
    models: tuple[str, ...] = ()
    """Only these; empty: all."""


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
class Subject:
    """What a check is about, before it is judged."""

    gate: Gate
    model: str
    scope: str

    def passed(self, value: float, said: str) -> Check:
        """Return that the condition holds."""
        return self._check(passed=True, value=value, said=said, reasons=())

    def failed(
        self, value: float | None, said: str, reasons: Sequence[str] = (), *, failed_cell: bool = False
    ) -> Check:
        """Return that it does not hold.

        Args:
            value: what was judged; None where there is nothing to judge.
            said: what was found.
            reasons: why it failed; `said` where there are no others.
            failed_cell: whether a cell it needs ended in an error.
        """
        reasons = tuple(dict.fromkeys(reasons)) or (said,)
        return self._check(passed=False, value=value, said=said, reasons=reasons, failed_cell=failed_cell)

    def _check(self, **found: Any) -> Check:
        rule, bound = rule_of(self.gate)
        rule = self.gate.test or rule
        return Check(gate=title(self.gate), rule=rule, bound=bound, model=self.model, scope=self.scope, **found)


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
    raise ValueError("a gate without a rule: suite.checks.gates refuses it")


def needs_baseline(gate: Gate) -> bool:
    """Whether the gate is judged against what `--baseline` names."""
    return gate.against is None and rule_of(gate)[0] in AGAINST_BASELINE
