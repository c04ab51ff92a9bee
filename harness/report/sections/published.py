"""The rows that the GRACE paper printed (arXiv 2510.04506), as a reference beside one's own; package data."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from harness.report.sections.section import Link, Report

LINK = Link("published", "Published")
SOURCE = "GRACE, arXiv 2510.04506 (ICLR 2026); both averages recomputed from the printed columns"
REMARKS = (
    "The printed average of the paper's own rows weighs Summarization by 10 and divides by 65. Beside it stand the "
    "mean over the 56 datasets and the mean over the 7 types, both recomputed here.",
    "The rows of RoBERTa and Echo are printed with their columns shifted; they are re-sorted here.",
    'Gains such as "+11.5%" are points, not per cent.',
    "The contrastive baseline scores 0.0 on five of six ability tasks: it was not a working language model any more, "
    "and no baseline to be content with.",
    "MMLU 14.74 of Llama-3.2-3B is below chance (25): answers were not extracted.",
    "The evaluation had 10 clustering tasks instead of 11, another tweet task, MSMARCO on test instead of dev, and no "
    "seeds. No intervals are given anywhere, so that small differences between rows mean nothing.",
    "Shots, prompts and splits of the ability tasks are not published: compare within a row, not with your own.",
)
TYPES = ("Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization")
ABILITY_TASKS = ("gsm8k", "mmlu", "triviaqa", "fever", "bbh", "humaneval")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One printed row; all numbers in points."""

    setting: str
    """supervised or unsupervised; empty on the ability axis."""
    backbone: str
    variant: str
    values: tuple[float, ...]
    """In the order of `TYPES` or `ABILITY_TASKS`."""
    printed: float | None
    """The paper's own average; None where it prints none."""
    means: tuple[float, ...]
    """Embedding: over 56 tasks, over 7 types. Ability: over the 6 tasks."""
    note: str = ""


def markdown(_report: Report) -> str:
    """Return nothing: the page alone has it."""
    return ""


def page(_report: Report) -> dict[str, Any]:
    """Return both tables, whatever the report is about."""
    return {
        "source": SOURCE,
        "remarks": REMARKS,
        "types": TYPES,
        "ability_tasks": ABILITY_TASKS,
        "embedding_rows": embedding_rows(),
        "ability_rows": ability_rows(),
    }


def embedding_rows() -> list[PublishedRow]:
    """Return the rows of the paper's MTEB tables."""
    return [
        PublishedRow(
            setting=row["setting"],
            backbone=row["backbone"],
            variant=row["variant"],
            values=tuple(float(row[kind]) for kind in TYPES),
            printed=float(row["avg_printed"]),
            means=(float(row["mean_by_task"]), float(row["mean_by_category"])),
            note=row["note"],
        )
        for row in _read("grace_mteb.csv")
    ]


def ability_rows() -> list[PublishedRow]:
    """Return the rows of the paper's table of general ability."""
    return [
        PublishedRow(
            setting="",
            backbone=row["backbone"],
            variant=row["variant"],
            values=tuple(float(row[task]) for task in ABILITY_TASKS),
            printed=None,
            means=(float(row["mean"]),),
        )
        for row in _read("grace_ability.csv")
    ]


def _read(name: str) -> list[dict[str, str]]:
    text = files("harness.report").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
