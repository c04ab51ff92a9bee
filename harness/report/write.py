"""Write a report's files into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from harness.comparison.evidence import evidence, judged
from harness.comparison.pair import Differences
from harness.digests import write_atomically
from harness.plan.cells import Plan
from harness.published.rows import Published
from harness.report.formats import csv, html, latex, markdown
from harness.report.pictures import files as pictures
from harness.report.pictures.against import figure
from harness.report.sections import prices, prompts, seeds, sizes
from harness.report.sections.section import Report
from harness.report.sections.trade_off import points_in
from harness.report.sections.types import panels
from harness.results.records import Result, Score
from harness.results.store import Store
from harness.summary.build import summarise
from harness.summary.views import Summary


class Written(NamedTuple):
    """A report on disk."""

    summary: Summary
    """What it says."""
    files: tuple[Path, ...]
    """report.md first."""


def write_report(
    plan: Plan,
    results: Mapping[str, Result],
    store: Store,
    folder: Path,
    *,
    with_latex: bool = False,
    remarks: Sequence[str] = (),
    published: Sequence[Published] = (),
    with_texts: bool = True,
) -> Written:
    """Write report.md, index.html, the CSV files and the pictures.

    Args:
        plan: models, tasks and cells, the runs of a model with seeds as one model.
        results: str(cell) -> result, as `results.outcome_of` gives them.
        store: the results folder: items to resample and rationales to read; comparisons are kept in it.
        folder: where the files go; it is made where it is not there.
        with_latex: write report.tex too.
        remarks: what else a reader must know, such as of versions; before the summary's own.
        published: rows of the models that the suite wants beside its own, of `published.public`.
        with_texts: with what is text of the data: items that moved, and rationales to read.
    """
    differences = Differences(store)
    for scores in _by_task(plan, results):
        differences.prepare(scores)
    weigh, decide = partial(evidence, store), partial(judged, store)
    summary = summarise(plan, results, differences, weigh, decide=decide, published=published)
    summary = replace(summary, warnings=(*remarks, *summary.warnings))
    drawn = pictures.draw(points_in(summary), panels(summary), summary.baseline)
    if (of_sizes := sizes.scatter(summary)) is not None:
        drawn |= pictures.render(sizes.PICTURE, partial(figure, of_sizes))
    if (of_price := prices.scatter(summary, store)) is not None:
        drawn |= pictures.render(prices.PICTURE, partial(figure, of_price))
    report = Report(summary=summary, store=store, pictures=tuple(drawn), with_texts=with_texts)
    texts = _texts(report, with_latex=with_latex)
    contents = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    contents |= {f"{pictures.FOLDER}/{name}": content for name, content in drawn.items()}
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return Written(summary, tuple(folder / name for name in contents))


def _by_task(plan: Plan, results: Mapping[str, Result]) -> list[list[Score]]:
    """Return the scores of every task, those of other parts of it apart."""
    found: dict[tuple[str, str], list[Score]] = {}
    for cell in plan.cells:
        result = results.get(str(cell))
        if isinstance(result, Score):
            found.setdefault((cell.task.name, cell.task.label), []).append(result)
    return list(found.values())


def _texts(report: Report, *, with_latex: bool) -> dict[str, str]:
    """Return file name -> text, in the order in which they are told."""
    found = {
        "report.md": markdown.render(report),
        "index.html": html.render(report),
        "scores.csv": csv.scores_csv(report.summary),
        "metrics.csv": csv.metrics_csv(report.summary),
        "prompts.csv": prompts.prompts_csv(report.summary),
        "seeds.csv": seeds.seeds_csv(report.summary),
        "report.tex": latex.render(report.summary) if with_latex else None,
    }
    return {name: text for name, text in found.items() if text is not None}
