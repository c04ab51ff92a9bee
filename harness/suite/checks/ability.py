"""Ability tasks, and the models' own settings for them: what needs several fields or the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from harness.suite.problems import Problem, problem
from harness.suite.task_entries import ability_kind
from harness.tasks.catalogue import TaskInfo, catalogue
from harness.tasks.humaneval import samples
from harness.tasks.types import NLL
from harness.wording import did_you_mean, listing
from harness.yaml_source import Node


def check_ability(tree: Node) -> Iterator[Problem]:
    """Yield the problems of `tasks.ability` and of the models' own settings for them."""
    tasks = tree.get("tasks")
    entries = tasks.get("ability") if tasks else None
    seen: dict[str, Node] = {}
    entry_of: dict[str, Node] = {}
    for entry in entries.items() if entries else []:
        name = entry if isinstance(entry.value, str) else entry.get("name")
        if name is None or not isinstance(name.value, str):
            continue
        if name.value in seen:
            yield problem(name, f"task {name.value!r} is named twice; the first is at {seen[name.value].position}")
        seen.setdefault(name.value, name)
        entry_of.setdefault(name.value, entry)
        yield from _check_entry(entry, name)
    models = tree.get("models")
    for model in models.items() if models else []:
        yield from _check_model(model, entry_of)


def _check_entry(entry: Node, name: Node) -> Iterator[Problem]:
    kind = ability_kind(entry.plain())
    known = catalogue().of_axis("ability")
    if kind == "nll":
        given = [key for key in ("file", "dataset") if entry.get(key) is not None]
        if len(given) != 1:
            yield problem(name, f"task {name.value!r}: lm_nll reads one of `file` (JSON lines) and `dataset`; set one")
    elif kind == "file":
        if name.value in known:
            yield problem(name, f"task {name.value!r} of the catalogue has no file; give your own another name")
    elif name.value not in known:
        near = did_you_mean(str(name.value), known, most=3)
        own = f"{listing([*known, NLL])}, or `file:` with an lm-eval task of your own"
        yield problem(name, f"unknown ability task {name.value!r}; valid: {own}{near}")
    else:
        yield from _check_subtasks(entry, known[str(name.value)])
        yield from _check_settings(entry, known[str(name.value)])


def _check_subtasks(entry: Node, task: TaskInfo) -> Iterator[Problem]:
    subtasks = entry.get("subtasks")
    for subtask in subtasks.items() if subtasks and isinstance(subtasks.value, list) else []:
        if isinstance(subtask.value, str) and subtask.value not in task.subsets:
            near = did_you_mean(subtask.value, task.subsets, most=3)
            has = f"valid: {listing(task.subsets)}" if len(task.subsets) > 1 else "it is no group"
            yield problem(subtask, f"task {task.name!r} has no subtask {subtask.value!r}; {has}{near}")


def _check_settings(entry: Node, task: TaskInfo) -> Iterator[Problem]:
    """Yield the problems of how a task of the catalogue is asked, in the suite's entry or in a model's own."""
    yield from _check_filter(entry, task)
    yield from _check_fewshot(entry, task)
    if task.runs_code:
        yield from _check_code_task(entry, task)


def _check_code_task(entry: Node, task: TaskInfo) -> Iterator[Problem]:
    """Yield what cannot be: examples that the data set lacks, k above n, or n answers that are all the same."""
    shots, repeats, pass_at = (entry.get(key) for key in ("num_fewshot", "repeats", "pass_at"))
    if shots is not None and shots.value:
        yield problem(shots, f"task {task.name!r} has no examples to show: num_fewshot is 0, not {shots.value!r}")
    answers = repeats.value if repeats is not None and isinstance(repeats.value, int) else 1
    for k in pass_at.items() if pass_at is not None and isinstance(pass_at.value, list) else ():
        if isinstance(k.value, int) and k.value > answers:
            yield problem(k, f"pass@{k.value} needs at least {k.value} answers a problem; `repeats` is {answers}")
    generation = entry.get("generation")
    how = generation.plain() if generation is not None else {}
    if answers > 1 and repeats is not None and not samples(how if isinstance(how, dict) else {}):
        sampled = "generation: {do_sample: true, temperature: 0.2, top_p: 0.95}"
        yield problem(repeats, f"{answers} greedy answers are {answers} times the same one; say {sampled}, for one")


def _check_filter(entry: Node, task: TaskInfo) -> Iterator[Problem]:
    chosen = entry.get("filter")
    filters = task.ability["filters"] if task.ability else []
    if chosen is not None and filters and isinstance(chosen.value, str) and chosen.value not in filters:
        near = did_you_mean(chosen.value, filters)
        yield problem(chosen, f"task {task.name!r} has no filter {chosen.value!r}; valid: {listing(filters)}{near}")


def _check_fewshot(entry: Node, task: TaskInfo) -> Iterator[Problem]:
    wanted = entry.get("num_fewshot")
    most = task.ability.get("most_fewshot") if task.ability else None
    if wanted is not None and most is not None and isinstance(wanted.value, int) and wanted.value > most:
        yield problem(
            wanted, f"task {task.name!r} has {most} written examples, num_fewshot {wanted.value} asks for more"
        )


def _check_model(model: Node, tasks: dict[str, Node]) -> Iterator[Problem]:
    own = model.get("ability")
    known = catalogue().of_axis("ability")
    for name, node in own.value.items() if own and isinstance(own.value, dict) else ():
        if tasks and name not in tasks and name not in known:
            near = did_you_mean(name, tasks, most=3)
            yield problem(node, f"no ability task {name!r} in the suite; it has: {listing(tasks)}{near}", at_key=True)
        elif name in known:
            yield from _check_settings(node, known[name])
        elif name in tasks and ability_kind(tasks[name].plain()) == "nll":
            yield problem(
                node,
                f"task {name!r} is lm_nll, whose texts every model reads as they are: nothing of it can be set for one "
                "model; say `column` and `max_text_tokens` in the task's own entry, and take this out",
                at_key=True,
            )
