"""Users' own evaluation data: JSONL, CSV or parquet with the field's usual columns, read and checked row by row.

| type | files | columns |
|---|---|---|
| STS | test.* | sentence1, sentence2, score |
| PairClassification | test.* | sentence1, sentence2, label (0 or 1) |
| Classification | train.*, test.* | text, label |
| Clustering | test.* | text, label; set (optional: texts of one set are clustered together) |
| Retrieval | corpus.*, queries.*, qrels.* | _id, text, title (optional); _id, text; query-id, corpus-id, score |
| Reranking | test.* | query, positive (list), negative (list) |
| Summarization | test.* | text, human_summaries (list), machine_summaries (list), relevance (list of numbers) |

A task with one file may be named by that file instead of its folder. Lists in CSV cells are JSON.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.errors import InputError
from harness.row_files import csv_rows, json_rows, parquet_rows
from harness.tasks.custom.assemble import CUSTOM_TYPES, CustomData
from harness.tasks.custom.fields import (
    MOST_PROBLEMS,
    SUFFIXES,
    Columns,
    Options,
    Row,
    Tables,
    check_cell,
    check_row,
)
from harness.tasks.custom.remarks import remarks_of
from harness.wording import did_you_mean, display_path, first_lines, listing

PLAIN = Options()
"""What a task's entry says where it says nothing."""
READERS = {".jsonl": json_rows, ".csv": csv_rows, ".parquet": parquet_rows}


def read_custom(name: str, kind: str, path: Path, options: Options = PLAIN) -> CustomData:
    """Read and check the data of custom task `name`.

    Args:
        name: for messages.
        kind: an embedding type, a key of `CUSTOM_TYPES`.
        path: the folder, or the file of a task with one file.
        options: what the task's entry says of its data.

    Raises:
        InputError: with `file:line: what` for every bad row, every missing file and column.
    """
    problems: list[str] = []
    tables = Tables(rows={}, paths={}, options=options)
    files, assemble, optional = CUSTOM_TYPES[kind]
    for stem, columns in files.items():
        file = _find(path, stem, single=len(files) == 1, problems=problems)
        if file is None:
            continue
        tables.paths[stem] = file
        tables.rows[stem] = _read_table(file, stem, columns, optional.get(stem, {}), problems)
    if not problems:
        data = assemble(tables, problems)
    if problems:
        shown = first_lines(problems, most=MOST_PROBLEMS)
        raise InputError([f"custom task {name!r} ({kind}): {line}" for line in shown])
    return replace(data, remarks=tuple(remarks_of(kind, tables)))


def _find(path: Path, stem: str, *, single: bool, problems: list[str]) -> Path | None:
    if path.is_file():
        if single and path.suffix in SUFFIXES:
            return path
        why = f"is no {', '.join(SUFFIXES)} file" if single else "is a file; this type needs a folder"
        problems.append(f"{display_path(path)} {why}")
        return None
    found = [path / f"{stem}{suffix}" for suffix in SUFFIXES if (path / f"{stem}{suffix}").is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        names = listing(file.name for file in found)
        problems.append(f"{display_path(path)} has {names}: keep one of them")
        return None
    there = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    near = did_you_mean(f"{stem}.jsonl", there)
    problems.append(
        f"{display_path(path)} has no {stem}.jsonl, .csv or .parquet; there: {listing(there) or 'nothing'}{near}"
    )
    return None


def _read_table(file: Path, stem: str, columns: Columns, optional: Columns, problems: list[str]) -> list[Row]:
    shown = display_path(file)
    try:
        rows = [Row(row.number, row.values, row.lines) for row in READERS[file.suffix](file, problems)]
    except OSError as error:
        problems.append(f"{shown}: cannot be read: {error.strerror or error}")
        return []
    if not rows and not problems:
        problems.append(f"{shown}: no rows")
    present: set[str] = set()
    for row in rows:
        present |= set(row.values)
    missing = [name for name in columns if name not in present] if rows else []
    there = listing(sorted(present)) + _hint(file, present)
    problems.extend(f"{shown}: no column {name!r}; there: {there}{did_you_mean(name, present)}" for name in missing)
    if missing:
        return []
    for row in rows:
        for name, cell in columns.items():
            check_cell(row, name, cell, shown, problems)
        for name, cell in optional.items():
            if row.values.get(name) not in (None, ""):  # a CSV cell left empty, a corpus without titles
                check_cell(row, name, cell, shown, problems)
        check_row(stem, row, shown, problems)
    return rows


def _hint(file: Path, names: set[str]) -> str:
    """Return what may be wrong with the first line of a CSV file; empty for other files."""
    if file.suffix != ".csv":
        return ""
    other = next((mark for mark in (";", "\t", "|") if len(names) == 1 and mark in next(iter(names))), None)
    return f"; fields are separated by commas, not by {other!r}" if other else " (the first line names the columns)"
