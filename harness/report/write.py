"""Write a report's files into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from harness.comparison.evidence import evidence
from harness.comparison.pair import difference
from harness.digests import write_atomically
from harness.plan.cells import Plan
from harness.report.formats import csv, latex, markdown
from harness.report.formats import html as page
from harness.report.pictures import files as pictures
from harness.report.sections import cards, rationale_view, rationales, seeds
from harness.report.sections.types import panels
from harness.results.records import Result
from harness.results.store import Store
from harness.summary.build import summarise


def write_report(
    plan: Plan, results: Mapping[str, Result], store: Store, folder: Path, *, with_latex: bool = False
) -> list[Path]:
    """Write report.md, index.html, the CSV files, pictures and where asked report.tex below `folder`; return paths."""
    compare = partial(difference, store)
    report = summarise(plan, results, compare, partial(evidence, store))
    verdicts, stats = rationales.credits_of(report, compare), rationales.stats_rows(report)
    examples = rationale_view.examples_of(report, store)
    drawn = pictures.draw(cards.points_of(cards.cards(report, {})), panels(report), report.baseline)
    beside = [pictures.markdown_section(list(drawn)), seeds.section(report)]
    beside += [rationales.markdown_section(verdicts, stats)]
    files = {
        "report.md": markdown.render(report, beside=beside),
        "index.html": page.render(report, page.RationalePart(credits=verdicts, stats=stats, cells=examples)),
        "scores.csv": csv.scores_csv(report),
        "metrics.csv": csv.metrics_csv(report),
    }
    by_seed = seeds.seeds_csv(report)
    if by_seed is not None:
        files["seeds.csv"] = by_seed
    if with_latex:
        files["report.tex"] = latex.render(report)
    contents = {name: text.encode("utf-8") for name, text in files.items()}
    contents |= {f"{pictures.FOLDER}/{name}": content for name, content in drawn.items()}
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
