"""Published scores in mteb's own layout, as the public results repository has it.

    [results/]ORG__MODEL/REVISION/TASK.json      with REVISION/model_meta.json beside it, where there is one

Any folder of it may be named: the whole clone, `results`, a model's folder, or one of its revisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.published.rows import (
    MAIN,
    Published,
    PublishedRow,
    as_number,
    as_text,
    digits_of,
    in_points,
    main_metric,
    outside,
)
from harness.wording import did_you_mean, listing, short

META = "model_meta.json"
NOT_RESULTS = (META, "run_settings.json")
"""JSON files beside results that are none."""


def is_tree(path: Path) -> bool:
    """Whether `path` is a folder of that layout, at any of its levels."""
    return any(_models_in(path))


def read_tree(path: Path, names: Sequence[str], revision: str | None) -> Published:
    """Return the rows of one model.

    Args:
        path: a folder of the layout.
        names: what the model may be called, `org/name` or as its folder is called; the first that is there is taken.
            None of them is needed where the folder holds one model alone.
        revision: of the model; where there are several it says which is meant.

    Raises:
        InputError: no such model, several revisions and none of them named, or nothing that can be read.
    """
    models = {_spelling(folder): folder for folder in _models_in(path)}
    folder = _chosen(path, models, names)
    revisions = [path] if _is_revision(path) else [one for one in sorted(folder.iterdir()) if _is_revision(one)]
    chosen = _revision(folder, revisions, revision)
    return _read(chosen)


def _models_in(path: Path) -> Iterator[Path]:
    """Yield the models' folders at or below `path`: that of a revision is the one above it."""
    if not path.is_dir():
        return
    if _is_revision(path):
        yield path.parent
        return
    folders = [one for one in sorted(path.iterdir()) if one.is_dir()]
    if any(map(_is_revision, folders)):
        yield path
        return
    for root in (path / "results", path):
        below = [one for one in sorted(root.iterdir()) if one.is_dir()] if root.is_dir() else []
        found = [one for one in below if any(_is_revision(of) for of in one.iterdir() if of.is_dir())]
        if found:
            yield from found
            return


def _is_revision(folder: Path) -> bool:
    """Whether a folder holds results: what it says of its model, or a file with a task's name and scores."""
    if not folder.is_dir():
        return False
    if (folder / META).is_file():
        return True
    files = (one for one in sorted(folder.glob("*.json")) if one.name not in NOT_RESULTS)
    return any(isinstance(held := _json(one), dict) and "task_name" in held for one in files)


def _spelling(folder: Path) -> str:
    return folder.name.replace("__", "/", 1)


def _chosen(path: Path, models: dict[str, Path], names: Sequence[str]) -> Path:
    wanted = [name.replace("__", "/", 1).lower() for name in names]
    for name in wanted:
        for model, folder in models.items():
            if model.lower() == name:
                return folder
    if len(models) == 1:
        return next(iter(models.values()))
    name = names[0] if names else ""
    near = did_you_mean(name, models)
    raise InputError(
        [f"{path}: no results of {name!r} among {len(models)} models; name one with --as: {listing(models)}{near}"]
    )


def _revision(folder: Path, revisions: Sequence[Path], wanted: str | None) -> Path:
    named = [one for one in revisions if wanted and one.name == wanted]
    if named or len(revisions) == 1:
        return (named or list(revisions))[0]
    said = "the model's revision is not said" if wanted is None else f"none is the model's, {wanted}"
    raise InputError(
        [f"{folder}: results of {len(revisions)} revisions, and {said}; name the folder of one: "]
        + [f"  {one}" for one in revisions]
    )


def _read(folder: Path) -> Published:
    meta = _json(folder / META) if (folder / META).is_file() else {}
    meta = meta if isinstance(meta, dict) else {}
    rows: list[PublishedRow] = []
    unread: list[str] = []
    for file in sorted(folder.glob("*.json")):
        if file.name in NOT_RESULTS:
            continue
        try:
            rows.extend(_rows(file, unread))
        except ValueError as error:
            unread.append(f"{file.name}: {error}")
    if not rows:
        raise InputError([f"{folder}: no result that can be read", *(f"  {line}" for line in unread)])
    return Published(
        kind="mteb results",
        model=str(meta.get("name") or _spelling(folder.parent)),
        revision=str(meta.get("revision") or folder.name),
        where=str(folder),
        rows=tuple(rows),
        digits=digits_of((row.value / 100 for row in rows), as_fraction=True),
        unread=tuple(unread),
    )


def _rows(file: Path, unread: list[str]) -> Iterator[PublishedRow]:
    """Yield the rows of a task's file; what is no number goes to `unread`; raises ValueError where it has none."""
    held = _json(file)
    if not isinstance(held, dict):
        raise ValueError("not a file of mteb's results")
    if not isinstance(held.get("scores"), dict):
        version = held.get("mteb_version")
        raise ValueError(f"no `scores`: a format from before mteb 1.11 (it was written by {version or 'an unknown'})")
    for split, of_split in held["scores"].items():
        if not isinstance(of_split, list):
            unread.append(f"{file.name}: {split}: expected a list of scores, one a subset, not {short(of_split)}")
            continue
        for scores in of_split:
            try:
                yield _row(held, str(held.get("task_name") or file.stem), split, scores)
            except ValueError as error:
                unread.append(f"{file.name}: {error}")


def _row(held: Mapping[str, Any], task: str, split: str, scores: object) -> PublishedRow:
    """Return the row of a split and subset; raises ValueError where it has no score.

    Args:
        held: the file.
        task: its name.
        split: of the scores.
        scores: of one subset.
    """
    if not isinstance(scores, dict):
        raise ValueError(f"{split}: expected scores by name, not {short(scores)}")
    subset = str(scores.get("hf_subset", "default"))
    value = as_number(scores.get(MAIN))
    if value is None:
        raise ValueError(f"{split}/{subset} has no {MAIN}")
    metric = main_metric(task, scores)
    if off := outside(metric, value, most=1):
        raise ValueError(f"{split}/{subset}: {MAIN} {scores[MAIN]}: {off}")
    return PublishedRow(
        task=task,
        split=split,
        subset=subset,
        metric=metric,
        value=in_points(value),
        mteb_version=as_text(held.get("mteb_version")),
        data_revision=as_text(held.get("dataset_revision")),
    )


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
