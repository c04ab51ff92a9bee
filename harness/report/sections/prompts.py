"""What a report says of models with `prompts: {variants: [...]}`: the range over prompts beside the model's score."""

from __future__ import annotations

from typing import Any

from harness.report.numbers import figure, interval_text
from harness.report.sections.section import Link, Report
from harness.report.tables import csv_text, table
from harness.results.facts import facts_of
from harness.results.prompts import distinct
from harness.results.records import Score
from harness.summary.views import PromptRange, Summary

LINK = Link("prompts", "Prompts", is_always_there=False)
CSV_HEADER = ("model", "task", "metric", "prompt", "score", "key", "query or text", "document")
HEADER = (
    "model", "task", "metric", "score", "prompts", "least", "most", "best less worst [95% paired]",
)  # fmt: skip
OWN = "own"
LEGEND = (
    "The score of a model is the one under its own prompts, here and everywhere; nothing is averaged over prompts. The "
    "range is over its own and all variants that have a score. The interval is of the best less the worst over the "
    "same items; since both were picked afterwards, it overstates what two prompts chosen beforehand would differ by."
)
STEADY = "No two models change places within these ranges."


def markdown(report: Report) -> str:
    """Return the table, which models change places, and the legend; empty where no model has variants."""
    rows = _rows(report.summary)
    if not rows:
        return ""
    turned = "\n".join(f"- {line}" for line in _turned(report.summary))
    return f"## Prompts\n\n{table(HEADER, rows)}\n\n{turned}\n\n{LEGEND}"


def page(report: Report) -> dict[str, Any]:
    """Return the same table and lines."""
    return {
        "prompt_header": HEADER,
        "prompt_rows": _rows(report.summary),
        "prompt_turned": _turned(report.summary),
        "prompt_legend": LEGEND,
    }


def prompts_csv(summary: Summary) -> str | None:
    """Return `prompts.csv`, a row for every setting of every such cell; None where no model has variants."""
    if summary.prompts is None:
        return None
    lines: list[list[object]] = [
        [one.model, one.task, each.metric, _setting(one, each), figure(each.score, each.unit), each.key, *_texts(each)]
        for one in summary.prompts.ranges
        for each in (one.score, *one.score.variants)
    ]
    return csv_text(CSV_HEADER, lines)


def _rows(summary: Summary) -> list[list[str]]:
    return [_row(one) for one in summary.prompts.ranges] if summary.prompts else []


def _row(one: PromptRange) -> list[str]:
    score = one.score
    scored, wanted = len(score.variants), score.wanted
    return [
        one.model,
        one.task,
        score.metric,
        figure(score.score, score.unit),
        str(distinct(score)) if scored == wanted else f"{scored + 1} of {wanted + 1}",
        *(f"{figure(each.score, each.unit)} ({_setting(one, each)})" for each in (one.least, one.most)),
        interval_text(one.difference, unit=score.unit),
    ]


def _turned(summary: Summary) -> list[str]:
    if summary.prompts is None:
        return []
    said = [f"The ranking of models changes within the ranges of {line}." for line in summary.prompts.turned]
    return said or [STEADY]


def _setting(one: PromptRange, score: Score) -> str:
    """Return `own`, or `prompt-2` of `mini@prompt-2`."""
    return OWN if score is one.score else score.model.removeprefix(f"{one.model}@")


def _texts(score: Score) -> list[str]:
    """Return what stood before queries (or texts without a role) and before documents."""
    used = facts_of(score).prompts
    return [used.get("query") or used.get("text") or "", used.get("document") or ""]
