"""Sizes of vectors: what is left of a score where they are cut and rounded, against the bytes that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.candidates.dimension import NOT_TRAINED_FOR_IT
from harness.report.numbers import NOT_THERE, points
from harness.report.pictures.against import against
from harness.report.pictures.data import Mark, Scatter
from harness.report.pictures.files import FOLDER
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.facts import facts_of
from harness.suite.size import Precision, vector_bytes
from harness.summary.views import AxisSummary, Summary

LINK = Link("sizes", "Sizes", is_always_there=False)
PICTURE = "sizes"
PICTURE_SIZES = {"wide": (1180, 420), "middle": (760, 400), "narrow": (340, 360)}
LEGEND = (
    "All sizes of a model are cut from one encode: its first dimensions, of length one again where its similarity is "
    "cosine, then rounded. int8 has 256 steps a dimension between its least and greatest value, over the documents "
    "where documents are ranked, else over the texts of each call; binary keeps whether a value is above 0. Bytes are "
    "of one vector; of other models, of the vector as it is scored."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """One model with the size of its vectors."""

    model: str
    of: str
    """Whose vectors they are cut from."""
    dimension: int
    precision: Precision
    bytes: int
    mean: float | None
    """Over the common tasks, in points."""
    by_type: tuple[float | None, ...]
    """In the order of the header."""
    is_untrained: bool
    """Whether its model is not known to be trained for truncation."""


def markdown(report: Report) -> str:
    """Return the table, its legend and the picture; empty where no model has sizes."""
    found = rows(report.summary)
    if not found:
        return ""
    parts = ["## Sizes", table(header(report.summary), [_cells(one) for one in found]), LEGEND, _untrained(found)]
    if f"{PICTURE}.png" in report.pictures:
        parts.append(f"![Score against bytes a vector]({FOLDER}/{PICTURE}.png)")
    return "\n\n".join(part for part in parts if part)


def page(report: Report) -> dict[str, Any]:
    """Return the table and the picture for each width."""
    found, drawn = rows(report.summary), scatter(report.summary)
    return {
        "size_header": header(report.summary),
        "size_rows": [_cells(one) for one in found],
        "size_legend": LEGEND,
        "size_untrained": _untrained(found),
        "size_pictures": {
            name: against(drawn, width=width, height=height) for name, (width, height) in PICTURE_SIZES.items()
        }
        if drawn
        else {},
    }


def header(summary: Summary) -> list[str]:
    """Return the table's header, with the types that have common tasks."""
    axis = _embedding(summary)
    return ["model", "dimensions", "precision", "bytes a vector", "mean over tasks", *(axis.by_type if axis else ())]


def rows(summary: Summary) -> list[SizeRow]:
    """Return a row for every model whose vectors' dimension is known; none where no model has sizes."""
    axis = _embedding(summary)
    if axis is None or not any(one is not None and one.size is not None for one in summary.candidates.values()):
        return []
    return [found for model in axis.models if (found := _row(summary, axis, model)) is not None]


def scatter(summary: Summary) -> Scatter | None:
    """Return the scores against the bytes of a vector; None where fewer than two models have both."""
    found = [one for one in rows(summary) if one.mean is not None]
    series = {name: place for place, name in enumerate(dict.fromkeys(one.of for one in found))}
    marks = tuple(
        Mark(
            name=one.model,
            index=series[one.of],
            series=one.of,
            line=f"{one.of} {one.precision}",
            cost=one.bytes,
            score=one.mean,
        )
        for one in found
        if one.mean is not None
    )
    return Scatter(cost="bytes a vector", score="mean, points", marks=marks) if len(marks) > 1 else None


def _embedding(summary: Summary) -> AxisSummary | None:
    return next((one for one in summary.axes if one.axis == "embedding"), None)


def _row(summary: Summary, axis: AxisSummary, model: str) -> SizeRow | None:
    candidate = summary.candidates.get(model)
    scores = [view.score for (name, _), view in summary.cells.items() if name == model and view.score]
    whole = next((one for score in scores if (one := facts_of(score).encoder.get("dimension"))), None)
    if candidate is None or whole is None:
        return None
    size = candidate.size
    dimension = size.dimension if size and size.dimension else int(whole)
    precision: Precision = size.precision if size else candidate.spec.store_dtype
    return SizeRow(
        model=model,
        of=size.of if size else model,
        dimension=dimension,
        precision=precision,
        bytes=vector_bytes(dimension, precision),
        mean=axis.over_tasks[model].value,
        by_type=tuple(means[model].value if model in means else None for means in axis.by_type.values()),
        is_untrained=NOT_TRAINED_FOR_IT in (candidate.note or ""),
    )


def _cells(one: SizeRow) -> list[str]:
    each = [points(value) for value in (one.mean, *one.by_type)]
    return [one.model, str(one.dimension) or NOT_THERE, one.precision, f"{one.bytes:,}", *each]


def _untrained(found: list[SizeRow]) -> str:
    names = list(dict.fromkeys(one.of for one in found if one.is_untrained))
    return f"{', '.join(names)}: {NOT_TRAINED_FOR_IT}, by configuration and model card." if names else ""
