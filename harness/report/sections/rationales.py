"""Rationales: whether they earn their cost, what they look like, and in the page items to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.numbers import percent, points
from harness.report.sections import rationale_view
from harness.report.sections.credits import Credit, Variant, credits_of, gain_text
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.facts import facts_of
from harness.summary.views import Summary

LINK = Link("rationales", "Rationales", is_always_there=False)
STATS_HEADER = (
    "model", "rationales", "tokens, least / median / most", "empty", "cut at the limit", "without <think>",
    "distinct-2", "overlap with the text", "duplicates",
)  # fmt: skip
VARIANTS_HEADER = (
    "vector made of", "model", "tasks", "its mean", "own rationale, same tasks", "own rationale is worth",
)  # fmt: skip
STATS_LEGEND = (
    "Shares of the rationales (distinct-2: of word pairs that are new; overlap: of a rationale's words that stand in "
    "its text), means over tasks weighted by their rationales; the median is the mean of the tasks' medians. Many "
    "duplicates are a collapse: one rationale for all texts."
)


def markdown(report: Report) -> str:
    """Return the sentence on each model, its ablations and the figures; empty where no model writes rationales."""
    return section(credits_of(report.summary, report.compare), stats_rows(report.summary))


def page(report: Report) -> dict[str, Any]:
    """Return the same, and the items to read."""
    return {
        "credits": credits_of(report.summary, report.compare),
        "stats": stats_rows(report.summary),
        "stats_header": STATS_HEADER,
        "stats_legend": STATS_LEGEND,
        "cells": rationale_view.examples_of(report),
    }


def section(verdicts: Sequence[Credit], stats: Sequence[Sequence[str]]) -> str:
    """Return verdicts and figures as Markdown; empty where there are neither."""
    if not verdicts and not stats:
        return ""
    parts = ["## Rationales"]
    for credit in verdicts:
        parts.append(credit.sentence)
        if len(credit.variants) > 1:
            parts.append(table(VARIANTS_HEADER, [_variant_row(one) for one in credit.variants]))
    if stats:
        parts += [table(STATS_HEADER, stats), STATS_LEGEND]
    return "\n\n".join(parts)


def stats_rows(summary: Summary) -> list[list[str]]:
    """Return a row a model that wrote rationales, as `STATS_HEADER` says."""
    rows = []
    for model in summary.models:
        of_cells = [
            found
            for (name, _), view in summary.cells.items()
            if name == model and view.score and (found := facts_of(view.score).rationales).get("rationales")
        ]
        written = [one for one in of_cells if one["tokens_generated"]]
        if written:
            rows.append(_stats_row(model, written))
    return rows


def _variant_row(one: Variant) -> list[str]:
    if one.gain is None:
        return [one.made_of, one.model, str(one.n), points(one.mean), "", ""]
    means = [points(one.mean), points(one.own_mean)]
    return [one.made_of, one.model, str(one.n), *means, gain_text(one.gain)]


def _stats_row(model: str, cells: Sequence[Mapping[str, Any]]) -> list[str]:
    weights = [one["rationales"] for one in cells]

    def mean(name: str) -> float:
        return float(
            math.fsum(weight * float(one[name]) for weight, one in zip(weights, cells, strict=True)) / sum(weights)
        )

    lengths = [one["tokens_quantiles"] for one in cells]
    median = sum(weight * one["0.5"] for weight, one in zip(weights, lengths, strict=True)) / sum(weights)
    least, most = min(one["0"] for one in lengths), max(one["1"] for one in lengths)
    shares = [mean(name) for name in ("empty", "truncated", "without_think")]
    return [
        model,
        str(sum(weights)),
        f"{least:.0f} / {median:.0f} / {most:.0f}",
        *(percent(share) for share in shares),
        f"{mean('distinct_2'):.2f}{_sampled(cells)}",
        percent(mean("overlap_with_text")),
        percent(mean("duplicates")),
    ]


def _sampled(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return over how many rationales distinct-2 was taken where that is not all of them; else nothing."""
    if not any("distinct_2_of" in one for one in cells):
        return ""
    return f" (over {sum(one.get('distinct_2_of', one['rationales']) for one in cells)})"
