"""The notes beside the cells when results folders are joined: further names of a record, and which keys a suite had."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from harness.digests import sha256_text
from harness.results.copying import NotWholeError, copy
from harness.results.store import Store


def merge_notes(folders: Sequence[Path], out: Path) -> Iterator[tuple[Path, str]]:
    """Bring the notes of `folders` into `out`; yields those that are none, with why.

    Args:
        folders: the others.
        out: whose own notes stay; of a suite's runs it gets the cells that its note lacks.
    """
    kinds: tuple[tuple[str, Callable[[Path, Any, Path], None]], ...] = (
        ("names/*/*.json", _take_name),
        ("runs/*.json", _take_run),
    )
    for (pattern, take), folder in product(kinds, folders):
        for path in sorted(one for one in folder.glob(pattern) if not one.name.startswith(".")):
            try:
                note = json.loads(path.read_text(encoding="utf-8"))
                take(path, note, out / path.relative_to(folder))
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError) as error:
                yield path, f"not a note ({error})"


def _take_name(path: Path, note: Any, target: Path) -> None:
    if {type(note[name]) for name in ("key", "task", "model", "cell")} != {str}:
        raise NotWholeError("its fields are no text")
    if path.name != f"{note['key']}.{sha256_text(note['cell'])[:16]}.json" or path.parent.name != note["task"]:
        raise NotWholeError("it lies under another's name")
    if not target.exists():
        copy(path, target, None)


def _take_run(path: Path, note: Any, target: Path) -> None:
    if not all(isinstance(key, str) for key in note["cells"].values()):
        raise NotWholeError("its keys are no text")
    own = _readable(target)
    if own is None:
        copy(path, target, None)
    elif not note["cells"].keys() <= own["cells"].keys():
        Store(target.parent.parent).write_run(target.stem, own | {"cells": note["cells"] | own["cells"]})


def _readable(target: Path) -> dict[str, Any] | None:
    """Return the note of a run that is there; None where there is none, or one to be written anew."""
    try:
        own = json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return own if isinstance(own, dict) and isinstance(own.get("cells"), dict) else None
