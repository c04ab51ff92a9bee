"""Prompt facts of tasks over the user's own files, rendered in the plan: lm-eval task files and `lm_nll` texts.

Templates are rendered with jinja2 as lm-eval renders them; tokens are estimated by `text_tokens`. A task file whose
fields are Python functions, or whose data lie on the hub, is said to be unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cost.prompt_facts import PromptFacts
from harness.cost.work import AbilityWork, Habits, Pile, pile_of
from harness.plan.asked import ReadWith
from harness.plan.cells import PlannedTask
from harness.plan.lm_eval_files import own_data_files, own_task
from harness.row_files import json_rows
from harness.suite.task_entries import FileRef, NllRef

LONG = 0.95
"""Quantile of the answers that a batch is taken to run for."""
PIECES = re.compile(r"[^\W\d_]+|\d|\n+|[^\w\s]|_")
LETTERS_PER_TOKEN = 8
SAMPLED_ITEMS = 500
"""Prompts of longer files are measured on so many items, spread evenly."""


class UnknownError(ValueError):
    """Why nothing is known of a task."""


def own_work(task: PlannedTask, habits: Habits) -> AbilityWork:
    """Return the work of a task over own files; no piles and the reason where that cannot be told."""
    try:
        if isinstance(task.settings, ReadWith):
            pile = _nll_pile(task, task.settings, habits.context)
        else:
            pile = _file_pile(task, habits)
    except UnknownError as unknown:
        return AbilityWork(piles=(), note=f"lengths unknown: {unknown}")
    return AbilityWork(piles=(pile,), note=None)


def _file_pile(task: PlannedTask, habits: Habits) -> Pile:
    path = Path(task.ability.file) if isinstance(task.ability, FileRef) else None
    if path is None or not path.is_file():
        raise UnknownError("its file is not there")
    facts, items = measure(path, own_task(path))
    return pile_of(facts, min(items, task.limit) if task.limit else items, task.asked, habits)


def measure(path: Path, config: Mapping[str, Any]) -> tuple[PromptFacts, int]:
    """Return the facts of an lm-eval task file and its number of items.

    Raises:
        UnknownError: it takes Python functions or the hub to tell.
    """
    rows = _rows(path, config, config.get("test_split") or config.get("validation_split") or "test")
    if not rows:
        raise UnknownError("its data file has no rows")
    shots_from = config.get("fewshot_split") or config.get("training_split")
    sampler = config.get("fewshot_config") or {}
    written = sampler.get("samples")
    examples = written if isinstance(written, list) else _rows(path, config, shots_from) if shots_from else rows
    asked = rows[:: max(1, len(rows) // SAMPLED_ITEMS)]
    try:
        return _facts(config, asked, examples or rows, is_fixed=sampler.get("sampler") == "first_n"), len(rows)
    except (TypeError, KeyError, IndexError) as error:
        raise UnknownError(f"its templates do not fit its rows ({error})") from error


def _facts(config: Mapping[str, Any], asked: Sequence[Any], examples: Sequence[Any], *, is_fixed: bool) -> PromptFacts:
    render = Renderer(config)
    between, gap = str(config.get("fewshot_delimiter", "\n\n")), str(config.get("target_delimiter", " "))
    generates = config.get("output_type", "generate_until") == "generate_until"
    questions = [render.question(row) for row in asked]
    answers = [render.answer(row) for row in examples]
    shown = [f"{render.question(row)}{gap}{one}{between}" for row, one in zip(examples, answers, strict=True)]
    golds = [f"{gap}{render.answer(row)}" for row in asked]
    lengths = [text_tokens(one) for one in (answers if config.get("num_fewshot") else golds)]
    options = [[] if generates else render.choices(row) for row in asked]
    lengths_of_options = [[max(text_tokens(one), 1) for one in own] for own in options]
    return PromptFacts(
        requests=_mean([max(len(own), 1) for own in options]),
        rows=_mean([max(sum(n > 1 for n in own) + (1 in own), 1) for own in lengths_of_options]),
        lead=text_tokens(str(config.get("description") or "")),
        example=_mean([text_tokens(one) for one in shown]),
        question=_mean([text_tokens(one) for one in questions]),
        options=_mean([sum(n - 1 for n in own) for own in lengths_of_options]),
        gold=_mean([text_tokens(one) for one in golds]) if generates else 0.0,
        answer=_mean(lengths) if generates else 0.0,
        long_answer=long_one(lengths) if generates else 0.0,
        fixed=is_fixed,
    )


def long_one(lengths: Sequence[float]) -> float:
    """Return the 95th percentile, the higher of two neighbours; 0 of nothing."""
    ranked = sorted(lengths)
    return ranked[math.ceil(LONG * (len(ranked) - 1))] if ranked else 0.0


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has: one a digit, sign or line end, one for each eight letters of a word."""
    return sum(math.ceil(len(one) / LETTERS_PER_TOKEN) if one.isalpha() else 1 for one in PIECES.findall(text))


class Renderer:
    """Renders a task file's templates over rows, as lm-eval does."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        from jinja2 import BaseLoader, StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        self._config = config
        self._environment = SandboxedEnvironment(
            loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True
        )

    def question(self, row: Mapping[str, Any]) -> str:
        """Return the item as it is asked."""
        return str(self._field("doc_to_text", row))

    def choices(self, row: Mapping[str, Any]) -> list[str]:
        """Return the options; empty where there are none."""
        import ast

        found = self._field("doc_to_choice", row)
        if isinstance(found, str):
            try:
                found = ast.literal_eval(found)
            except (ValueError, SyntaxError) as error:
                raise UnknownError(f"doc_to_choice gives no list: {found[:40]!r}") from error
        return [str(one) for one in found or []]

    def answer(self, row: Mapping[str, Any]) -> str:
        """Return the gold answer."""
        found = self._field("doc_to_target", row)
        choices = self.choices(row)
        if choices and str(found).isdigit():
            return choices[int(found)]
        return str(found[0] if isinstance(found, list) and found else found)

    def _field(self, name: str, row: Mapping[str, Any]) -> Any:
        from jinja2 import TemplateError

        template = self._config.get(name)
        if template is None or not isinstance(template, str):
            return template
        if template in row:
            return row[template]
        if "{" not in template:  # the reader leaves of `!function module.name` the name alone
            raise UnknownError(f"{name} is the function or constant {template!r}")
        try:
            return self._environment.from_string(template).render(**row)
        except TemplateError as error:
            raise UnknownError(f"{name} does not fit the rows: {error}") from error


def _rows(path: Path, config: Mapping[str, Any], split: Any) -> list[Any]:
    if config.get("process_docs") is not None:
        raise UnknownError("its rows are made by a Python function (process_docs)")
    named = own_data_files(path, config)
    if config.get("dataset_path") != "json" or not isinstance(named, dict) or split not in named:
        raise UnknownError("its data are no JSON lines named by split")
    files = named[split] if isinstance(named[split], list) else [named[split]]
    rows: list[Any] = []
    for one in files:
        rows += json_lines(Path(one))
    return rows


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; raises UnknownError where it is not there or no JSON lines, with the first problem."""
    if not path.is_file():
        raise UnknownError(f"no such file: {path.name}")
    problems: list[str] = []
    try:
        found = [row.values for row in json_rows(path, problems)]
    except OSError as error:
        raise UnknownError(f"{path.name} cannot be read: {error}") from error
    if problems:
        raise UnknownError(problems[0])
    return found


def _nll_pile(task: PlannedTask, settings: ReadWith, context: int | None) -> Pile:
    reference = task.ability
    if not isinstance(reference, NllRef) or reference.file is None:
        raise UnknownError(f"dataset {task.info.dataset} was not measured")
    rows = json_lines(Path(reference.file))[: task.limit]
    texts = [row.get(settings.column) for row in rows]
    if not texts or not all(isinstance(one, str) for one in texts):
        raise UnknownError(f"not every row has a text in {settings.column!r}")
    most = min(settings.max_text_tokens, context or settings.max_text_tokens)
    lengths = [min(text_tokens(str(one)), most) for one in texts]
    return Pile(
        items=len(texts), requests=len(texts), tokens_in=sum(lengths), row_tokens=_mean(lengths), answer=0.0,
        longest_answer=0.0, most=0,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
