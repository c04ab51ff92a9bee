"""Write a report's files into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from harness.compare import difference
from harness.digests import write_atomically
from harness.evidence import evidence
from harness.plan import Plan
from harness.report import (
    cards,
    csv_files,
    html,
    html_view,
    latex,
    markdown,
    pictures,
    rationale_view,
    rationales,
    seed_parts,
    table,
)
from harness.results import Result
from harness.store import Store


def write_report(
    plan: Plan, results: Mapping[str, Result], store: Store, folder: Path, *, with_latex: bool = False
) -> list[Path]:
    """Write report.md, index.html, the CSV files, pictures and where asked report.tex below `folder`; return paths."""
    compare = partial(difference, store)
    report = table.build(plan, results, compare, partial(evidence, store))
    verdicts, stats = rationales.credits_of(report, compare), rationales.stats_rows(report)
    examples = rationale_view.build(report, store)
    drawn = pictures.draw(cards.points_of(cards.cards(report, {})), html_view.panels(report), report.baseline)
    beside = [pictures.markdown_section(list(drawn)), seed_parts.section(report)]
    beside += [rationales.markdown_section(verdicts, stats)]
    files = {
        "report.md": markdown.render(report, beside=beside),
        "index.html": html.render(report, html.RationalePart(credits=verdicts, stats=stats, cells=examples)),
        "scores.csv": csv_files.scores_csv(report),
        "metrics.csv": csv_files.metrics_csv(report),
    }
    by_seed = seed_parts.seeds_csv(report)
    if by_seed is not None:
        files["seeds.csv"] = by_seed
    if with_latex:
        files["report.tex"] = latex.render(report)
    contents = {name: text.encode("utf-8") for name, text in files.items()}
    contents |= {f"{pictures.FOLDER}/{name}": content for name, content in drawn.items()}
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
