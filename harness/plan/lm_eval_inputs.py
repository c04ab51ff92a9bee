"""Everything that goes into the scores of a user's lm-eval task file, found and hashed.

In the key: the task file and every file it includes, to the end of the chain and wherever it lies; the Python behind
`!function` with what it imports and opens from beside it; every file of `data_files`, and every file below `data_dir`.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.digests import sha256_file, visible_files
from harness.plan.lm_eval_files import (
    BUILDERS,
    TaskFile,
    leaves,
    named_paths,
    own_dataset_kwargs,
    own_folder,
    read_task,
)
from harness.plan.local_code import local_code
from harness.sources.content import Content, content_of, content_of_files
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Located, Sources
from harness.sources.reading import TASK_FILES
from harness.suite.task_entries import FileRef
from harness.tasks.catalogue import TaskInfo
from harness.wording import display_path


def locate_texts(name: str, path: Path) -> Located | Gap:
    """Find the JSON lines of the `lm_nll` task `name`."""
    if not path.is_file():
        return _no_file(name, path)
    return _own_data(path, {"file": sha256_file(path)}, content=content_of_files([path]))


def locate_file(reference: FileRef, info: TaskInfo, sources: Sources) -> Located | Gap:
    """Find a task file with the code behind it and the data it names; all of them are in its identity."""
    path = Path(reference.file)
    if not path.is_file():
        return _no_file(reference.name, path)
    task = read_task(path)
    code = content_of_files(_code_of(path, task))
    asked = {TASK_FILES: _beside(path, code).sha256()}
    kwargs = own_dataset_kwargs(path, task.config)
    if folder := own_folder(path, task.config):
        whole = content_of(folder, "rows")
        found = _own_data(folder, asked | {"files_sha256": whole.sha256()}, content=whole)
        return replace(found, source=f"own data {display_path(folder)}", code=code)
    source = task.config.get("dataset_path")
    if source is not None and str(source) not in BUILDERS:
        data = locate_dataset(
            sources, str(source), kwargs.get("revision"), subsets=tuple(info.subsets), splits=info.splits
        )
        if isinstance(data, Gap) or data.identity is None:
            return data
        return replace(data, identity=asked | data.identity, code=code)
    rows = _rows(kwargs) if source is not None else content_of_files(())
    if isinstance(rows, str):
        mend = f"mend `data_files` in {display_path(path)}"
        return Gap(what=f"data of task {reference.name!r}", why=rows, command=mend)
    return replace(_own_data(path, asked | _labelled(path, rows), content=rows), code=code)


def _code_of(path: Path, task: TaskFile) -> set[Path]:
    """Return the files that say how rows are asked: the chain, and the Python that it names."""
    beside = {one for folder, _ in task.functions for one in folder.glob("*.py")}
    named = local_code(task.functions)
    if task.config.get("custom_dataset") is not None:  # the function is given these, and makes the rows of them
        given = [task.config.get(name) for name in ("dataset_kwargs", "metadata")]
        named |= {file for one in named_paths(path, given) for file in (visible_files(one) if one.is_dir() else [one])}
    return {one.resolve() for one in (*task.files, *beside, *named)}


def _rows(kwargs: Mapping[str, Any]) -> Content | str:
    """Return the files of `data_files`, or all below `data_dir`; in words what is not there."""
    patterns = leaves(kwargs.get("data_files"))
    if not patterns:
        folder = Path(str(kwargs["data_dir"]))
        rows = content_of(folder, "anything") if folder.is_dir() else None
        return rows if rows and rows.digests else f"no folder with files: {display_path(folder)}"
    found = {pattern: _matching(pattern) for pattern in patterns}
    absent = [display_path(Path(pattern)) for pattern, files in found.items() if not files]
    empty = [display_path(one) for files in found.values() for one in files if one.stat().st_size == 0]
    if absent or empty:
        return f"no such file: {', '.join(absent)}" if absent else f"no rows: {', '.join(empty)}"
    return content_of_files(dict.fromkeys(one for files in found.values() for one in files))


def _matching(pattern: str) -> list[Path]:
    """Return the files of a pattern, in name order."""
    if Path(pattern).is_file():
        return [Path(pattern)]
    return sorted(Path(one) for one in glob.glob(pattern, recursive=True) if Path(one).is_file())


def _labelled(path: Path, rows: Content) -> dict[str, str]:
    """Return label -> sha256 of each file: its name, or where two have the same, its place from the task file."""
    if rows.holds:
        return {"data_dir": rows.sha256()} if rows.digests else {}
    names = Counter(Path(one).name for one in rows.digests)
    return {
        f"data:{_from(path, one) if names[Path(one).name] > 1 else Path(one).name}": digest
        for one, digest in rows.digests.items()
    }


def _beside(path: Path, content: Content) -> Content:
    """Return the same files by their places from the task file's folder, so that a folder may be moved as a whole."""
    return replace(content, digests={_from(path, one): digest for one, digest in content.digests.items()})


def _from(path: Path, file: str) -> str:
    return Path(os.path.relpath(file, path.parent.resolve())).as_posix()


def _no_file(name: str, path: Path) -> Gap:
    mend = "mend `file` in the suite (relative paths are taken from the suite's own folder)"
    return Gap(what=f"task {name!r}", why=f"no such file: {display_path(path)}", command=mend)


def _own_data(path: Path, identity: Mapping[str, str], *, content: Content) -> Located:
    return Located(
        kind="folder",
        load_from=str(path),
        revision=None,
        identity=dict(identity),
        source=f"own data {display_path(path)}",
        vouched="own data, keyed by content",
        content=content,
    )
