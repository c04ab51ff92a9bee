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

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.digests import sha256_text
from harness.errors import InputError
from harness.yaml_source import did_you_mean, display_path, listing

SUFFIXES = (".jsonl", ".csv", ".parquet")
MOST_PROBLEMS = 20
"""So many bad rows are named; the rest are counted."""
SAMPLES_PER_LABEL = 8
"""Training texts a label in each classification experiment, as MTEB has it; fewer where a label has fewer."""
Cell = Literal["text", "number", "label", "texts", "numbers", "binary", "grade"]

FILES: dict[str, dict[str, dict[str, Cell]]] = {
    "STS": {"test": {"sentence1": "text", "sentence2": "text", "score": "number"}},
    "PairClassification": {"test": {"sentence1": "text", "sentence2": "text", "label": "binary"}},
    "Classification": {"train": {"text": "text", "label": "label"}, "test": {"text": "text", "label": "label"}},
    "Clustering": {"test": {"text": "text", "label": "label"}},
    "Retrieval": {
        "corpus": {"_id": "label", "text": "text"},
        "queries": {"_id": "label", "text": "text"},
        "qrels": {"query-id": "label", "corpus-id": "label", "score": "grade"},
    },
    "Reranking": {"test": {"query": "text", "positive": "texts", "negative": "texts"}},
    "Summarization": {
        "test": {"text": "text", "human_summaries": "texts", "machine_summaries": "texts", "relevance": "numbers"}
    },
}
OPTIONAL: dict[str, dict[str, Cell]] = {"corpus": {"title": "text"}, "test": {"set": "label"}}


@dataclass(frozen=True, slots=True)
class Row:
    """A row and where it stands."""

    line: int
    """1-based line of the file (JSONL, CSV) or row (parquet)."""
    values: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class CustomData:
    """A custom task's data in the shapes mteb's evaluators take."""

    splits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    corpus: list[dict[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    candidates: dict[str, list[str]] = field(default_factory=dict)
    """Reranking: query -> documents to rank."""
    score_range: tuple[float, float] = (0.0, 1.0)
    samples_per_label: int = SAMPLES_PER_LABEL

    def items(self) -> int:
        """Return the number of scored items (queries, pairs, test texts, documents; texts to cluster)."""
        if self.queries:
            return len(self.queries)
        rows = self.splits["test"]
        return sum(len(row["sentences"]) for row in rows) if rows and "sentences" in rows[0] else len(rows)


def read_custom(name: str, kind: str, path: Path) -> CustomData:
    """Read and check the data of custom task `name`.

    Args:
        name: for messages.
        kind: an embedding type, a key of `FILES`.
        path: the folder, or the file of a task with one file.

    Raises:
        InputError: with `file:line: what` for every bad row, every missing file and column.
    """
    problems: list[str] = []
    tables: dict[str, list[Row]] = {}
    paths: dict[str, Path] = {}
    for stem, columns in FILES[kind].items():
        file = _find(path, stem, single=len(FILES[kind]) == 1, problems=problems)
        if file is None:
            continue
        paths[stem] = file
        tables[stem] = _read_table(file, columns, OPTIONAL.get(stem, {}), problems)
    if not problems:
        data = _ASSEMBLE[kind](tables, paths, problems)
    if problems:
        shown = problems[:MOST_PROBLEMS]
        if len(problems) > MOST_PROBLEMS:
            shown.append(f"... and {len(problems) - MOST_PROBLEMS} more")
        raise InputError([f"custom task {name!r} ({kind}): {line}" for line in shown])
    return data


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


def _read_table(file: Path, columns: dict[str, Cell], optional: dict[str, Cell], problems: list[str]) -> list[Row]:
    rows = list(_rows(file, problems))
    shown = display_path(file)
    if not rows and not problems:
        problems.append(f"{shown}: no rows")
    present: set[str] = set()
    for row in rows:
        present |= set(row.values)
    missing = [name for name in columns if name not in present] if rows else []
    there = listing(sorted(present))
    problems.extend(f"{shown}: no column {name!r}; there: {there}{did_you_mean(name, present)}" for name in missing)
    if missing:
        return []
    for row in rows:
        for name, cell in columns.items():
            _check_cell(row, name, cell, shown, problems)
        for name, cell in optional.items():
            if row.values.get(name) not in (None, ""):  # a CSV cell left empty, a corpus without titles
                _check_cell(row, name, cell, shown, problems)
    return rows


def _rows(file: Path, problems: list[str]) -> Iterator[Row]:
    if file.suffix == ".parquet":
        yield from _parquet_rows(file, problems)
        return
    shown = display_path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(f"{shown}: not UTF-8: {error.reason} at byte {error.start}")
        return
    if file.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text), restkey="\0more")
        for row in reader:
            if "\0more" in row or None in row.values():
                problems.append(f"{shown}:{reader.line_num}: {_fields_said(row)} fields, the header has another number")
                continue
            yield Row(reader.line_num, dict(row))
        return
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would break at U+2028 and the like too
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(f"{shown}:{number}:{error.colno}: not JSON: {error.msg}")
            continue
        if not isinstance(value, dict):
            problems.append(f"{shown}:{number}: expected an object, got {type(value).__name__}")
            continue
        yield Row(number, value)


def _fields_said(row: dict[Any, Any]) -> int:
    more = row.get("\0more") or []
    return sum(value is not None for key, value in row.items() if key != "\0more") + len(more)


def _parquet_rows(file: Path, problems: list[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        problems.append(f"{display_path(file)}: not parquet: {str(error).splitlines()[0]}")
        return
    for number, values in enumerate(table.to_pylist(), 1):
        yield Row(number, values)


def _check_cell(row: Row, name: str, cell: Cell, shown: str, problems: list[str]) -> None:
    value = row.values.get(name)
    checked = _CHECKS[cell](value)
    if checked is None:
        problems.append(f"{shown}:{row.line}: {name}: expected {_WANTED[cell]}, got {_short(value)}")
    else:
        row.values[name] = checked


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _label(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    return str(value) if isinstance(value, int) or (isinstance(value, str) and value.strip()) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _binary(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number in (0.0, 1.0) else None


def _grade(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def _list_of(check: Callable[[Any], Any]) -> Callable[[Any], list[Any] | None]:
    def checked(value: Any) -> list[Any] | None:
        if isinstance(value, str):  # a CSV cell
            try:
                value = json.loads(value)
            except json.JSONDecodeError:
                return None
        if not isinstance(value, list):
            return None
        items = [check(item) for item in value]
        return None if any(item is None for item in items) else items

    return checked


_CHECKS: dict[Cell, Callable[[Any], Any]] = {
    "text": _text,
    "label": _label,
    "number": _number,
    "binary": _binary,
    "grade": _grade,
    "texts": _list_of(_text),
    "numbers": _list_of(_number),
}
_WANTED: dict[Cell, str] = {
    "text": "text that is not empty",
    "label": "text or a whole number",
    "number": "a finite number",
    "binary": "0 or 1",
    "grade": "a whole number, 0 or more",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
}


def _at(path: Path, row: Row) -> str:
    return f"{display_path(path)}:{row.line}"


def _sts(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    rows = [row.values for row in tables["test"]]
    scores = [row["score"] for row in rows]
    if len(rows) < 3 or min(scores) == max(scores):
        problems.append(f"{display_path(paths['test'])}: a rank correlation needs three rows and two distinct scores")
    return CustomData(splits={"test": rows}, score_range=(min(scores), max(scores)))


def _pairs(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    rows = [row.values for row in tables["test"]]
    if len({row["label"] for row in rows}) < 2:
        problems.append(f"{display_path(paths['test'])}: every label is {rows[0]['label']}; both 0 and 1 are needed")
    renamed = [{"sentence1": row["sentence1"], "sentence2": row["sentence2"], "labels": row["label"]} for row in rows]
    return CustomData(splits={"test": renamed})


def _classification(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    train = Counter(row.values["label"] for row in tables["train"])
    if len(train) < 2:
        problems.append(f"{display_path(paths['train'])}: one label only; a classifier needs two")
    for row in tables["test"]:
        if row.values["label"] not in train:
            near = did_you_mean(row.values["label"], train)
            problems.append(
                f"{_at(paths['test'], row)}: label {row.values['label']!r} is not in the training file{near}"
            )
    # Numbers, in the order of the names: mteb's binary metrics cannot take names.
    numbers = {name: number for number, name in enumerate(sorted(train))}
    splits = {
        split: [
            {"text": row.values["text"], "label": numbers[row.values["label"]]}
            for row in rows
            if row.values["label"] in numbers
        ]
        for split, rows in tables.items()
    }
    return CustomData(splits=splits, samples_per_label=min(SAMPLES_PER_LABEL, *train.values()))


def _clustering(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    sets: dict[str, dict[str, list[str]]] = {}
    for row in tables["test"]:
        name = str(row.values.get("set") or 0)
        one = sets.setdefault(name, {"sentences": [], "labels": []})
        one["sentences"].append(row.values["text"])
        one["labels"].append(row.values["label"])
    for name, one in sets.items():
        if len(set(one["labels"])) < 2:
            problems.append(f"{display_path(paths['test'])}: set {name!r} has one label only; clustering needs two")
    return CustomData(splits={"test": list(sets.values())})


def _retrieval(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    data = CustomData()
    corpus = _by_id(tables["corpus"], paths["corpus"], problems)
    queries = _by_id(tables["queries"], paths["queries"], problems)
    for row in tables["qrels"]:
        query, document = row.values["query-id"], row.values["corpus-id"]
        for kind, name, known in (("query", query, queries), ("document", document, corpus)):
            if name not in known:
                near = did_you_mean(name, known)
                problems.append(f"{_at(paths['qrels'], row)}: no {kind} has the id {name!r}{near}")
        data.qrels.setdefault(query, {})[document] = row.values["score"]
    for query, row in queries.items():
        if not any(score > 0 for score in data.qrels.get(query, {}).values()):
            problems.append(f"{_at(paths['queries'], row)}: query {query!r} has no relevant document in the judgements")
    data.corpus = [
        {"id": name, "title": str(row.values.get("title") or ""), "text": row.values["text"]}
        for name, row in corpus.items()
    ]
    data.queries = [{"id": name, "text": row.values["text"]} for name, row in queries.items()]
    return data


def _by_id(rows: list[Row], path: Path, problems: list[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        name = row.values["_id"]
        if name in found:
            problems.append(f"{_at(path, row)}: _id {name!r} is given twice; the first is on line {found[name].line}")
        found.setdefault(name, row)
    return found


def _reranking(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    data = CustomData()
    for row in tables["test"]:
        positive, negative = row.values["positive"], row.values["negative"]
        if not positive or not negative:
            which = "positive" if not positive else "negative"
            problems.append(f"{_at(paths['test'], row)}: no {which} text; a ranking needs both")
            continue
        query = f"q{row.line:06d}"
        data.queries.append({"id": query, "text": row.values["query"]})
        for relevance, texts in ((1, positive), (0, negative)):
            for number, text in enumerate(texts):
                # The grade must not show in the order of names: equal scores are ordered by them.
                name = f"{query}-{sha256_text(f'{query} {relevance} {number} {text}')[:16]}"
                data.corpus.append({"id": name, "title": "", "text": text})
                data.qrels.setdefault(query, {})[name] = relevance
                data.candidates.setdefault(query, []).append(name)
    return data


def _summarization(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    rows = []
    ratings: list[float] = []
    for row in tables["test"]:
        machine, relevance = row.values["machine_summaries"], row.values["relevance"]
        where = _at(paths["test"], row)
        if len(machine) != len(relevance):
            problems.append(f"{where}: {len(machine)} machine summaries but {len(relevance)} ratings")
        if not row.values["human_summaries"] or len(machine) < 2:
            problems.append(f"{where}: needs one human summary and two machine summaries at least")
        elif len(set(relevance)) < 2:
            problems.append(f"{where}: all ratings are equal; they rank nothing")
        ratings += relevance
        rows.append({name: row.values[name] for name in FILES["Summarization"]["test"]})
    span = (min(ratings), max(ratings)) if ratings else (0.0, 1.0)
    return CustomData(splits={"test": rows}, score_range=span)


_ASSEMBLE: dict[str, Callable[[dict[str, list[Row]], dict[str, Path], list[str]], CustomData]] = {
    "STS": _sts,
    "PairClassification": _pairs,
    "Classification": _classification,
    "Clustering": _clustering,
    "Retrieval": _retrieval,
    "Reranking": _reranking,
    "Summarization": _summarization,
}


def count(data: CustomData, kind: str) -> tuple[int, int, int, int, int]:
    """Return (items, texts, unique texts, characters, training texts at most), as the catalogue counts them."""
    texts = list(_texts(data, kind))
    training = min(len(data.splits.get("train", [])), 10 * data.samples_per_label * len(_labels(data)))
    return data.items(), len(texts), len(set(texts)), sum(map(len, texts)), training


def _labels(data: CustomData) -> set[int]:
    return {row["label"] for row in data.splits.get("train", [])}


def _texts(data: CustomData, kind: str) -> Iterator[str]:
    if data.queries:
        yield from (f"{row['title']} {row['text']}".strip() for row in data.corpus)
        yield from (row["text"] for row in data.queries)
        return
    for row in data.splits["test"]:
        if kind == "Clustering":
            yield from row["sentences"]
        elif kind == "Summarization":
            yield from (*row["human_summaries"], *row["machine_summaries"])
        elif kind == "Classification":
            yield row["text"]
        else:
            yield from (row["sentence1"], row["sentence2"])
