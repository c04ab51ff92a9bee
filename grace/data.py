"""Training data: (query, positive, negatives) or single texts, from files or hub datasets; no model is needed.

Something wrong with a row is an error that names its line. With `bad_rows: skip`, rows with an empty text or a negative
equal to the positive are left out instead, counted, and written to the run's `skipped.jsonl`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from grace.config import Columns, Data
from harness.digests import sha256_file
from harness.errors import EnvironmentGapError, InputError
from harness.hub import Gap, Sources, locate_dataset
from harness.yaml_source import did_you_mean, display_path, listing

SHOWN_PROBLEMS = 10


class Row(NamedTuple):
    """One training example."""

    query: str
    """The query, or the text of unsupervised data."""
    positive: str | None
    """None in unsupervised data."""
    negatives: tuple[str, ...]
    """Hard negatives; often one, perhaps none."""
    place: str
    """For messages: `file:line`, or `dataset, row n`."""


class Skipped(NamedTuple):
    """A row that was left out."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Checked rows and where they came from."""

    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    is_supervised: bool
    source: str
    """For people."""
    identity: dict[str, str]
    """A digest of the file, or the dataset's commit or digest."""


class _Raw(NamedTuple):
    place: str
    value: dict[str, Any]


def load_data(data: Data, sources: Sources, *, at_least: int = 2) -> TrainingData:
    """Read and check training data.

    Args:
        data: of the configuration.
        sources: where datasets are looked for.
        at_least: rows that a step needs.

    Raises:
        InputError: the file, a column or a row is wrong, or there are fewer than `at_least` rows; all problems, the
            first ten spelt out.
        EnvironmentGapError: the dataset is not to be had.
    """
    if data.path is not None:
        path = Path(data.path)
        if not path.is_file():
            raise InputError([f"data.path: {display_path(path)}: no such file; give another with -o data.path=FILE"])
        raw = _read_file(path, data)
        source, identity = display_path(path), {"sha256": sha256_file(path)}
    else:
        raw, source, identity = _read_dataset(data, sources)
    rows, skipped = _checked(raw, data)
    if len(rows) < at_least:
        left_out = f" ({len(skipped)} were skipped)" if skipped else ""
        raise InputError([f"{source}: {len(rows)} usable row(s){left_out}, and a step takes {at_least}"])
    return TrainingData(
        rows=tuple(rows),
        skipped=tuple(skipped),
        is_supervised=data.is_supervised,
        source=source,
        identity=identity,
    )


def _checked(raw: Iterable[_Raw], data: Data) -> tuple[list[Row], list[Skipped]]:
    columns = data.resolved_columns
    rows: list[Row] = []
    bad: list[Skipped] = []
    problems: list[str] = []
    for one in raw:
        found = _row(one, columns)
        if isinstance(found, str):
            problems.append(f"{one.place}: {found}")
            continue
        reason = _reason_to_skip(found)
        if reason is None:
            rows.append(found)
        else:
            bad.append(Skipped(one.place, reason))
        if data.limit is not None and len(rows) == data.limit:
            break
    if bad and data.bad_rows == "error":
        problems += [f"{one.place}: {one.reason}" for one in bad]
    if problems:
        hint = ["data.bad_rows: skip leaves such rows out, counted"] if bad and data.bad_rows == "error" else []
        more = [f"... and {len(problems) - SHOWN_PROBLEMS} more"] if len(problems) > SHOWN_PROBLEMS else []
        raise InputError([*problems[:SHOWN_PROBLEMS], *more, *hint])
    return rows, bad


def _row(raw: _Raw, columns: Columns) -> Row | str:
    """Return the row, or what is wrong with its shape."""
    if columns.text is not None:
        text = _text(raw, columns.text)
        return text.message if isinstance(text, _Wrong) else Row(text, None, (), raw.place)
    query, positive = _text(raw, str(columns.query)), _text(raw, str(columns.positive))
    if isinstance(query, _Wrong):
        return query.message
    if isinstance(positive, _Wrong):
        return positive.message
    negatives: list[str] = []
    for column in columns.negative:
        if column not in raw.value:
            return _missing(raw, column)
        cell = raw.value[column]
        texts = cell if isinstance(cell, list) else [] if cell is None else [cell]
        if not all(isinstance(text, str) for text in texts):
            return f"column {column!r}: expected a text or a list of texts, got {_short(cell)}"
        negatives.extend(texts)
    return Row(query, positive, tuple(negatives), raw.place)


class _Wrong(NamedTuple):
    message: str


def _text(raw: _Raw, column: str) -> str | _Wrong:
    if column not in raw.value:
        return _Wrong(_missing(raw, column))
    value = raw.value[column]
    return value if isinstance(value, str) else _Wrong(f"column {column!r}: expected a text, got {_short(value)}")


def _missing(raw: _Raw, column: str) -> str:
    names = list(raw.value)
    return f"no column {column!r}; it has: {listing(names)}{did_you_mean(column, names)}; set data.columns"


def _reason_to_skip(row: Row) -> str | None:
    texts = {"query" if row.positive is not None else "text": [row.query]}
    texts |= {"positive": [row.positive]} if row.positive is not None else {}
    texts |= {"negative": list(row.negatives)}
    for name, values in texts.items():
        if any(not value.strip() for value in values):
            return f"the {name} is empty"
    if row.positive is not None and row.positive in row.negatives:
        return f"positive and negative are the same text: {_short(row.positive)}"
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _read_file(path: Path, data: Data) -> Iterator[_Raw]:
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


def _read_text(path: Path) -> Iterator[_Raw]:
    shown = display_path(path)
    for number, line in _lines(path):
        yield _Raw(f"{shown}:{number}", {"text": line})


def _read_jsonl(path: Path) -> Iterator[_Raw]:
    shown = display_path(path)
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError([f"{shown}:{number}:{error.colno}: not JSON: {error.msg}"]) from error
        if not isinstance(value, dict):
            raise InputError([f"{shown}:{number}: expected an object with columns, got {_short(value)}"])
        yield _Raw(f"{shown}:{number}", value)


def _read_parquet(path: Path) -> Iterator[_Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = display_path(path)
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError([f"{shown}: not parquet: {error}"]) from error
    yield from _rows_of(table.to_pylist(), f"{shown}, row ")


_READERS = {"text": _read_text, "jsonl": _read_jsonl, "parquet": _read_parquet}


def _rows_of(values: Iterable[dict[str, Any]], place: str) -> Iterator[_Raw]:
    for number, value in enumerate(values):
        yield _Raw(f"{place}{number}", value)


def _read_dataset(data: Data, sources: Sources) -> tuple[Iterator[_Raw], str, dict[str, str]]:
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
