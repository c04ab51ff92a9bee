"""What the training study came to: `table.md`, `table.csv` and pictures, from stored results and the runs' folders.

Scores, intervals and paired differences are the harness's own, from the stored per-item results; nothing is computed
here but which difference is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import training_study_pictures as pictures
import yaml

from harness.comparison.pair import difference
from harness.digests import write_atomically
from harness.plan.cells import PlannedTask
from harness.plan.planner import make_plan
from harness.report.numbers import NOT_THERE, figure, probability
from harness.report.pictures.data import Whisker
from harness.report.tables import csv_text, table
from harness.results.outcome import outcome_of
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.statistics.difference import Difference
from harness.suite.load import load_suite
from harness.summary.build import summarise
from harness.summary.views import Summary

BASE, WITH_RATIONALE = "base", "+rationale"
LOSS, JUDGED = "lm_nll", "STSBenchmark"
QUESTIONS = (
    ("Does corrected credit beat the published one?", "grace-corrected+rationale", "grace-paper-off+rationale"),
    (
        "Does a reward of -1 for a cut rationale do harm?",
        "grace-paper-off+rationale",
        "grace-paper-published+rationale",
    ),
    ("Does paying all three texts help?", "grace-symmetric+rationale", "grace-corrected+rationale"),
    ("Does the InfoNCE term help?", "grace-hybrid+rationale", "grace-corrected+rationale"),
    ("Is the hybrid near InfoNCE, text alone?", "grace-hybrid+rationale", "infonce"),
    ("Is the hybrid near InfoNCE, with rationales?", "grace-hybrid+rationale", "infonce+rationale"),
    ("Does it beat InfoNCE + KL, text alone?", "grace-hybrid+rationale", "infonce-retain"),
    ("Does it beat InfoNCE + KL, with rationales?", "grace-hybrid+rationale", "infonce-retain+rationale"),
    ("Does it beat InfoNCE over the base's rationales?", "grace-hybrid+rationale", "infonce-rationale+rationale"),
    ("What does KL cost InfoNCE over rationales?", "infonce-rationale-retain+rationale", "infonce-rationale+rationale"),
    ("Both with KL: rationales or text alone?", "infonce-rationale-retain+rationale", "infonce-retain"),
    ("Reward alone, or InfoNCE + KL?", "grace-corrected+rationale", "infonce-retain"),
)
CSV_HEADER = (
    "run", "steps", "train_cpu_seconds", "entry", "task", "metric", "unit", "score", "ci_low", "ci_high", "n", "limit",
    "to_base", "to_base_low", "to_base_high", "to_base_with_rationale", "to_base_with_rationale_low",
    "to_base_with_rationale_high", "key",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run that is trained and scored whole."""

    name: str
    training: dict[str, Any]
    """Facts of candidate.yaml; empty for the base."""
    plain: dict[str, Score]
    """Task -> score on text alone."""
    rationale: dict[str, Score]

    @property
    def steps(self) -> int:
        """Optimiser steps done; 0 for the base."""
        return int(self.training.get("steps", 0))

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of the training loop."""
        return float(self.training.get("cpu_seconds", 0.0))


class Results:
    """The report over the study's suite, and differences between any two of its entries."""

    def __init__(self, out: Path, suite: str, *, hub: Path, limit: int | None) -> None:
        """Read the results in `out`; candidates are looked up from there."""
        self.store = Store(out / "results")
        self.compare = partial(difference, self.store)
        with chdir(out):
            plan = make_plan(load_suite(suite).suite, Sources(hub=hub, offline=True), limit=limit)
            self.report: Summary = summarise(plan, outcome_of(plan, self.store).results, self.compare)
        self.tasks: tuple[PlannedTask, ...] = self.report.tasks

    def scores(self, model: str) -> dict[str, Score]:
        """Return task -> score of one entry."""
        found = {task.name: self.report.cells[model, task.name].score for task in self.tasks}
        return {name: score for name, score in found.items() if score is not None}

    def why_not(self, model: str) -> str:
        """Return why an entry is not whole, or an empty text."""
        views = [self.report.cells[model, task.name] for task in self.tasks]
        absent = [f"{one.cell.task.label} {one.status}" for one in views if one.score is None]
        return f"{model}: {', '.join(absent)}" if absent else ""


def write(out: Path, suite: str, folder: Path, *, runs: Sequence[str], hub: Path, limit: int | None) -> str:
    """Write table and pictures into `folder`; returns the Markdown.

    Args:
        out: the study's folder, with runs/ and results/.
        suite: its suite, a file in `out`.
        folder: made where it is not there.
        runs: names of the runs, in the order they are shown.
        hub: where the suite's data are.
        limit: the limit the cells were run with; None: the suite's own.
    """
    results = Results(out, suite, hub=hub, limit=limit)
    rows: list[Row] = []
    left_out: list[str] = []
    for name in (BASE, *runs):
        why = _why_not(out / "runs" / name, name, results)
        if why:
            left_out.append(f"{name}: {why}")
        else:
            training = _training(out / "runs" / name) if name != BASE else {}
            own, other = results.scores(name), results.scores(f"{name}{WITH_RATIONALE}")
            rows.append(Row(name=name, training=training, plain=own, rationale=other))
    curves = {name: _metrics(out / "runs" / name) for name in runs}
    drawn = pictures.draw({name: of for name, of in curves.items() if of}, _points(rows, results))
    text = _markdown(rows, left_out, results, sorted(drawn))
    files = {"table.md": text.encode(), "table.csv": csv_text(CSV_HEADER, _csv(rows, results)).encode(), **drawn}
    for name, content in files.items():
        write_atomically(folder / name, content)
    return text + f"\nwritten: {', '.join(str(folder / name) for name in files)}"


def _why_not(folder: Path, name: str, results: Results) -> str:
    if name != BASE and not (folder / "candidate.yaml").exists():
        done = _metrics(folder)
        return f"training ended at step {done[-1]['step']}, not finished" if done else "not trained"
    return "; ".join(filter(None, (results.why_not(one) for one in (name, f"{name}{WITH_RATIONALE}"))))


def _training(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "candidate.yaml").read_text(encoding="utf-8"))["training"]
    return found


def _metrics(folder: Path) -> list[dict[str, Any]]:
    from grace.run.directory import RunDir

    return RunDir(folder).metrics()


# ---- Markdown


def _markdown(rows: Sequence[Row], left_out: Sequence[str], results: Results, drawn: Sequence[str]) -> str:
    said = "; ".join(f"{task.label} {_items(task, rows)}" for task in results.tasks)
    parts = [
        "# Training study",
        "Made by `python benchmarks/training_study.py`. One run of each, ended by a budget of processor time, so the "
        f"number of steps is this machine's. Development data, limited: {said}. In brackets behind a score: its "
        f"paired difference to `{BASE}` on text alone with a 95 % interval, over the same items.",
        _table(rows, results),
    ]
    if left_out:
        parts += ["Left out:", "\n".join(f"- {one}" for one in left_out)]
    parts += ["## Differences asked for", _questions(rows, results)]
    inert = {row.name: row.training.get("inert_reward_terms") for row in rows if "inert_reward_terms" in row.training}
    if inert:
        parts += ["## Inert reward terms", "\n".join(f"- {name}: {_listed(terms)}" for name, terms in inert.items())]
    titles = {"trade-off.png": "Embedding score against loss of the language model", "curves.png": "Training curves"}
    parts += [f"![{title}]({name})" for name, title in titles.items() if name in drawn]
    return "\n\n".join(parts) + "\n"


def _items(task: PlannedTask, rows: Sequence[Row]) -> str:
    found = [row.plain[task.name].n for row in rows if task.name in row.plain]
    return f"({found[0]} items)" if found else "(not run)"


def _listed(terms: Any) -> str:
    return ", ".join(map(str, terms)) if terms else "none"


def _table(rows: Sequence[Row], results: Results) -> str:
    header = ["run", "steps", "train CPU s"]
    for task in results.tasks:
        if task.axis == "ability":
            header.append(f"{task.label}, nats a token (less is better)")
        else:
            header += [f"{task.label}, text alone", f"{task.label}, with rationale"]
    base = rows[0] if rows and rows[0].name == BASE else None
    body = []
    for row in rows:
        cells = [row.name, str(row.steps), f"{row.cpu_seconds:.0f}"]
        for task in results.tasks:
            kinds = [row.plain] if task.axis == "ability" else [row.plain, row.rationale]
            cells += [_cell(of[task.name], base.plain[task.name] if base else None, results) for of in kinds]
        body.append(cells)
    return table(header, body)


def _cell(score: Score, base: Score | None, results: Results) -> str:
    text = figure(score.score, score.unit)
    if base is None or base.key == score.key:
        return text
    return f"{text} ({_signed(results.compare(score, base), score)})"


def _signed(one: Difference, score: Score) -> str:
    text = f"{'+' if one.value >= 0 else ''}{figure(one.value, score.unit)}"
    if one.low is None or one.high is None:
        return text
    return f"{text} [{figure(one.low, score.unit)}, {figure(one.high, score.unit)}]"


def _questions(rows: Sequence[Row], results: Results) -> str:
    entries = {row.name: row.plain for row in rows} | {f"{row.name}{WITH_RATIONALE}": row.rationale for row in rows}
    body = []
    for question, first, second in QUESTIONS:
        if first not in entries or second not in entries:
            body.append([question, f"{first} - {second}", *[NOT_THERE] * 4])
            continue
        cells = []
        for task in (JUDGED, LOSS):
            own, other = entries[first].get(task), entries[second].get(task)
            if own is None or other is None:
                cells += [NOT_THERE, NOT_THERE]
                continue
            found = results.compare(own, other)
            cells += [_signed(found, own), probability(found.p_value)]
        body.append([question, f"{first} - {second}", *cells])
    return table(["question", "difference", f"{JUDGED}, points", "p", f"{LOSS}, nats a token", "p"], body)


# ---- CSV and points


def _csv(rows: Sequence[Row], results: Results) -> list[list[object]]:
    base = next((row for row in rows if row.name == BASE), None)
    lines: list[list[object]] = []
    for row in rows:
        for entry, scores in (("text alone", row.plain), ("with rationale", row.rationale)):
            for task in results.tasks:
                score = scores[task.name]
                head = [row.name, row.steps, row.cpu_seconds, entry, task.label, score.metric, score.unit]
                numbers = [_number(one, score) for one in (score.score, score.ci_low, score.ci_high)]
                apart: list[object] = []
                for other in (base.plain, base.rationale) if base else ({}, {}):
                    apart += _apart(score, other.get(task.name), results)
                lines.append([*head, *numbers, score.n, score.limit or "", *apart, score.key])
    return lines


def _apart(score: Score, base: Score | None, results: Results) -> list[str]:
    """Return the paired difference and its limits; empty for the base itself."""
    if base is None or base.key == score.key:
        return [""] * 3
    found = results.compare(score, base)
    return [_number(one, score) for one in (found.value, found.low, found.high)]


def _number(value: float | None, score: Score) -> str:
    return "" if value is None else figure(value, score.unit)


def _points(rows: Sequence[Row], results: Results) -> list[pictures.Point]:
    base = next((row for row in rows if row.name == BASE), None)
    if base is None or LOSS not in base.plain or JUDGED not in base.plain:
        return []
    found = []
    for row in rows:
        x = Whisker(value=0.0)
        if row is not base:
            loss = results.compare(row.plain[LOSS], base.plain[LOSS])
            x = Whisker(value=loss.value, low=loss.low, high=loss.high)
        for scores, has_rationale in ((row.plain, False), (row.rationale, True)):
            one = scores[JUDGED]
            y = Whisker(value=one.score, low=one.ci_low, high=one.ci_high)
            found.append(pictures.Point(name=row.name, x=x, y=y, has_rationale=has_rationale))
    return found
