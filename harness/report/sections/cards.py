"""A card a model, as the page and its pictures take them: one sentence of verdict and what stands behind it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.candidates.rule import ANSWERS_AS_BASE, rule_of
from harness.comparison.retention import SAME_MODEL, AxisRetention, Verdict
from harness.report.numbers import NOT_THERE, could_show, figures
from harness.report.pictures.data import Point, Whisker
from harness.report.sections.contamination import Mark
from harness.statistics.difference import Difference
from harness.summary.views import AxisSummary, Standing, Summary

AXIS_NAMES = {"embedding": "embedding", "ability": "general ability"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisLine:
    """One model on one axis."""

    axis: str
    mean: float | None
    n: int
    """Tasks in the mean."""
    difference: Difference | None
    """To the baseline; None for the baseline itself or without common tasks."""
    ahead: int = 0
    behind: int = 0
    undecided: int = 0
    reason: str | None = None
    """Why there is no mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model: the sentence a reader came for, and what stands behind it."""

    model: str
    index: int
    is_baseline: bool
    note: str | None
    rule: str | None
    """merged or switched; None of a model without an adapter."""
    sentence: str
    verdict: Verdict | None
    """On general ability; None for the baseline and for models without ability scores."""
    lines: tuple[AxisLine, ...]
    badges: tuple[tuple[str, str], ...]
    """(kind, text): what to know before believing it."""


def cards(summary: Summary, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> list[Card]:
    """Return a card a model, in the order of the suite."""
    return [_card(summary, model, index, marks) for index, model in enumerate(summary.models)]


def points_of(found: Sequence[Card]) -> list[Point]:
    """Return the models that have an embedding difference (or are the baseline) for the trade-off picture."""
    points = []
    for card in found:
        on = {line.axis: line for line in card.lines}
        embedding, other = on.get("embedding"), on.get("ability")
        if card.is_baseline:
            has_ability = other is not None and other.mean is not None
            zero = Whisker(value=0.0)
            points.append(
                Point(
                    name=card.model,
                    index=card.index,
                    x=zero,
                    y=zero if has_ability else None,
                    is_baseline=True,
                    rule=card.rule,
                )
            )
        elif embedding is not None and embedding.difference is not None:
            y = _whisker(other.difference) if other is not None and other.difference is not None else None
            points.append(
                Point(name=card.model, index=card.index, x=_whisker(embedding.difference), y=y, rule=card.rule)
            )
    return points


def _card(summary: Summary, model: str, index: int, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> Card:
    lines = tuple(_axis_line(summary, axis, model) for axis in summary.axes)
    is_baseline = model == summary.baseline
    kept = next((one for one in summary.retention if one.model == model), None)
    candidate = summary.candidates.get(model)
    return Card(
        model=model,
        index=index,
        is_baseline=is_baseline,
        note=candidate.note if candidate else None,
        rule=rule_of(candidate),
        sentence=_baseline_sentence(lines) if is_baseline else _sentence(lines, kept, rule_of(candidate)),
        verdict=kept.verdict if kept else None,
        lines=lines,
        badges=_badges(summary, model, marks),
    )


def _axis_line(summary: Summary, axis: AxisSummary, model: str) -> AxisLine:
    standing: Standing | None = next((one for one in axis.standings if one.model == model), None)
    if standing is None:
        views = [summary.cells[model, task] for task in axis.tasks]
        states = {view.status for view in views}
        units = {view.score.unit for view in views if view.score}
        reason = (
            "not applicable: it has no language model"
            if states == {"n/a"}
            else "no scores"
            if model not in axis.models
            else "no mean: none of its scores is in points"
            if "points" not in units
            else "no task that every model has a score for"
        )
        return AxisLine(axis=axis.axis, mean=None, n=0, difference=None, reason=reason)
    return AxisLine(
        axis=axis.axis,
        mean=standing.mean,
        n=len(axis.common),
        difference=standing.to_baseline,
        ahead=standing.ahead,
        behind=standing.behind,
        undecided=standing.undecided,
    )


def _baseline_sentence(lines: Sequence[AxisLine]) -> str:
    said = [
        f"{line.mean:.2f} points over {line.n} {AXIS_NAMES[line.axis]} task{'s' if line.n != 1 else ''}"
        for line in lines
        if line.mean is not None
    ]
    return f"The baseline: {' and '.join(said)}." if said else "The baseline; it has no scores yet."


def _sentence(lines: Sequence[AxisLine], kept: AxisRetention | None, rule: str | None) -> str:
    """Return what became of a model on each axis, with how sure that is."""
    said = []
    for line in lines:
        name = AXIS_NAMES[line.axis]
        if line.axis == "ability" and kept is not None:
            said.append(_retention(kept) + (f", served switched: {ANSWERS_AS_BASE}" if rule == "switched" else ""))
        elif line.mean is None:
            said.append(f"{name}: {line.reason}")
        elif line.difference is not None and line.difference.is_same_record:
            said.append(f"{name}: the same record as the baseline")
        elif line.difference is None:
            said.append(f"{name}: {line.mean:.2f} points, with no baseline score to compare with")
        else:
            said.append(_change(name, line.difference))
    text = "; ".join(said)
    return (text[:1].upper() + text[1:] + ".") if text else "No scores."


def _retention(kept: AxisRetention) -> str:
    """Return the verdict with the change and what is excluded."""
    if kept.verdict == SAME_MODEL:
        return "general ability: the same language model as the baseline, measured once"
    if kept.loss is None or kept.upper is None:
        return f"general ability {kept.verdict}"
    change = f"{0.0 - kept.loss:+.2f} points, a loss above {kept.upper:.2f} is excluded, the margin is {kept.margin:g}"
    return f"general ability {kept.verdict} ({change})"


def _change(name: str, difference: Difference) -> str:
    size = figures(difference.value, difference.low, difference.high)
    if difference.low is None or difference.high is None:
        return f"{name} changed by {size} points, how surely cannot be said"
    if not difference.is_clear:
        least = could_show(difference)
        seen = f"; a true change of {least} would have been clear with a chance of 80%" if least != NOT_THERE else ""
        return f"no clear change on {name}: {size} points{seen}"
    low, high = sorted((abs(difference.low), abs(difference.high)))
    verb = "gained" if difference.value > 0 else "lost"
    return f"{verb} {figures(abs(difference.value), low, high, sign=False)} points on {name}"


def _badges(
    summary: Summary, model: str, marks: Mapping[tuple[str, str], Sequence[Mark]]
) -> tuple[tuple[str, str], ...]:
    views = [view for (name, _), view in summary.cells.items() if name == model]
    counts = {status: sum(view.status == status for view in views) for status in ("error", "missing")}
    marked = {task for (name, task) in marks if name == model}
    rule = rule_of(summary.candidates.get(model))
    badges = [("", f"served {rule}")] if rule else []
    if counts["error"]:
        badges.append(("bad", f"{counts['error']} failed"))
    if counts["missing"]:
        badges.append(("warn", f"{counts['missing']} missing"))
    if marked:
        badges.append(("warn", f"saw data of {len(marked)} task{'s' if len(marked) != 1 else ''}"))
    return tuple(badges)


def _whisker(difference: Difference) -> Whisker:
    return Whisker(value=difference.value, low=difference.low, high=difference.high)
