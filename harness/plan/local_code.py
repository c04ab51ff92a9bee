"""Python files that an lm-eval task file names, with what they import from beside them: none is run, all are read.

A module is looked for where Python and lm-eval would find it: beside the importing file, in the two folders above it
(task files put these on the path), and in the folders of `sys.path` that no installation owns. Modules of the standard
library, of this package and of lm-eval are covered by versions in the key; so are installed packages by provenance.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.digests import visible_files
from harness.errors import InputError
from harness.wording import display_path

_COVERED = frozenset({"harness", "grace", "lm_eval"})
_FOLDERS_ABOVE = 2
_LONGEST_NAME = 200


def local_code(functions: Iterable[tuple[Path, str]]) -> set[Path]:
    """Return the files behind `!function` names, and what these import or open by a name that stands in them.

    Args:
        functions: the folder of a task file, and `module.function` as it names it.

    Raises:
        InputError: a file is no Python.
    """
    found: set[Path] = set()
    waiting = [file for folder, name in functions for file in _module(name.rpartition(".")[0], folder)]
    while waiting:
        file = waiting.pop().resolve()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".py":
            waiting.extend(_named_in(file))
    return found


def _named_in(file: Path) -> Iterator[Path]:
    """Yield the files that a module imports, and those that its texts name."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise InputError([f"{display_path(file)}: not Python: {error}"]) from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name, file.parent)
        elif isinstance(node, ast.ImportFrom):
            base = file.parent.joinpath(*[".."] * max(node.level - 1, 0))
            for name in {node.module or "", *(f"{node.module or ''}.{one.name}".strip(".") for one in node.names)}:
                yield from _module(name, base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _opened(node.value, file.parent)


def _module(name: str, folder: Path) -> list[Path]:
    """Return the files of a module `a.b`, all of a package's; none where it is no local one."""
    top, *_ = name.split(".")
    if not top or top in _COVERED:
        return []
    above = [] if top in sys.stdlib_module_names else [*folder.resolve().parents[:_FOLDERS_ABOVE], *_free()]
    for place in (folder, *above):
        package = [one for one in visible_files(place / top) if one.suffix == ".py"] if (place / top).is_dir() else []
        if package or (place / f"{top}.py").is_file():
            return package or [place / f"{top}.py"]
    return []


def _free() -> list[Path]:
    """Return the folders of `sys.path` that belong to no installation."""
    installed = {Path(one).resolve() for one in (sys.prefix, sys.base_prefix)}
    folders = [Path(one or ".").resolve() for one in sys.path]
    return [one for one in folders if one.is_dir() and not any(one.is_relative_to(prefix) for prefix in installed)]


def _opened(text: str, folder: Path) -> list[Path]:
    """Return the files that a text names, relative to the module's folder: `answers.json`, or a folder of them."""
    if not text.strip(". /") or len(text) > _LONGEST_NAME or "\0" in text or "\n" in text:
        return []
    path = folder / text
    if path.is_dir() and path.resolve().is_relative_to(folder.resolve()):
        return visible_files(path)
    return [path] if path.is_file() else []
