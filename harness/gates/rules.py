"""The rules of gates, each from pairs of cells to a `Check`: floor, max_drop, max_change, min_gain, max_flips.

A bound itself passes. `max_drop` and `max_change` may ask for a test: then the whole interval counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from harness.gates.check import Check, Decided, Subject, rule_of
from harness.gates.pairs import Pair
from harness.statistics.decisions import as_stored, flips
from harness.statistics.difference import Difference, mean_difference

SLACK = 1e-9
"""Of floating-point differences; no score is shown with so many digits."""


def against_floor(subject: Subject, pairs: Sequence[Pair], sign: float) -> Check:
    """Return whether a score, or the mean of several, reaches the floor; `sign` is -1 where less is better."""
    _, floor = rule_of(subject.gate)
    value = fmean(pair.score for pair in pairs)
    said = f"{value:.2f}, asked for {'at most' if sign < 0 else 'at least'} {floor:.2f}"
    return subject.passed(value, said) if sign * (value - floor) >= -SLACK else subject.failed(value, said)


def against_reference(subject: Subject, pairs: Sequence[Pair], sign: float) -> Check:
    """Return whether the difference to the reference, or the mean of several, keeps the bound of the gate's rule."""
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


def against_decisions(subject: Subject, pair: Pair, decided: Decided) -> Check:
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


def _non_inferior(subject: Subject, found: Difference, sign: float, said: str) -> Check:
    """Return whether the whole interval lies above -bound: one-sided, at 2.5 %."""
    _, bound = rule_of(subject.gate)
    if found.low is None or found.high is None:
        return subject.failed(found.value, f"{said}: no 95% interval, so no test")
    low = found.low if sign > 0 else -found.high
    said += f", the 95% interval begins at {low:+.2f}, asked for above {-bound:.2f}"
    surely_equal = found.low == found.high == bound == 0.0
    return subject.passed(found.value, said) if low > -bound or surely_equal else subject.failed(found.value, said)
