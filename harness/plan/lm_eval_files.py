"""lm-eval task files of the user's: read without lm-eval, and found with the data they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from harness.digests import sha256_file, sha256_files, visible_files
from harness.errors import InputError
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Located, Sources
from harness.suite.task_entries import FileRef
from harness.tasks.catalogue import TaskInfo
from harness.wording import display_path

BUILDERS = ("json", "csv", "parquet", "text", "arrow")
"""What `dataset_path` says when the data are files."""


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


def locate_texts(name: str, path: Path) -> Located | Gap:
    """Find the JSON lines of the `lm_nll` task `name`."""
    return _own_data(path, {"file": sha256_file(path)}) if path.is_file() else _no_file(name, path)


def locate_file(reference: FileRef, info: TaskInfo, sources: Sources) -> Located | Gap:
    """Find a task file with the code beside it and the data it names; all of them are in its identity."""
    path = Path(reference.file)
    if not path.is_file():
        return _no_file(reference.name, path)
    config = own_task(path)
    files = [Path(one) for one in _leaves(own_data_files(path, config))]
    absent = [display_path(one) for one in files if "*" not in one.name and not one.is_file()]
    empty = [display_path(one) for one in files if one.is_file() and one.stat().st_size == 0]
    if absent or empty:
        why = f"no such file: {', '.join(absent)}" if absent else f"no rows: {', '.join(empty)}"
        return Gap(
            what=f"data of task {reference.name!r}", why=why, command=f"mend `data_files` in {display_path(path)}"
        )
    identity = {"task_sha256": sha256_files(path.parent, _code_of(path, config))}
    if str(config.get("dataset_path")) in BUILDERS:
        for one in files:
            found = [one] if "*" not in one.name else sorted(one.parent.glob(one.name))
            identity |= {f"data:{each.name}": sha256_file(each) for each in found}
        return _own_data(path, identity)
    data = locate_dataset(sources, str(info.dataset), None, subsets=tuple(info.subsets), splits=info.splits)
    if isinstance(data, Gap) or data.identity is None:
        return data
    return replace(data, identity=identity | data.identity)


def _code_of(path: Path, config: Mapping[str, Any]) -> list[Path]:
    """Return the task file, the Python files beside it, where its functions live, and what it may include."""
    beside = [one for one in visible_files(path.parent) if one.suffix in (".py", ".yaml", ".yml")]
    return [one for one in beside if one.suffix == ".py" or one.resolve() == path.resolve() or config.get("include")]


def _no_file(name: str, path: Path) -> Gap:
    mend = "mend `file` in the suite (relative paths are taken from the suite's own folder)"
    return Gap(what=f"task {name!r}", why=f"no such file: {display_path(path)}", command=mend)


def _own_data(path: Path, identity: dict[str, str]) -> Located:
    return Located(
        kind="folder",
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


class Loader(yaml.SafeLoader):
    """Reads `!function module.name` as its text."""


Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def _read(path: Path, chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path.resolve() in chain:
        raise InputError([f"{display_path(path)}: the files include each other in a circle"])
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError([f"{display_path(path)}: not a task file: {error}"]) from error
    if not isinstance(config, dict):
        raise InputError([f"{display_path(path)}: a task file is a mapping of keys to values, this file is not"])
    merged: dict[str, Any] = {}
    included = config.pop("include", [])
    for name in included if isinstance(included, list) else [included]:
        merged |= _read(path.parent / str(name), (*chain, path.resolve()))
    return merged | config | ({"include": included} if included else {})
