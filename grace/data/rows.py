"""Training data: (query, positive, negatives) or single texts, from files or hub datasets; no model is needed.

Something wrong with a row is an error that names its line. With `bad_rows: skip`, rows with an empty text, or with the
same text twice, are left out instead, counted, and written to the run's `skipped.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from grace.config.schema import Columns, Data
from grace.data.read import first_row, read_dataset, read_file
from grace.data.table import Row, RowTable, RowWriter
from harness.digests import sha256_file
from harness.errors import InputError
from harness.row_files import FileRow
from harness.sources.places import Sources
from harness.wording import did_you_mean, display_path, first_lines, listing, short

SHOWN_PROBLEMS = 10
SAMPLED = 1
"""Sets the numbers that draw a sample apart from those that order an epoch."""


class Skipped(NamedTuple):
    """A row that was left out."""

    place: str
    """As of a row."""
    reason: str
    """For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Checked rows and where they came from."""

    rows: Sequence[Row]
    skipped: tuple[Skipped, ...]
    is_supervised: bool
    """Whether rows are (query, positive, negatives) and not single texts."""
    source: str
    """For people."""
    identity: dict[str, str]
    """A digest of the file, or the dataset's commit or digest."""
    remark: str | None = None
    """What must be known of the data; None where there is nothing."""


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
    problems: list[str] = []
    remark: str | None = None
    if data.path is not None:
        path = Path(data.path)
        if not path.is_file():
            raise InputError([f"data.path: {display_path(path)}: no such file; give another with -o data.path=FILE"])
        raw: Iterable[FileRow] = read_file(path, data, problems)
        source, identity = display_path(path), {"sha256": sha256_file(path)}
    else:
        raw, source, identity, remark = read_dataset(data, sources)
    rows, skipped = _checked(raw, data, problems)
    if data.path is not None and sha256_file(path) != identity["sha256"]:
        raise InputError([f"data.path: {source}: was changed while it was read; start again once it is written"])
    if len(rows) < at_least:
        left_out = f" ({len(skipped)} were skipped)" if skipped else ""
        raise InputError([f"{source}: {len(rows)} usable row(s){left_out}, and a step takes {at_least}"])
    return TrainingData(
        rows=rows,
        skipped=tuple(skipped),
        is_supervised=data.is_supervised,
        source=source,
        identity=identity,
        remark=remark,
    )


def refuse_columns(data: Data, sources: Sources) -> None:
    """Raise InputError where the first row lacks a column: what can be seen of training data in no time.

    A file that is not there yet, and a dataset that is neither in a folder nor in the local hub, are not looked at.
    """
    problems: list[str] = []
    if data.path is None:
        first = first_row(data, sources)
    elif Path(data.path).is_file():
        first = next(read_file(Path(data.path), data, problems), None)
    else:
        return
    if problems:
        raise InputError(problems[:1])
    if first is not None and isinstance(found := _row(first, data.resolved_columns, data.negatives), str):
        raise InputError([f"{first.place}: {found}"])


def _checked(raw: Iterable[FileRow], data: Data, problems: list[str]) -> tuple[RowTable, list[Skipped]]:
    """Return the rows to train on and those left out; raises InputError over problems, those of reading included."""
    with RowWriter() as rows:
        bad = _sorted_out(raw, data, problems, rows)
        if bad and data.bad_rows == "error":
            problems += [f"{one.place}: {one.reason}" for one in bad]
        if problems:
            hint = ["data.bad_rows: skip leaves such rows out, counted"] if bad and data.bad_rows == "error" else []
            raise InputError([*first_lines(problems, most=SHOWN_PROBLEMS), *hint])
        return rows.table(), bad


def _sorted_out(raw: Iterable[FileRow], data: Data, problems: list[str], rows: RowWriter) -> list[Skipped]:
    """Write the rows to train on, note what is wrong in `problems`, and return those that cannot be used."""
    bad: list[Skipped] = []
    usable = _usable(raw, data, problems, bad)
    if data.limit is not None:
        usable = islice(usable, data.limit)
    for row in usable if data.sample is None else _drawn(usable, data.sample, problems, seed=data.seed):
        rows.append(row)
    return bad


def _drawn(rows: Iterable[Row], count: int, problems: list[str], *, seed: int) -> list[Row]:
    """Return `count` of the rows, each as likely as any, in their order: a reservoir, so that few are held at a time.

    Args:
        rows: all there are.
        count: wanted; fewer rows are a problem, since nobody drew from them.
        problems: gets it.
        seed: of the draw.
    """
    random = np.random.default_rng([seed, SAMPLED])
    kept: list[tuple[int, Row]] = []
    number = -1
    for number, row in enumerate(rows):
        place = number if number < count else int(random.integers(number + 1))
        if number < count:
            kept.append((number, row))
        elif place < count:
            kept[place] = (number, row)
    if number + 1 < count and not problems:
        problems.append(f"data.sample: {count}, and there are {number + 1} usable rows; take it out to use all")
    return [row for _, row in sorted(kept, key=lambda one: one[0])]


def _usable(raw: Iterable[FileRow], data: Data, problems: list[str], bad: list[Skipped]) -> Iterator[Row]:
    """Yield the rows that can be used; the others go to `problems` or `bad`."""
    columns = data.resolved_columns
    for one in raw:
        found = _row(one, columns, data.negatives)
        if isinstance(found, str):
            problems.append(f"{one.place}: {found}")
            if data.dataset is not None and not _names(columns) <= one.values.keys():
                return  # all its rows have the same columns
            continue
        reason = _reason_to_skip(found)
        if reason is None:
            yield found
        else:
            bad.append(Skipped(one.place, reason))


def _names(columns: Columns) -> set[str]:
    named = (columns.text, columns.query, columns.positive, *columns.negative)
    return {name for name in named if name is not None}


def _row(raw: FileRow, columns: Columns, negatives_at_most: int | None) -> Row | str:
    """Return the row, or what is wrong with its shape."""
    if columns.text is not None:
        text = _text(raw, columns.text)
        return text.message if isinstance(text, _Wrong) else Row(text, None, (), raw.place)
    query, positive = _text(raw, str(columns.query)), _text(raw, str(columns.positive), is_first_of_list=True)
    if isinstance(query, _Wrong):
        return query.message
    if isinstance(positive, _Wrong):
        return positive.message
    negatives: list[str] = []
    for column in columns.negative:
        if column not in raw.values:
            return _missing(raw, column)
        cell = raw.values[column]
        texts = cell if isinstance(cell, list) else [] if cell is None else [cell]
        if not all(isinstance(text, str) for text in texts):
            return f"column {column!r}: expected a text or a list of texts, got {short(cell)}"
        negatives.extend(texts)
    return Row(query, positive, tuple(negatives[:negatives_at_most]), raw.place)


class _Wrong(NamedTuple):
    message: str


def _text(raw: FileRow, column: str, *, is_first_of_list: bool = False) -> str | _Wrong:
    """Return the text in a column, or the first text of a list where it may be one."""
    if column not in raw.values:
        return _Wrong(_missing(raw, column))
    value = raw.values[column]
    if is_first_of_list and isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else _Wrong(f"column {column!r}: expected a text, got {short(value)}")


def _missing(raw: FileRow, column: str) -> str:
    names = list(raw.values)
    return f"no column {column!r}; it has: {listing(names)}{did_you_mean(column, names)}; set data.columns"


def _reason_to_skip(row: Row) -> str | None:
    texts = {"query" if row.positive is not None else "text": [row.query]}
    texts |= {"positive": [row.positive]} if row.positive is not None else {}
    texts |= {"negative": list(row.negatives)}
    for name, values in texts.items():
        if any(not value.strip() for value in values):
            return f"the {name} is empty"
    if row.positive is None:
        return None
    query, positive, negatives = row.query.strip(), row.positive.strip(), {one.strip() for one in row.negatives}
    if positive in negatives:
        return f"positive and negative are the same text: {short(row.positive)}"
    if positive == query:
        return f"query and positive are the same text, which are as alike as can be untrained: {short(row.query)}"
    if query in negatives:
        return f"query and negative are the same text: {short(row.query)}"
    return None
