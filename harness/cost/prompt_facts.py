"""How long the prompts and answers of ability tasks are: from `prompt_facts.json`, so that a plan reads no data.

The file is written by `python -m harness.cost.make_prompt_facts` from a local hub, with a named tokenizer; it says what
was measured. Tasks and parts it has no data of are unknown or, within a group, taken as the mean of the measured parts;
either is said in the plan. Imports nothing heavy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFacts:
    """One part of a task; means over its items, in tokens where nothing else is said."""

    requests: float
    """Likelihoods or answers asked of the model an item."""
    rows: float
    """Token rows an item: options that differ in their last token alone are one row."""
    lead: float
    """What begins every prompt, before the examples: the task's description."""
    example: float
    """One example with its answer and the blank line after it."""
    question: float
    """The item itself, as all its rows begin."""
    options: float
    """What the rows add to the question, their last tokens apart; 0 where an answer is generated."""
    gold: float
    """The gold answer, scored after the prompt where an answer is generated; 0 elsewhere."""
    answer: float
    """An answer as the examples give it, or the gold answer where there are none; 0 where nothing is generated."""
    long_answer: float
    """The 95th percentile of these: how long a batch is likely to run."""
    fixed: bool
    """Whether every item of the part has the same examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All that the package knows."""

    tokenizer: str
    """What the tokens are of."""
    tasks: Mapping[str, Mapping[str, PromptFacts]]
    """Task -> part -> facts."""


@cache
def shipped() -> Measured:
    """Return what ships with the package."""
    raw = json.loads(files("harness.cost").joinpath("prompt_facts.json").read_text(encoding="utf-8"))
    return Measured(
        tokenizer=raw["tokenizer"],
        tasks={task: {part: facts_of(row) for part, row in parts.items()} for task, parts in raw["tasks"].items()},
    )


COLUMNS = ("requests", "rows", "lead", "example", "question", "options", "gold", "answer", "long_answer", "fixed")
DIGITS = 2


def row_of(facts: PromptFacts) -> list[Any]:
    """Return facts as one list of the file, in the order of `COLUMNS`."""
    values = [getattr(facts, column) for column in COLUMNS]
    return [value if isinstance(value, bool) else round(value, DIGITS) for value in values]


def facts_of(row: Sequence[Any]) -> PromptFacts:
    """Return one list of the file as facts."""
    return PromptFacts(**dict(zip(COLUMNS, row, strict=True)))


def mean_of(parts: Sequence[PromptFacts]) -> PromptFacts:
    """Return the mean over parts, each counted once; examples are fixed where all parts' are."""
    means = {column: sum(getattr(one, column) for one in parts) / len(parts) for column in COLUMNS if column != "fixed"}
    return PromptFacts(**means, fixed=all(one.fixed for one in parts))
