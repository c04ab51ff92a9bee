"""Files and hub datasets -> raw rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from grace.config.schema import Data
from harness.errors import EnvironmentGapError, InputError
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Sources
from harness.wording import display_path


class Raw(NamedTuple):
    place: str
    value: dict[str, Any]


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_file(path: Path, data: Data) -> Iterator[Raw]:
    kind = data.resolved_format
    try:
        yield from _READERS[str(kind)](path)
    except (OSError, EOFError, UnicodeDecodeError) as error:  # gzip that is none, a cut file, another encoding
        raise InputError([f"{display_path(path)}: cannot be read as {kind}: {error}"]) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            yield number, line.rstrip("\r\n")


def _read_text(path: Path) -> Iterator[Raw]:
    shown = display_path(path)
    for number, line in _lines(path):
        yield Raw(f"{shown}:{number}", {"text": line})


def _read_jsonl(path: Path) -> Iterator[Raw]:
    shown = display_path(path)
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError([f"{shown}:{number}:{error.colno}: not JSON: {error.msg}"]) from error
        if not isinstance(value, dict):
            raise InputError([f"{shown}:{number}: expected an object with columns, got {short(value)}"])
        yield Raw(f"{shown}:{number}", value)


def _read_parquet(path: Path) -> Iterator[Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = display_path(path)
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError([f"{shown}: not parquet: {error}"]) from error
    yield from _rows_of(table.to_pylist(), f"{shown}, row ")


_READERS = {"text": _read_text, "jsonl": _read_jsonl, "parquet": _read_parquet}


def _rows_of(values: Iterable[dict[str, Any]], place: str) -> Iterator[Raw]:
    for number, value in enumerate(values):
        yield Raw(f"{place}{number}", value)


def read_dataset(data: Data, sources: Sources) -> tuple[Iterator[Raw], str, dict[str, str]]:
    repo, split = str(data.dataset), data.split or "train"
    found = locate_dataset(sources, repo, data.revision, subsets=(data.config or "default",), splits=(split,))
    if isinstance(found, Gap):
        raise EnvironmentGapError([str(found)])
    import datasets

    revision = {"revision": found.revision} if found.revision else {}
    try:
        rows = datasets.load_dataset(found.load_from, data.config, split=split, **revision)
    except (ValueError, FileNotFoundError) as error:  # no such configuration, split, or files
        raise InputError([f"data.dataset: {repo} ({found.source}), split {split!r}: {error}"]) from error
    except ConnectionError as error:
        raise EnvironmentGapError([f"dataset {repo}: {error}\n    get it: harness fetch, or give --hub"]) from error
    name = f"{repo}{f' {data.config}' if data.config else ''} {split}"
    return _rows_of(rows, f"{name}, row "), name, found.identity or {"repo": repo, "revision": "unpinned"}
