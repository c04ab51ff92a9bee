"""Training data of a candidate against the tasks it is evaluated on: what its `candidate.yaml` names, nothing guessed.

A mark says that a score may be high because of what was seen in training. Without a record there is no mark and the
report says "not known": silence is no innocence. `RELATIONS` is short and holds only what the datasets' own papers say.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from harness.contamination.record import FOLDER, from_json
from harness.plan.cells import PlannedTask
from harness.report import overlap_tables
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.facts import facts_of
from harness.summary.views import Summary

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One source of training data and the tasks that share something with it."""

    words: tuple[str, ...]
    """Spellings, as whole runs of words once everything but letters and digits is a space."""
    tasks: tuple[str, ...]
    """Patterns of task names (`fnmatch`)."""
    shared: str
    """What they share."""


LINK = Link("training", "Training data")
RELATIONS = (
    Relation(
        words=("stsb", "sts b", "stsbenchmark", "sts benchmark"),
        tasks=("STSBenchmark",),
        shared="the same dataset (its training split, unless other splits were taken)",
    ),
    Relation(
        words=("stsb", "sts b", "stsbenchmark", "sts benchmark"),
        tasks=("STS12", "STS13", "STS14", "STS15", "STS16"),
        shared="STS-B was selected from the SemEval tasks of 2012 to 2017: pairs recur",
    ),
    Relation(words=("sick", "sick r", "sickr"), tasks=("SICK-R",), shared="the same dataset"),
    Relation(words=("msmarco", "ms marco"), tasks=("MSMARCO",), shared="the same passages"),
    Relation(words=("nq", "natural questions"), tasks=("NQ",), shared="the same questions' source"),
    Relation(words=("hotpotqa", "hotpot qa"), tasks=("HotpotQA*",), shared="the same dataset"),
    Relation(words=("fever",), tasks=("FEVER*", "fever*"), shared="the same claims' source"),
    Relation(words=("fever",), tasks=("ClimateFEVER*",), shared="the same corpus"),
    Relation(words=("quora", "qqp"), tasks=("QuoraRetrieval*",), shared="the same questions"),
    Relation(words=("fiqa",), tasks=("FiQA2018*",), shared="the same dataset"),
    Relation(words=("scifact",), tasks=("SciFact*",), shared="the same dataset"),
    Relation(words=("nfcorpus",), tasks=("NFCorpus*",), shared="the same dataset"),
    Relation(
        words=("stackexchange", "stack exchange"),
        tasks=("CQADupstack*", "StackExchangeClustering*", "AskUbuntuDupQuestions"),
        shared="the same sites",
    ),
    Relation(words=("stackoverflow", "stack overflow"), tasks=("StackOverflowDupQuestions",), shared="the same site"),
    Relation(words=("banking77",), tasks=("Banking77Classification*",), shared="the same dataset"),
    Relation(words=("emotion",), tasks=("EmotionClassification*",), shared="the same dataset"),
    Relation(words=("imdb",), tasks=("ImdbClassification*",), shared="the same dataset"),
    Relation(
        words=("e5 replication", "e5 data", "e5data", "echo data"),
        tasks=("MSMARCO", "NQ", "HotpotQA*", "FEVER*", "ClimateFEVER*", "QuoraRetrieval*"),
        shared="the E5 replication holds the training sets of MS MARCO, NQ, HotpotQA, FEVER and Quora",
    ),
    Relation(words=("gsm8k",), tasks=("gsm8k*",), shared="the same dataset"),
    Relation(words=("mmlu",), tasks=("mmlu*",), shared="the same dataset"),
    Relation(words=("bbh", "big bench hard"), tasks=("bbh*",), shared="the same dataset"),
    Relation(words=("humaneval",), tasks=("humaneval*",), shared="the same problems"),
)
_DATA_KEYS = re.compile(r"data|corpus|corpora|source|train|valid|eval|select", re.IGNORECASE)
"""Only what stands below such a key names data; a prompt that holds the word "fever" does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One evaluation task that shares data with what a model was trained or selected on."""

    model: str
    task: str
    use: str
    """trained on, or selected on."""
    named: str
    """As the candidate names it."""
    shared: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a model's training."""

    model: str
    is_known: bool
    """False for models without a candidate.yaml: nothing can be said of them."""
    trained_on: tuple[str, ...]
    selected_on: str | None
    marks: tuple[Mark, ...]


def markdown(report: Report) -> str:
    """Return what was found in training files, where `harness contamination` looked; the rest is in the page alone."""
    parts = []
    for one in overlaps_of(report):
        parts += [f"### {one.title}", table(overlap_tables.TEXTS_HEADER, one.texts)]
        parts += [table(overlap_tables.SCORES_HEADER, one.scores)] if one.scores else []
        parts += ["\n".join(f"- {line}" for line in one.notes)] if one.notes else []
    return "\n\n".join(["## Test texts in training files", *parts, overlap_tables.LEGEND]) if parts else ""


def page(report: Report) -> dict[str, Any]:
    """Return the record of every model, and what `harness contamination` found in training files."""
    return {
        "records": records(report.summary),
        "overlaps": overlaps_of(report),
        "texts_header": overlap_tables.TEXTS_HEADER,
        "scores_header": overlap_tables.SCORES_HEADER,
        "overlap_legend": overlap_tables.LEGEND,
    }


def overlaps_of(report: Report) -> list[overlap_tables.Tables]:
    """Return what was found for the suite's tasks, scores of cells that were run again since left out."""
    stored = report.store.kept(FOLDER, f"{report.summary.title}.json") if report.store is not None else None
    if stored is None:
        return []
    try:
        found = from_json(stored)
    except ValueError as error:
        logger.warning("what `harness contamination` kept cannot be read (%s): run it again", error)
        return []
    summary = report.summary
    labels = {task.label: task.name for task in summary.tasks}
    units = {one.score.task: one.score.unit for one in summary.cells.values() if one.score}
    keys = {(model, name): one.score.key for (model, name), one in summary.cells.items() if one.score}
    shown = []
    for one in found:
        tasks = tuple(
            replace(
                task,
                scores={
                    model: of for model, of in task.scores.items() if keys.get((model, labels[task.task])) == of[0]
                },
            )
            for task in one.tasks
            if task.task in labels
        )
        shown.append(overlap_tables.tables_of(replace(one, tasks=tasks), units))
    return shown


def records(summary: Summary) -> list[Record]:
    """Return what is known of every model of a report, from its cells' provenance or its candidate directory."""
    return [_record(summary, model) for model in summary.models]


def marks_by_cell(found: list[Record]) -> dict[tuple[str, str], list[Mark]]:
    """Return (model, task) -> marks."""
    by_cell: dict[tuple[str, str], list[Mark]] = {}
    for record in found:
        for mark in record.marks:
            by_cell.setdefault((mark.model, mark.task), []).append(mark)
    return by_cell


def _record(summary: Summary, model: str) -> Record:
    training, selected_on = _training(summary, model)
    names = tuple(dict.fromkeys(_named(training)))
    marks = [
        mark
        for use, sources in (("trained on", names), ("selected on", (selected_on,) if selected_on else ()))
        for source in sources
        for task in summary.tasks
        for mark in _marks(model, use, source, task)
    ]
    return Record(
        model=model,
        is_known=bool(training or selected_on),
        trained_on=names,
        selected_on=selected_on,
        marks=tuple(dict.fromkeys(marks)),
    )


def _training(summary: Summary, model: str) -> tuple[Mapping[str, Any], str | None]:
    """Return the training record and the selection data; of the stored cells where the directory is not there."""
    candidate = summary.candidates.get(model)
    if candidate is not None and (candidate.training or candidate.selected_on):
        return candidate.training, candidate.selected_on
    for (name, _), view in summary.cells.items():
        if name == model and view.score is not None:
            facts = facts_of(view.score)
            return facts.training, facts.selected_on
    return {}, None


def _named(value: Any, *, is_data: bool = False) -> Iterator[str]:
    """Yield the strings below keys that speak of data; hashes and numbers name nothing."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            below = is_data or bool(_DATA_KEYS.search(str(key)))
            if below and _names_something(str(key)) and isinstance(one, Mapping):
                yield str(key)  # {"data": {"stsb-train": {"sha256": ...}}}
            yield from _named(one, is_data=below)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _named(one, is_data=is_data)
    elif is_data and isinstance(value, str) and _names_something(value):
        yield value


def _names_something(text: str) -> bool:
    return bool(text) and not re.fullmatch(r"(sha256:)?[0-9a-f]{32,}", text) and text not in ("data", "training")


def _marks(model: str, use: str, source: str, task: PlannedTask) -> Iterator[Mark]:
    spelled = f" {_words(source)} "
    own = _words(task.info.dataset or "")
    if own and f" {own} " in spelled:
        yield Mark(model=model, task=task.name, use=use, named=source, shared="the task's own dataset")
        return
    for relation in RELATIONS:
        hit = any(f" {word} " in spelled for word in relation.words)
        if hit and any(fnmatchcase(task.name, pattern) for pattern in relation.tasks):
            yield Mark(model=model, task=task.name, use=use, named=source, shared=relation.shared)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
