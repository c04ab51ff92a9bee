"""Ability tasks of a suite, resolved without importing lm-eval: every setting with its value, and where the data is.

Three kinds: a task of the catalogue, an lm-eval YAML file of the user's, and `lm_nll`, nats per token over texts that
the suite names. What is not in the suite comes from the catalogue, so that key and provenance of a cell name every
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness import humaneval
from harness.catalogue import TaskInfo
from harness.digests import sha256_file, sha256_files, visible_files
from harness.errors import InputError
from harness.hub import Gap, Located, Sources, locate_dataset
from harness.suite import AbilityRef, AbilitySettings
from harness.yaml_source import display_path

NLL_MAX_TEXT_TOKENS = 1024
SAMPLING_VERSION = 1
"""In the key of sampled answers: how they are drawn (backends/lm_eval_sampling.py)."""
BUILDERS = ("json", "csv", "parquet", "text", "arrow")
"""What `dataset_path` says when the data are files."""
OWN_TYPE = "Own"
LIKELIHOOD_TYPE = "Likelihood"
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
        settings |= humaneval.settings_of(reference)
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
        return _locate_file(reference, Path(reference.file), info, sources)
    if info.name in humaneval.TASKS:
        return humaneval.locate(sources)
    if info.dataset is None:
        return Gap(what=f"data of {info.name}", why="the suite names none", command="give `file` or `dataset`")
    shots = info.ability.get("fewshot_split") if info.ability and resolved.settings.get("num_fewshot") else None
    splits = (*info.splits, shots) if shots else info.splits
    for subset, split in (info.ability or {}).get("also_reads", ()):
        place = locate_dataset(sources, info.dataset, info.revision, subsets=(subset,), splits=(split,))
        if isinstance(place, Gap):
            return place
    return locate_dataset(sources, info.dataset, info.revision, subsets=resolved.subsets, splits=splits)


def own_task(path: Path) -> dict[str, Any]:
    """Return an lm-eval task file with the files it includes merged in; functions stay names.

    Raises:
        InputError: it cannot be read, is no mapping, or names no task.
    """
    config = _read(path)
    if not isinstance(config.get("task"), str):
        raise InputError([f"{display_path(path)}: no `task:` with a name; an lm-eval task file has one"])
    return config


def own_data_files(path: Path, config: Mapping[str, Any]) -> Any:
    """Return `data_files` of a task file with paths made absolute against its folder; None where it has none."""
    named = (config.get("dataset_kwargs") or {}).get("data_files")

    def absolute(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: absolute(one) for key, one in value.items()}
        if isinstance(value, list):
            return [absolute(one) for one in value]
        return str(path.parent.resolve() / str(value))

    return None if named is None else absolute(named)


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


def _locate_file(reference: AbilityRef, path: Path, info: TaskInfo, sources: Sources) -> Located | Gap:
    mend = "mend `file` in the suite (relative paths are taken from the suite's own folder)"
    if not path.is_file():
        return Gap(what=f"task {reference.name!r}", why=f"no such file: {display_path(path)}", command=mend)
    if reference.is_nll:
        return _own_data(path, {"file": sha256_file(path)})
    config = own_task(path)
    named = own_data_files(path, config)
    files = [Path(one) for one in _leaves(named)]
    absent = [display_path(one) for one in files if "*" not in one.name and not one.is_file()]
    if absent:
        why = f"no such file: {', '.join(absent)}"
        return Gap(
            what=f"data of task {reference.name!r}", why=why, command=f"mend `data_files` in {display_path(path)}"
        )
    # functions that a task file names live in Python files beside it
    beside = [one for one in visible_files(path.parent) if one.suffix in (".py", ".yaml", ".yml")]
    code = [one for one in beside if one.suffix == ".py" or one.resolve() == path.resolve() or config.get("include")]
    identity = {"task_sha256": sha256_files(path.parent, code)}
    if str(config.get("dataset_path")) in BUILDERS:
        for one in files:
            found = [one] if "*" not in one.name else sorted(one.parent.glob(one.name))
            identity |= {f"data:{each.name}": sha256_file(each) for each in found}
        return _own_data(path, identity)
    data = locate_dataset(sources, str(info.dataset), None, subsets=tuple(info.subsets), splits=info.splits)
    if isinstance(data, Gap) or data.identity is None:
        return data
    return Located(
        load_from=data.load_from,
        revision=data.revision,
        identity=identity | data.identity,
        source=data.source,
        vouched=data.vouched,
    )


def _own_data(path: Path, identity: dict[str, str]) -> Located:
    return Located(
        load_from=str(path),
        revision=None,
        identity=identity,
        source=f"own data {display_path(path)}",
        vouched="own data, keyed by content",
    )


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [] if value is None else [str(value)]


class _Loader(yaml.SafeLoader):
    """Reads `!function module.name` as its text."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def _read(path: Path, chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path.resolve() in chain:
        raise InputError([f"{display_path(path)}: the files include each other in a circle"])
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError([f"{display_path(path)}: not a task file: {error}"]) from error
    if not isinstance(config, dict):
        raise InputError([f"{display_path(path)}: a task file is a mapping of keys to values, this file is not"])
    merged: dict[str, Any] = {}
    included = config.pop("include", [])
    for name in included if isinstance(included, list) else [included]:
        merged |= _read(path.parent / str(name), (*chain, path.resolve()))
    return merged | config | ({"include": included} if included else {})
