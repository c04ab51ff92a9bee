"""lm-eval task files of the user's, read without lm-eval: what one says, what it is made of, what it may not say.

What a key cannot hold (an address, a member of an archive, a prompt of another package, a file that no key names) is
refused here, before anything is run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness import yaml_source
from harness.errors import InputError
from harness.wording import display_path

BUILDERS = ("json", "csv", "parquet", "text", "arrow")
"""What `dataset_path` says when the data are files."""
DATA = ("data_files", "data_dir")
"""Of `dataset_kwargs`: what names rows."""
_REFUSED = {
    "cache_dir": "rows are converted into a folder of their digest, and read from no other",
    "storage_options": "data elsewhere cannot be hashed; download them and name the files",
}


class FunctionName(str):
    """What stands behind `!function`: `module.name`."""

    __slots__ = ()


class TaskFile(NamedTuple):
    """A task file with what it includes."""

    config: dict[str, Any]
    """Merged; functions are `FunctionName`s."""
    files: tuple[Path, ...]
    """Itself and every file it includes."""
    functions: tuple[tuple[Path, str], ...]
    """The folder of the file that names a function, where lm-eval looks for it, and `module.name`."""


def own_task(path: Path) -> dict[str, Any]:
    """Return an lm-eval task file with the files it includes merged in; functions stay names.

    Raises:
        InputError: it cannot be read, is no mapping, names no task, or names data that cannot be hashed.
    """
    return read_task(path).config


def read_task(path: Path) -> TaskFile:
    """Return an lm-eval task file and the files it is made of; raises InputError as `own_task` does."""
    found = _read(path, [])
    if not isinstance(found.config.get("task"), str):
        raise InputError([f"{display_path(path)}: no `task:` with a name; an lm-eval task file has one"])
    problems = list(_refused(path, found.config))
    if problems:
        raise InputError([f"{display_path(path)}: {one}" for one in problems])
    return found


def own_data_files(path: Path, config: Mapping[str, Any]) -> Any:
    """Return `data_files` of a task file as `own_dataset_kwargs` has them; None where it names none."""
    return own_dataset_kwargs(path, config).get("data_files")


def own_dataset_kwargs(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `dataset_kwargs`, files and folder of data made absolute against the task file's folder.

    Files are relative to `data_dir` where both are named, as for the datasets library; in a repository both are
    relative to it and stay as they are.
    """
    named = dict(config.get("dataset_kwargs") or {})
    if str(config.get("dataset_path")) not in BUILDERS:
        return named
    folder = path.parent.resolve()
    if named.get("data_dir") is not None:
        folder = folder / str(named["data_dir"])
        named["data_dir"] = str(folder)
    if named.get("data_files") is not None:
        named["data_files"] = _absolute(folder, named["data_files"])
    return named


def own_folder(path: Path, config: Mapping[str, Any]) -> Path | None:
    """Return the folder that `dataset_path` names, relative to the task file's; None where it names none."""
    named = config.get("dataset_path")
    if named is None or str(named) in BUILDERS:
        return None
    folder = path.parent.resolve() / str(named)
    return folder if folder.is_dir() else None


def leaves(value: Any) -> list[str]:
    """Return what stands at the ends of nested mappings and lists, as text."""
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [] if value is None else [str(value)]


def named_paths(path: Path, value: Any) -> list[Path]:
    """Return the files and folders that texts in `value` name, beside the task file or from where the command runs.

    Only what is written as a path counts, with a folder or a suffix: `field: data` names no folder `data`.
    """
    written = [Path(one) for one in leaves(value) if "\0" not in one and (os.sep in one or Path(one).suffix)]
    places = [folder / one for one in written for folder in (path.parent.resolve(), Path.cwd())]
    return list(dict.fromkeys(place for place in places if place.exists()))


def _absolute(folder: Path, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _absolute(folder, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_absolute(folder, one) for one in value]
    return str(folder / str(value))


def _refused(path: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a task file may not say: what could change a score behind its key's back, or runs programs."""
    kwargs, source = dict(config.get("dataset_kwargs") or {}), str(config.get("dataset_path") or "")
    if config.get("unsafe_code"):
        yield (
            "`unsafe_code`: it runs model-written programs in this process, which is never done here; HumanEval in a "
            "sandbox is the task `humaneval`"
        )
    if config.get("use_prompt") is not None:
        yield "`use_prompt` reads a prompt that no key holds; write it into `doc_to_text`"
    yield from _refused_data(path, config, kwargs, source)


def _refused_data(path: Path, config: Mapping[str, Any], kwargs: dict[str, Any], source: str) -> Iterator[str]:
    """Yield what is wrong with the data that a task file names.

    Args:
        path: of the task file.
        config: what it says.
        kwargs: its `dataset_kwargs`.
        source: its `dataset_path`, empty where it names none.
    """
    if source.endswith(".py") or (path.parent / source).is_file():
        yield f"`dataset_path: {source}`: loading scripts are not run; write `custom_dataset: !function ...` instead"
    if source in BUILDERS and all(kwargs.get(name) is None for name in DATA):
        yield f"`dataset_path: {source}` and no `dataset_kwargs` with `data_files` or `data_dir`: it names no rows"
    for name, why in _REFUSED.items():
        if name in kwargs:
            yield f"`dataset_kwargs.{name}`: {why}; take it out"
    said = {"dataset_path": source, **{f"dataset_kwargs.{name}": value for name, value in kwargs.items()}}
    for name, value in said.items():
        for one in leaves(value):
            if "://" in one or "::" in one:
                yield f"`{name}`: {one!r} cannot be hashed; download or unpack it, and name the files"
    if source not in BUILDERS:
        outside = [one for name in DATA for one in leaves(kwargs.get(name)) if Path(one).is_absolute() or ".." in one]
        yield from (f"`dataset_kwargs`: {one!r} lies outside of {source or 'any dataset'}" for one in outside)
    if config.get("custom_dataset") is None:
        others = {name: value for name, value in kwargs.items() if name not in DATA}
        for found in named_paths(path, others):
            yield f"`dataset_kwargs` names {display_path(found)}, which is not in the key; name it in `data_files`"


def _read(path: Path, seen: list[Path]) -> TaskFile:
    """Return a file merged over what it includes; `seen` takes the files in the order they are read."""
    if path.resolve() in seen:
        why = "it is included twice, or by itself, which lm-eval takes for a circle"
        raise InputError([f"{display_path(path)}: {why}"])
    seen.append(path.resolve())
    config = yaml_source.load(path, tagged=FunctionName).plain()
    if not isinstance(config, dict):
        raise InputError([f"{display_path(path)}: a task file is a mapping of keys to values, this file is not"])
    included = config.pop("include", [])
    merged: dict[str, Any] = {}
    files, functions = [path], [(path.parent, one) for one in _functions(config)]
    for name in included if isinstance(included, list) else [included]:
        below = _read(path.parent / str(name), seen)
        merged |= below.config
        files.extend(below.files)
        functions.extend(below.functions)
    config = merged | config | ({"include": included} if included else {})
    return TaskFile(config, tuple(files), tuple(functions))


def _functions(value: Any) -> Iterator[str]:
    if isinstance(value, FunctionName):
        yield str(value)
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _functions(one)
