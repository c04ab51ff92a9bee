"""What the README of a dataset repository says of its configs: which splits, which files; pure functions.

The hub's own format: a YAML head whose `configs` name `data_files` as a pattern, a list of patterns, a mapping from
split to patterns, or a list of `{split, path}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import PurePosixPath
from typing import Any

import yaml

_HEAD = re.compile(r"\A---\r?\n(.*?)\r?\n---", re.DOTALL)
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
SUBSET_SEPARATORS = "-_"
"""What stands between a subset's name and the rest in a config such as `en-qrels`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One config of a dataset."""

    name: str
    splits: tuple[str, ...]
    """Named splits; empty where the card names files and no splits."""
    patterns: tuple[str, ...]
    """Files, relative to the repository; `*` stays within a folder and `**` does not."""

    def reads(self, path: str) -> bool:
        """Return whether `path` (relative, with slashes) is one of its files."""
        return any(matches(pattern, path) for pattern in self.patterns)


def configs_of(readme: str) -> dict[str, Config]:
    """Return config name -> config from a README's text; empty where it has no head or declares no files."""
    try:
        declared = head_of(readme).get("configs")
    except yaml.YAMLError:
        return {}
    found = {}
    for entry in declared if isinstance(declared, list) else []:
        if isinstance(entry, dict) and (config := _config(entry)):
            found[config.name] = config
    return found


def head_of(readme: str) -> dict[str, Any]:
    """Return the YAML head of a README; empty where it has none that is a mapping. Raises yaml.YAMLError."""
    match = _HEAD.match(readme)
    head = yaml.load(match.group(1), Loader=_LOADER) if match else None  # noqa: S506 - a safe loader, in C
    return head if isinstance(head, dict) else {}


def needed_files(
    paths: Iterable[str], configs: dict[str, Config], wanted: Sequence[str] | None, known: Iterable[str]
) -> list[str]:
    """Return the files to keep, in the order of `paths`.

    A file is left out only where every config that reads it belongs to a subset that is known and not wanted: what the
    card says nothing of is kept, since a task may read it by name.

    Args:
        paths: all files of the repository.
        configs: what its card declares.
        wanted: subsets that are read; None for all.
        known: all subsets the tasks know of this dataset.
    """
    if wanted is None or not configs:
        return list(paths)
    subsets = {*wanted, *known}
    unwanted = {name for name in configs if (owner := _owner(name, subsets)) is not None and owner not in wanted}
    kept = []
    for path in paths:
        readers = [config.name for config in configs.values() if config.reads(path)]
        if not readers or not unwanted.issuperset(readers):
            kept.append(path)
    return kept


def wanted_configs(configs: dict[str, Config], wanted: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """Return the configs whose files `needed_files` keeps."""
    if wanted is None:
        return list(configs)
    subsets = {*wanted, *known}
    return [name for name in configs if (owner := _owner(name, subsets)) is None or owner in wanted]


def matches(pattern: str, path: str) -> bool:
    """Return whether a data-file pattern names `path`."""
    return bool(re.fullmatch(_regex(pattern.removeprefix("./")), path))


def _owner(config: str, subsets: set[str]) -> str | None:
    """Return the longest subset that `config` is, or is a part of (`en-qrels` of `en`); None where there is none."""
    owners = [one for one in subsets if config == one or config.startswith(tuple(one + s for s in SUBSET_SEPARATORS))]
    return max(owners, key=len, default=None)


def _config(entry: dict[str, Any]) -> Config | None:
    name, folder = str(entry.get("config_name", "default")), entry.get("data_dir")
    files = entry.get("data_files")
    if files is None and folder:
        return Config(name=name, splits=(), patterns=(f"{str(folder).strip('/')}/**",))
    splits: list[str] = []
    patterns: list[str] = []
    for one in _entries(files):
        if isinstance(one, dict):
            splits.append(str(one.get("split")))
            patterns.extend(_listed(one.get("path")))
        else:
            patterns.extend(_listed(one))
    if folder:
        patterns = [str(PurePosixPath(str(folder)) / pattern) for pattern in patterns]
    return Config(name=name, splits=tuple(splits), patterns=tuple(patterns)) if patterns else None


def _entries(files: Any) -> list[Any]:
    if isinstance(files, dict):
        return [{"split": split, "path": path} for split, path in files.items()]
    return files if isinstance(files, list) else [] if files is None else [files]


def _listed(path: Any) -> list[str]:
    return [str(one) for one in path] if isinstance(path, list) else [] if path is None else [str(path)]


def _regex(pattern: str) -> str:
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]+\])", pattern)
    return "".join(_regex_of(part) for part in parts)


def _regex_of(part: str) -> str:
    simple = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in simple:
        return simple[part]
    if part.startswith("["):
        return translate(part).removeprefix("(?s:").removesuffix(r")\Z")
    return re.escape(part)
