"""What stands beside ability scores: chance, unreadable answers, the continuous measure, and how it was asked."""

from __future__ import annotations

from typing import Any

from harness.report.numbers import NOT_THERE, figure, percent, points
from harness.report.sections import retention
from harness.report.sections.section import Link, Report
from harness.report.tables import folded, table
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.summary.views import CellView, Summary

LINK = Link("ability", "Ability", is_always_there=False)
HEADER = (
    "task", "model", "score", "chance", "majority", "not extracted", "cut at the limit", "gold answer", "also",
    "asked with",
)  # fmt: skip

BELOW = " BELOW CHANCE"
"""Behind a score that is significantly worse than a guess."""


def markdown(report: Report) -> str:
    """Return what was kept, task by task, and what stands beside the scores; empty where no ability was scored."""
    summary = report.summary
    if not any(axis.axis == "ability" and axis.models for axis in summary.axes):
        return ""
    found = rows(summary)
    beside = folded(f"All {len(found)} cells", table(HEADER, found), rows=len(found))
    return "\n\n".join([*retention.section(summary), "## Beside the scores", beside, *notes(summary)])


def page(report: Report) -> dict[str, Any]:
    """Return the table with its notes, and whether the ability was kept."""
    summary = report.summary
    return {
        "ability_header": HEADER,
        "ability_rows": rows(summary),
        "ability_notes": notes(summary),
        "retention_header": retention.HEADER,
        "retention_rows": retention.rows(summary),
        "retention_legend": retention.LEGEND,
        "badges": retention.BADGES,
    }


def chance_note(score: Score) -> str:
    """Return ` / chance 50.00, majority 54.00`, with a warning where the score is significantly below chance.

    Empty where chance is not known.
    """
    facts = facts_of(score).ability
    if facts.get("chance") is None:
        return ""
    note = f" / chance {points(facts['chance'])}"
    if facts.get("majority") is not None:
        note += f", majority {points(facts['majority'])}"
    return f"{note}{BELOW}" if facts.get("is_below_chance") else note


def rows(summary: Summary) -> list[list[str]]:
    """Return a row for every scored ability cell, tasks outside, models inside."""
    views = [
        summary.cells[model, task.name] for task in summary.tasks if task.axis == "ability" for model in summary.models
    ]
    return [_row(view, view.score) for view in views if view.score is not None]


def notes(summary: Summary) -> list[str]:
    """Return the sentences that explain the table, warnings first."""
    scores = [view.score for view in summary.cells.values() if view.score is not None]
    lines = []
    below = [
        str(view.cell)
        for view in summary.cells.values()
        if view.score and facts_of(view.score).ability.get("is_below_chance")
    ]
    if below:
        lines.append(
            f"**Significantly below chance** (one-sided exact binomial, p < 0.01): {', '.join(below)}. Nobody guesses "
            "so badly: look for broken extraction or a wrong template before believing the score."
        )
    balance = {score.task: labels for score in scores if (labels := facts_of(score).ability.get("labels"))}
    if balance:
        told = [f"{task}: {', '.join(f'{label} {n}' for label, n in own.items())}" for task, own in balance.items()]
        lines.append(
            f"Right answers by label: {'; '.join(told)}. Majority: what always giving the commonest one would score."
        )
    if any(facts_of(score).ability.get("gold_nll") is not None for score in scores):
        lines.append(
            "Gold answer: nats per token of the dataset's own answer after the same prompt (GSM8K: the worked "
            "solution, MMLU: the right letter, BBH: the target, HumanEval: the canonical solution), lower is better; "
            "it still moves where the score sits at chance."
        )
    lines += [
        programs_note(view.cell.model, view.cell.task.label, code)
        for view in summary.cells.values()
        if view.score and (code := facts_of(view.score).ability.get("code"))
    ]
    return lines


def programs_note(model: str, task: str, code: dict[str, Any]) -> str:
    """Return how the programs of one cell ended, and what they were run with."""
    ends = ", ".join(f"{count} {kind}" for kind, count in code["outcomes"].items())
    limits = f"{code['timeout_seconds']:g} s and {code['memory_mib']} MiB each, Python {code['python']}"
    return f"Programs of {model}/{task}: {ends}, of {code['programs']} ({limits})."


def _row(view: CellView, score: Score) -> list[str]:
    facts = facts_of(score).ability
    settings = facts.get("settings", {})
    main = settings.get("filter")
    others = [
        f"{metric.name}{f' ({metric.filter})' if metric.filter else ''}: {figure(metric.value, metric.unit)}"
        for metric in score.metrics
        if metric.part is None
        and metric.unit == "points"
        and (metric.name, metric.filter or "none") != (score.metric, main)
    ]
    extraction = facts.get("unextractable") or {}
    return [
        view.cell.task.label,
        view.cell.model,
        figure(score.score, score.unit),
        points(facts.get("chance")),
        points(facts.get("majority")),
        ", ".join(f"{name}: {percent(share)}" for name, share in extraction.items()) or NOT_THERE,
        percent(facts.get("truncated")),
        f"{figure(facts['gold_nll'], 'nats')} nats" if facts.get("gold_nll") is not None else NOT_THERE,
        "; ".join(others) or NOT_THERE,
        _asked(settings),
    ]


def _asked(settings: dict[str, Any]) -> str:
    if settings.get("kind") == "lm_nll":
        return f"the text alone, at most {settings['max_text_tokens']} tokens of it"
    said = [f"{settings.get('num_fewshot')} shots", "chat template" if settings.get("chat_template") else "no template"]
    if "max_gen_toks" in settings:
        said.append(f"at most {settings['max_gen_toks']} tokens")
    if settings.get("system_instruction"):
        said.append("a system instruction")
    return ", ".join(said)
