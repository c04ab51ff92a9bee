"""Ability tasks of a suite, resolved without importing lm-eval: every setting with its value, and where the data is.

Three kinds: a task of the catalogue, an lm-eval YAML file of the user's, and `lm_nll`, nats per token over texts that
the suite names. What is not in the suite comes from the catalogue, so that key and provenance of a cell name every
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import InputError
from harness.plan.humaneval import locate_problems, settings_of
from harness.plan.lm_eval_files import BUILDERS, Loader, locate_file, own_task
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Located, Sources
from harness.suite.task_entries import AbilityRef, AbilitySettings
from harness.tasks import humaneval
from harness.tasks.catalogue import TaskInfo
from harness.tasks.types import LIKELIHOOD_TYPE, OWN_TYPE
from harness.wording import display_path

NLL_MAX_TEXT_TOKENS = 1024
SAMPLING_VERSION = 1
"""In the key of sampled answers: how they are drawn (backends/lm_eval_sampling.py)."""
FORMAT_DEFAULTS = {"chat_template": False, "fewshot_as_multiturn": True, "system_instruction": None}


class Resolved(NamedTuple):
    """An ability task as the suite uses it."""

    info: TaskInfo
    subsets: tuple[str, ...]
    settings: dict[str, Any]
    """Goes into the key: no path of this machine."""


def resolve(reference: AbilityRef, tasks: Mapping[str, TaskInfo]) -> Resolved:
    """Return the task that `reference` names, with every setting; raises InputError for a broken task file."""
    if reference.is_nll:
        return _resolve_nll(reference)
    if reference.file is not None:
        return _resolve_file(reference, Path(reference.file))
    info = tasks[reference.name]
    settings = _settings(info.ability or {"defaults": {}}, reference)
    if reference.name in humaneval.TASKS:
        settings |= settings_of(reference)
    return Resolved(info, tuple(reference.subtasks or info.subsets), settings)


def overridden(settings: Mapping[str, Any], override: AbilitySettings | None) -> dict[str, Any]:
    """Return `settings` with what a model entry says differently."""
    merged = {**settings, **_said(override)} if override else dict(settings)
    if (merged.get("generation") or {}).get("do_sample"):
        merged["sampling_version"] = SAMPLING_VERSION
    return merged


def locate(reference: AbilityRef, resolved: Resolved, sources: Sources) -> Located | Gap:
    """Find the data of a task; files of the user's are keyed by their content, task file included."""
    info = resolved.info
    if reference.file is not None:
        return locate_file(reference, Path(reference.file), info, sources)
    if info.name in humaneval.TASKS:
        return locate_problems(sources)
    if info.dataset is None:
        return Gap(what=f"data of {info.name}", why="the suite names none", command="give `file` or `dataset`")
    shots = info.ability.get("fewshot_split") if info.ability and resolved.settings.get("num_fewshot") else None
    splits = (*info.splits, shots) if shots else info.splits
    for subset, split in (info.ability or {}).get("also_reads", ()):
        place = locate_dataset(sources, info.dataset, info.revision, subsets=(subset,), splits=(split,))
        if isinstance(place, Gap):
            return place
    return locate_dataset(sources, info.dataset, info.revision, subsets=resolved.subsets, splits=splits)


def reads_own_files(reference: AbilityRef, info: TaskInfo) -> bool:
    """Whether the data are files of the user's, and no hub dataset."""
    return reference.file is not None and (reference.is_nll or info.dataset in (*BUILDERS, reference.file))


def _settings(ability: Mapping[str, Any], reference: AbilityRef) -> dict[str, Any]:
    fixed = {name: ability[name] for name in ("output_type", "filters", "version") if name in ability}
    return fixed | FORMAT_DEFAULTS | dict(ability["defaults"]) | _said(reference)


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


def _resolve_nll(reference: AbilityRef) -> Resolved:
    subset = reference.config or "default"
    info = _info(
        reference,
        LIKELIHOOD_TYPE,
        "nll",
        dataset=reference.dataset or reference.file,
        splits=(reference.split or "test",),
        subsets={subset: ()},
    )
    settings = {
        "kind": "lm_nll",
        "column": reference.column,
        "max_text_tokens": reference.max_text_tokens or NLL_MAX_TEXT_TOKENS,
    }
    return Resolved(info, (subset,), settings)


def _resolve_file(reference: AbilityRef, path: Path) -> Resolved:
    if not path.is_file():  # a gap, named with the others
        return Resolved(_info(reference, reference.type or OWN_TYPE, "unknown", dataset=str(path)), ("default",), {})
    config = own_task(path)
    if config.get("unsafe_code"):
        what = "`unsafe_code`: it runs model-written programs in this process, which is never done here"
        raise InputError([f"{display_path(path)}: {what}; HumanEval in a sandbox is the task `humaneval`"])
    metrics = [str(one.get("metric")) for one in config.get("metric_list") or [] if isinstance(one, dict)]
    generates = config.get("output_type", "generate_until") == "generate_until"
    if reference.metric is not None and metrics and reference.metric not in metrics:
        raise InputError([f"{display_path(path)}: no metric {reference.metric!r}; it has: {', '.join(metrics)}"])
    filters = [str(one.get("name")) for one in config.get("filter_list") or [] if isinstance(one, dict)] or ["none"]
    if reference.filter is not None and reference.filter not in filters:
        raise InputError([f"{display_path(path)}: no filter {reference.filter!r}; it has: {', '.join(filters)}"])
    subset = str(config.get("dataset_name") or "default")
    ability = {
        "output_type": config.get("output_type", "generate_until"),
        "filters": filters,
        "version": (config.get("metadata") or {}).get("version"),
        "defaults": {"num_fewshot": config.get("num_fewshot") or 0, "filter": filters[0]},
    }
    if generates:
        generation = dict(config.get("generation_kwargs") or {"do_sample": False, "temperature": 0.0})
        until = generation.pop("until", [str(config.get("fewshot_delimiter", "\n\n"))])
        ability["defaults"] |= {
            "until": [until] if isinstance(until, str) else until,
            "max_gen_toks": generation.pop("max_gen_toks", 256),
            "generation": generation,
        }
    info = _info(
        reference,
        reference.type or OWN_TYPE,
        reference.metric or (metrics[0] if metrics else ("exact_match" if generates else "acc")),
        dataset=str(config.get("dataset_path") or path),
        splits=(str(config.get("test_split") or config.get("validation_split") or "test"),),
        subsets={subset: ()},
        ability=ability,
    )
    return Resolved(info, (subset,), {"kind": "file", "task": config["task"], **_settings(ability, reference)})


Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))
