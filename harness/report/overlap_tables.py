"""What of a suite's tests stands in training files, as rows for a terminal, report.md and the page; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.contamination.clean import Clean
from harness.contamination.record import Overlap, TaskOverlap, TrainingFile
from harness.report.numbers import NOT_THERE, figure, figures, percent
from harness.results.records import Unit

TEXTS_HEADER = ("task", "texts", "found whole", "found in part", "items", "items touched")
SCORES_HEADER = ("task", "model", "score", "over clean items", "clean minus all [95% interval]", "clean items")
LEGEND = (
    "Found whole: the same words in the same order, whatever the case, punctuation and white space. Found in part: 13 "
    "words in a row; texts of fewer are compared as a whole alone. An item is touched where any text of it is found, "
    "of a query its own or a document judged relevant. Intervals: both scores over the same resampled items. What is "
    "paraphrased or translated is not found, and nothing is known of pretraining."
)


class Tables(NamedTuple):
    """One set of training files."""

    title: str
    texts: list[list[str]]
    """A row a task and role, as `TEXTS_HEADER` says."""
    scores: list[list[str]]
    """A row a task with touched items and a model, as `SCORES_HEADER` says."""
    notes: list[str]


def tables_of(one: Overlap, units: Mapping[str, Unit] | None = None) -> Tables:
    """Return the rows of one set of training files.

    Args:
        one: what was found.
        units: task -> unit of its scores, where that is not points.
    """
    return Tables(
        title=_title(one),
        texts=[row for task in one.tasks for row in _text_rows(task)],
        scores=[row for task in one.tasks for row in _score_rows(task, (units or {}).get(task.task, "points"))],
        notes=[line for task in one.tasks for line in _notes(task)],
    )


def _title(one: Overlap) -> str:
    files = ", ".join(f"{file.file} ({file.texts:,} texts{_of_columns(file)})" for file in one.training)
    return f"{files}: {', '.join(one.models)}"


def _of_columns(file: TrainingFile) -> str:
    return f" of {', '.join(file.columns)}" if file.columns else ""


def _text_rows(task: TaskOverlap) -> Iterator[list[str]]:
    for place, row in enumerate(task.matched):
        items = [f"{task.items:,}", _share(task.touched, task.items)] if place == 0 and task.items else ["", ""]
        named = "" if len(task.matched) == 1 else f" ({row.role})"
        yield [
            f"{task.task}{named}",
            f"{row.texts:,}",
            _share(row.whole, row.texts),
            _share(row.part, row.texts),
            *items,
        ]


def _share(count: int, of: int) -> str:
    return f"{count:,} ({percent(count / of)})" if count and of else f"{count:,}"


def _score_rows(task: TaskOverlap, unit: Unit) -> Iterator[list[str]]:
    if not task.touched:
        return
    for model, (_, one) in task.scores.items():
        yield [task.task, model, figure(one.score, unit), *_clean(one, unit)]


def _clean(one: Clean, unit: Unit) -> list[str]:
    if one.clean is None or one.difference is None:
        return [NOT_THERE, one.why, f"{one.n_clean:,} of {one.n:,}"]
    return [figure(one.clean, unit), figures(one.difference, one.low, one.high, unit), f"{one.n_clean:,} of {one.n:,}"]


def _notes(task: TaskOverlap) -> Iterator[str]:
    if task.why:
        yield f"{task.task}: not compared: {task.why}"
    every = sum(row.texts for row in task.matched)
    if task.short and every:
        yield f"{task.task}: {task.short:,} of {every:,} texts have fewer than 13 words"
    if not task.items and any(row.whole or row.part for row in task.matched):
        yield f"{task.task}: its texts are no items by themselves, so that no score leaves them out"


def as_text(found: Sequence[Overlap], units: Mapping[str, Unit]) -> str:
    """Return all of it for a terminal."""
    blocks = []
    for one in found:
        tables = tables_of(one, units)
        blocks += [tables.title, "", *_aligned(TEXTS_HEADER, tables.texts)]
        if tables.scores:
            blocks += ["", *_aligned(SCORES_HEADER, tables.scores)]
        blocks += ["", *tables.notes, ""]
    return "\n".join([*blocks, LEGEND]) + "\n"


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    every = [header, *rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]
