"""Ability tasks of a suite, resolved without importing lm-eval: every setting with its value, and where the data is.

Four kinds: a task of the catalogue, one of these whose answers are programs (HumanEval), an lm-eval YAML file of the
user's, and `lm_nll`, nats per token over texts that the suite names. What is not in the suite comes from the catalogue,
so that key and provenance of a cell name every value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import InputError
from harness.plan.asked import AskedWith, CodeRun, ReadWith
from harness.plan.cells import PlannedTask
from harness.plan.humaneval import code_run, locate_problems
from harness.plan.lm_eval_files import BUILDERS, own_folder, own_task
from harness.plan.lm_eval_inputs import locate_file, locate_texts
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Located, Sources
from harness.suite.task_entries import AbilityRef, AbilitySettings, CodeRef, FileRef, NllRef
from harness.tasks.catalogue import TaskInfo, in_order
from harness.tasks.types import LIKELIHOOD_TYPE, OWN_TYPE
from harness.wording import display_path

NLL_MAX_TEXT_TOKENS = 1024
DEFAULT_MAX_GEN_TOKS = 256
"""Of lm-eval, where a task file says nothing."""


class Resolved(NamedTuple):
    """An ability task as the suite uses it."""

    info: TaskInfo
    subsets: tuple[str, ...]
    settings: AskedWith | ReadWith | None
    """None while its task file is not there."""


def resolve(reference: AbilityRef, tasks: Mapping[str, TaskInfo]) -> Resolved:
    """Return the task that `reference` names, with every setting; raises InputError for a broken task file."""
    if isinstance(reference, NllRef):
        return _resolve_nll(reference)
    if isinstance(reference, FileRef):
        return _resolve_file(reference, Path(reference.file))
    info = tasks[reference.name]
    facts = info.ability or {}
    asked = {name: facts["defaults"][name] for name in AbilitySettings.model_fields if name in facts["defaults"]}
    code = code_run(reference) if isinstance(reference, CodeRef) else None
    subsets = in_order(reference.subtasks or info.subsets, info.subsets)
    return Resolved(info, subsets, _asked(facts, asked, reference, code=code))


def overridden(settings: AskedWith | ReadWith | None, override: AbilitySettings | None) -> AskedWith | ReadWith | None:
    """Return `settings` with what a model entry says differently."""
    if override is None or not isinstance(settings, AskedWith):
        return settings  # of lm_nll a suite refuses such an entry
    return replace(settings, **_said(override))


def locate(task: PlannedTask, sources: Sources) -> Located | Gap:
    """Find the data of an ability task; files of the user's are keyed by their content, task file included."""
    reference, info = task.ability, task.info
    if isinstance(reference, FileRef):
        return locate_file(reference, info, sources)
    if isinstance(reference, NllRef) and reference.file is not None:
        return locate_texts(reference.name, Path(reference.file))
    if info.runs_code:
        return locate_problems(sources)
    if info.dataset is None:
        return Gap(what=f"data of {info.name}", why="the suite names none", command="give `file` or `dataset`")
    for subset, split in (info.ability or {}).get("also_reads", ()):
        place = locate_dataset(sources, info.dataset, info.revision, subsets=(subset,), splits=(split,))
        if isinstance(place, Gap):
            return place
    return locate_dataset(sources, info.dataset, info.revision, subsets=task.subsets, splits=splits_read(task))


def splits_read(task: PlannedTask) -> tuple[str, ...]:
    """Return the splits a task reads, the one its examples come from among them."""
    has_shots = isinstance(task.settings, AskedWith) and task.settings.num_fewshot > 0
    shots = (task.info.ability or {}).get("fewshot_split") if has_shots else None
    return tuple(dict.fromkeys([*task.splits, shots])) if shots else task.splits


def reads_own_files(task: PlannedTask) -> bool:
    """Whether the data of an ability task are files of the user's, and no hub dataset."""
    reference = task.ability
    if isinstance(reference, FileRef):
        return task.info.dataset in (*BUILDERS, reference.file) or Path(str(task.info.dataset)).is_absolute()
    return isinstance(reference, NllRef) and reference.file is not None


def _asked(
    facts: Mapping[str, Any],
    defaults: Mapping[str, Any],
    said: AbilitySettings,
    *,
    code: CodeRun | None = None,
    own_task: str | None = None,
) -> AskedWith:
    """Return how a task is asked.

    Args:
        facts: of the task: its output type, filters and version.
        defaults: its own settings, by the names that a suite gives them.
        said: what the suite says, which wins.
        code: what programs are run with; None where answers are no programs.
        own_task: the task's name in a file of the user's; None for tasks of the catalogue.
    """
    fixed = {name: facts[name] for name in ("output_type", "filters", "version")}
    return AskedWith(**(fixed | dict(defaults) | _said(said)), code=code, own_task=own_task)


def _said(settings: AbilitySettings) -> dict[str, Any]:
    """Return the fields of `AbilitySettings` that were given a value."""
    return settings.model_dump(include=set(AbilitySettings.model_fields), exclude_none=True)


def _info(reference: AbilityRef, kind: str, main_score: str, **given: Any) -> TaskInfo:
    fields: dict[str, Any] = {
        "name": reference.name,
        "axis": "ability",
        "type": kind,
        "engine": "lm-eval",
        "main_score": main_score,
        "splits": ("test",),
        "subsets": {"default": ()},
        "prompt": None,
        "dataset": None,
        "revision": None,
        "parts": (),
        "counts": {},
    }
    return TaskInfo(**(fields | given))


def _resolve_nll(reference: NllRef) -> Resolved:
    subset = reference.config or "default"
    info = _info(
        reference,
        LIKELIHOOD_TYPE,
        "nll",
        dataset=reference.dataset or reference.file,
        splits=(reference.split or "test",),
        subsets={subset: ()},
    )
    most = reference.max_text_tokens or NLL_MAX_TEXT_TOKENS
    return Resolved(info, (subset,), ReadWith(column=reference.column, max_text_tokens=most))


def _resolve_file(reference: FileRef, path: Path) -> Resolved:
    kind = reference.type or OWN_TYPE
    if not path.is_file():  # a gap, named with the others
        return Resolved(_info(reference, kind, "unknown", dataset=str(path)), ("default",), None)
    config = own_task(path)
    metrics = _names(config.get("metric_list"), "metric")
    filters = _names(config.get("filter_list"), "name") or ["none"]
    if metrics:
        _check_choice("metric", reference.metric, metrics, path)
    _check_choice("filter", reference.filter, filters, path)
    output_type = config.get("output_type", "generate_until")
    defaults = {"num_fewshot": config.get("num_fewshot") or 0, "filter": filters[0], **_answers(config, output_type)}
    ability = {
        "output_type": output_type,
        "filters": filters,
        "version": (config.get("metadata") or {}).get("version"),
        "defaults": defaults,
    }
    subset = str(config.get("dataset_name") or "default")
    first = metrics[0] if metrics else "exact_match" if output_type == "generate_until" else "acc"
    info = _info(
        reference,
        kind,
        reference.metric or first,
        dataset=str(own_folder(path, config) or config.get("dataset_path") or path),
        splits=(str(config.get("test_split") or config.get("validation_split") or "test"),),
        subsets={subset: ()},
        ability=ability,
    )
    return Resolved(info, (subset,), _asked(ability, defaults, reference, own_task=config["task"]))


def _names(entries: Sequence[Any] | None, key: str) -> list[str]:
    """Return what `key` says in each entry of a list of a task file."""
    return [str(one.get(key)) for one in entries or [] if isinstance(one, dict)]


def _check_choice(noun: str, chosen: str | None, choices: Sequence[str], path: Path) -> None:
    if chosen is not None and chosen not in choices:
        raise InputError([f"{display_path(path)}: no {noun} {chosen!r}; it has: {', '.join(choices)}"])


def _answers(config: Mapping[str, Any], output_type: str) -> dict[str, Any]:
    """Return how answers are generated, as a task file says; nothing where none are."""
    if output_type != "generate_until":
        return {}
    generation = dict(config.get("generation_kwargs") or {"do_sample": False, "temperature": 0.0})
    until = generation.pop("until", [str(config.get("fewshot_delimiter", "\n\n"))])
    return {
        "until": [until] if isinstance(until, str) else until,
        "max_gen_toks": generation.pop("max_gen_toks", DEFAULT_MAX_GEN_TOKS),
        "generation": generation,
    }
