"""What rationales look like, and whether they earn their cost: sentences and tables, for Markdown and HTML. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.numbers import between, percent, points, signed
from harness.report.sections import rationale_view
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.statistics.difference import Difference, mean_difference
from harness.summary.views import Comparer, Summary

LINK = Link("rationales", "Rationales", is_always_there=False)
ABLATIONS = {
    "none": "text and its own rationale",
    "shuffled-rationale": "text and another text's rationale",
    "text-only": "text alone, the same prompt",
    "rationale-only": "rationale alone",
    "mean-pool": "text alone, no prompt",
}
"""What the vector of each variant is made of."""
STATS_HEADER = (
    "model", "rationales", "tokens, least / median / most", "empty", "cut at the limit", "without <think>",
    "distinct-2", "overlap with the text", "duplicates",
)  # fmt: skip
VARIANTS_HEADER = (
    "vector made of",
    "model",
    "tasks",
    "its mean",
    "own rationale, same tasks",
    "own rationale is worth",
)
STATS_LEGEND = (
    "Shares of the rationales (distinct-2: of word pairs that are new; overlap: of a rationale's words that stand in "
    "its text), means over tasks weighted by their rationales; the median is the mean of the tasks' medians. Many "
    "duplicates are a collapse: one rationale for all texts."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of making the vector, compared with text and own rationale."""

    ablation: str
    model: str
    made_of: str
    n: int
    """Tasks that both have."""
    mean: float | None
    """Over these, in points."""
    own_mean: float | None
    """Of `none` over the same tasks."""
    gain: Difference | None
    """`none` minus this one; None for `none` itself or without common tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Whether the rationales of one model earn their cost."""

    model: str
    sentence: str
    is_earned: bool | None
    """None: not decided, or not measured."""
    variants: tuple[Variant, ...]


def credits_of(summary: Summary, compare: Comparer) -> list[Credit]:
    """Return a verdict for every model that writes rationales, each variant compared on the tasks both have."""
    found = []
    identities = {model: _identity(summary, model) for model in summary.models}
    for model, identity in identities.items():
        if identity is None or identity["kind"] != "rationale" or identity["options"].get("ablation") != "none":
            continue
        family = {
            ablation: other
            for other, its in identities.items()
            if its is not None and (ablation := _variant_of(identity, its)) is not None
        }
        order = [one for one in ABLATIONS if one in family]
        found.append(_credit(model, [_variant(summary, model, one, family[one], compare) for one in order]))
    return found


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


def _variant_row(one: Variant) -> list[str]:
    if one.gain is None:
        return [one.made_of, one.model, str(one.n), points(one.mean), "", ""]
    means = [points(one.mean), points(one.own_mean)]
    return [one.made_of, one.model, str(one.n), *means, _interval(one.gain)]


def _credit(model: str, variants: Sequence[Variant]) -> Credit:
    gains = {one.ablation: one for one in variants if one.gain is not None}
    shuffled = gains.get("shuffled-rationale")
    if shuffled is None:
        sentence = (
            f"Whether the rationales of {model} earn their cost is not known: no model like it with "
            "`ablation: shuffled-rationale` has scores on the same tasks."
        )
        return Credit(model=model, sentence=sentence, is_earned=None, variants=tuple(variants))
    against = f"{_size(shuffled)} against the rationale of another text"
    over = f"over {shuffled.n} task{'s' if shuffled.n != 1 else ''}"
    texts = [gains[one] for one in ("text-only", "mean-pool") if one in gains]
    beaten = [one for one in texts if _sign(one) != 1]
    earned: bool | None = None
    if _sign(shuffled) == 1 and not beaten:
        earned = True
        sentence = f"The rationales of {model} earn their cost: {against} {over}{_listed(texts)}."
    elif _sign(shuffled) == 1:
        earned = False if any(_sign(one) == -1 for one in beaten) else None
        sentence = f"The rationales of {model} carry something ({against} {over}), but do not earn their cost"
        sentence += f"{_listed(texts)}."
    elif _sign(shuffled) == -1:
        earned = False
        sentence = f"The rationales of {model} do harm: {against} {over}{_listed(texts)}."
    else:
        sentence = f"The rationales of {model} are not shown to earn their cost: {against} {over}{_listed(texts)}."
    return Credit(model=model, sentence=sentence, is_earned=earned, variants=tuple(variants))


def _listed(texts: Sequence[Variant]) -> str:
    return "".join(f"; {_size(one)} against {one.made_of}" for one in texts)


def _size(one: Variant) -> str:
    assert one.gain is not None  # noqa: S101 - only variants with a gain are compared
    return f"{_interval(one.gain)} points"


def _interval(gain: Difference) -> str:
    return f"{signed(gain.value)} {between(gain.low, gain.high, 'points')}".rstrip()


def _sign(one: Variant) -> int:
    """Return 1 or -1 where the interval of its gain lies on one side of 0, else 0."""
    gain = one.gain
    if gain is None or not gain.is_clear:
        return 0
    return 1 if gain.value > 0 else -1


def _variant(summary: Summary, model: str, ablation: str, other: str, compare: Comparer) -> Variant:
    pairs = [
        (own, its)
        for task in summary.tasks
        if task.axis == "embedding"
        and (own := summary.cells[model, task.name].score) is not None
        and (its := summary.cells[other, task.name].score) is not None
        and own.unit == its.unit == "points"
    ]
    gain = None if ablation == "none" else mean_difference([compare(own, its) for own, its in pairs])
    return Variant(
        ablation=ablation,
        model=other,
        made_of=ABLATIONS[ablation],
        n=len(pairs),
        mean=_mean([its.score for _, its in pairs]),
        own_mean=_mean([own.score for own, _ in pairs]),
        gain=gain,
    )


def _identity(summary: Summary, model: str) -> dict[str, Any] | None:
    candidate = summary.candidates.get(model)
    if candidate is not None and (identity := candidate.identity()) is not None:
        return identity
    scores: list[Score] = [view.score for (name, _), view in summary.cells.items() if name == model and view.score]
    return next((one for score in scores if (one := facts_of(score).identity)), None)


def _variant_of(own: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return which ablation of `own` another model is; None where it is no variant of it."""
    if any(own.get(name) != other.get(name) for name in ("weights", "adapter")):
        return None
    if other["kind"] == "mean-pool":
        return "mean-pool"
    if other["kind"] != "rationale" or _but_ablation(own) != _but_ablation(other):
        return None
    return str(other["options"].get("ablation"))


def _but_ablation(identity: Mapping[str, Any]) -> str:
    options = {name: value for name, value in identity["options"].items() if name != "ablation"}
    return json.dumps(options, sort_keys=True, default=str)


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
        f"{mean('distinct_2'):.2f}",
        percent(mean("overlap_with_text")),
        percent(mean("duplicates")),
    ]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
