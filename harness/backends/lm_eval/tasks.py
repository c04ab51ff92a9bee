"""lm-eval's task objects for a cell: loaded from where the data are, with every setting of the suite put into them.

Overrides go through the task object (`set_config`): a dictionary with a registered task's name does not inherit from
the task, and `simple_evaluate` neither overrides a task's own zero shots nor takes settings task by task.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import yaml

from harness.backends.interface import Job
from harness.backends.lm_eval import humaneval
from harness.backends.lm_eval.catalogue import task_folder
from harness.plan.asked import AskedWith
from harness.plan.lm_eval_files import BUILDERS, own_dataset_kwargs, own_task
from harness.sources.places import Located
from harness.suite.task_entries import FileRef
from harness.tasks.catalogue import catalogue

logger = logging.getLogger(__name__)

FEWSHOT_SEED = 1234
"""lm-eval's own default, so that the examples are those of its command line."""


def load_tasks(job: Job) -> dict[str, Any]:
    """Return part -> lm-eval task, data loaded and settings applied; one part where the task is no group."""
    planned = job.cell.task
    reference = planned.ability
    place = job.data[planned.info.name]
    asked = planned.asked
    if isinstance(reference, FileRef):
        found = {planned.name: _own_task(Path(reference.file), str(asked.own_task), place)}
    elif planned.runs_code:
        found = {planned.name: humaneval.load(planned.name, place)}
    else:
        found = _shipped_tasks(planned.name, planned.info.ability or {}, planned.subsets, place)
    for task in found.values():
        _apply(task, asked)
    return found


def gold_answer(task: Any, doc: Any, prompt: str, *, chat_template: bool) -> str | None:
    """Return the gold answer as it follows the prompt: the dataset's solution or target, the first of several.

    With a chat template the answer opens a turn of its own, so that no delimiter stands before it (as lm-eval does for
    options).

    Args:
        task: the lm-eval task.
        doc: the item, as the task reads it.
        prompt: as it is asked.
        chat_template: whether it went through the model's chat template.
    """
    target = task.doc_to_target(doc)
    choices = task.doc_to_choice(doc) if task.config.doc_to_choice is not None else None
    if choices is not None and isinstance(target, int):
        target = choices[target]
    if isinstance(target, list):
        target = target[0] if target else None
    if target is None or target == "":
        return None
    known = catalogue().tasks.get(task.task_name)
    if known is not None and known.runs_code:
        return humaneval.gold_after(prompt, str(target))
    return str(target) if chat_template else f"{task.config.target_delimiter}{target}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep lm-eval's prints and progress bars off the terminal; what it prints goes to the log."""
    import datasets
    import lm_eval.api.model
    import lm_eval.api.task
    from tqdm import tqdm  # type: ignore[import-untyped]

    silent = partial(tqdm, disable=True)
    printed = io.StringIO()
    bars = datasets.utils.logging.is_progress_bar_enabled()
    datasets.utils.logging.disable_progress_bar()
    try:
        with (
            patch.object(lm_eval.api.task, "tqdm", silent),
            patch.object(lm_eval.api.model, "tqdm", silent),
            contextlib.redirect_stdout(printed),
        ):
            yield
    finally:
        if bars:
            datasets.utils.logging.enable_progress_bar()
        for line in printed.getvalue().splitlines():
            logger.info("lm-eval printed: %s", line)


def _shipped_tasks(name: str, about: Any, subsets: tuple[str, ...], place: Located) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    prefix = about["part_prefix"]
    names = {f"{prefix}{subset}" if prefix else name: subset if prefix else name for subset in subsets}
    pinned = {"revision": place.revision} if place.revision else {}
    where: dict[str, Any] = {"dataset_path": place.load_from}
    if about.get("also_reads"):  # the task's own function reads the data, and is told where
        where["dataset_kwargs"] = {"path": place.load_from, **pinned}
    elif pinned:
        where["dataset_kwargs"] = pinned
    manager = TaskManager(include_defaults=False, include_path=[task_folder(name)])
    # members of an inline group inherit from the registered task; the same dictionary on its own would not
    loaded = manager.load([{"group": "harness", "task": [{"task": one, **where} for one in names]}])["tasks"]
    return {part: loaded[one] for one, part in names.items()}


def _own_task(path: Path, name: str, place: Located) -> Any:
    """Load a task file through one that includes it, since lm-eval takes no overrides with a path."""
    from lm_eval.tasks import TaskManager

    config = own_task(path)
    changed: dict[str, Any] = {"include": str(path.resolve()), "task": name}
    if kwargs := own_dataset_kwargs(path, config):
        changed["dataset_kwargs"] = kwargs
    if config.get("dataset_path") is not None and str(config["dataset_path"]) not in BUILDERS:
        changed["dataset_path"] = place.load_from
        if place.revision:
            changed["dataset_kwargs"] = kwargs | {"revision": place.revision}
    with TemporaryDirectory() as folder:
        wrapper = Path(folder) / "task.yaml"
        wrapper.write_text(yaml.safe_dump(changed), encoding="utf-8")
        loaded = TaskManager(include_defaults=False).load([str(wrapper)])["tasks"]
    return loaded[name]


def _apply(task: Any, asked: AskedWith) -> None:
    task.set_config("num_fewshot", asked.num_fewshot)
    if asked.output_type == "generate_until":
        generation = {"until": list(asked.until or ()), "max_gen_toks": asked.max_gen_toks}
        task.set_config("generation_kwargs", {**(asked.generation or {}), **generation})
    if asked.code is not None:
        task.set_config("repeats", asked.repeats)
    task.set_fewshot_seed(FEWSHOT_SEED)
