"""Files of a dataset repository, as they lie on the hub: JSON Lines, plain or gzipped, parquet, and the card."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What lies in a repository."""

    files: Mapping[str, Rows]
    """Path -> its rows; the suffix says how they are written."""
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Config -> split -> path, as the card names them; empty: `datasets` takes the splits from the files' names."""
    features: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Config -> column -> type, where the card states them, with the number of rows of each split."""
    in_schema: Mapping[str, Any] = field(default_factory=dict)
    """Column -> type, as `datasets` writes them into the schema of parquet; empty: they are not there."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Path -> text of files beside the data."""


def write(folder: Path, repository: Repository) -> None:
    """Write a repository."""
    for name, rows in repository.files.items():
        _write_rows(folder / name, rows, repository.in_schema)
    for name, text in repository.others.items():
        (folder / name).write_text(text, encoding="utf-8")
    if repository.configs:
        (folder / "README.md").write_text(_card(repository), encoding="utf-8")


def _write_rows(file: Path, rows: Rows, in_schema: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        table = pa.Table.from_pylist([dict(row) for row in rows])
        if in_schema:
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": in_schema}})})
        pq.write_table(table, file)
        return
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(lines, mtime=0) if file.suffix == ".gz" else lines)


def _card(repository: Repository) -> str:
    lines = ["---", "language:", "- en"]
    if repository.features:
        lines.append("dataset_info:")
    for config, columns in repository.features.items():
        lines += [f"- config_name: {config}", "  features:"]
        for column, kind in columns.items():
            lines += [f"  - name: {column}", f"    dtype: {kind}"]
        lines.append("  splits:")
        for split, path in repository.configs[config].items():
            lines += [f"  - name: {split}", f"    num_examples: {len(repository.files[path])}"]
    lines.append("configs:")
    for config, splits in repository.configs.items():
        lines += [f"- config_name: {config}", *(["  default: true"] if config == "default" else []), "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*lines, "---", "", "Invented."]) + "\n"
