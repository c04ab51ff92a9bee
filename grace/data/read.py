"""The rows of files and of hub datasets as they are, before anything of them is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from grace.config.schema import Data
from harness.errors import EnvironmentGapError, InputError
from harness.row_files import FileRow, json_rows, lines, parquet_rows
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Sources
from harness.sources.reading import read_as_keyed
from harness.wording import display_path


def read_file(path: Path, data: Data, problems: list[str]) -> Iterator[FileRow]:
    """Yield the rows of a file, of which nothing is checked yet but that they are rows.

    Args:
        path: the file.
        data: says its format.
        problems: gets an entry for each row that cannot be read.

    Raises:
        InputError: the file cannot be opened, or is no gzip file.
    """
    kind = data.resolved_format
    try:
        yield from _READERS[str(kind)](path, problems)
    except OSError as error:
        raise InputError([f"{display_path(path)}: cannot be read as {kind}: {error}"]) from error


def _text_rows(path: Path, problems: list[str]) -> Iterator[FileRow]:
    shown = display_path(path)
    for number, line in lines(path, problems):
        yield FileRow(f"{shown}:{number}", {"text": line}, number)


_READERS = {"text": _text_rows, "jsonl": json_rows, "parquet": parquet_rows}


class DatasetRows(NamedTuple):
    """The rows of a dataset, and what they are called and keyed by."""

    rows: Iterator[FileRow]
    name: str
    """For people."""
    identity: dict[str, str]
    """Its commit or digest."""


def read_dataset(data: Data, sources: Sources) -> DatasetRows:
    """Open the dataset of a configuration.

    Raises:
        InputError: there is no such configuration, split or file in it.
        EnvironmentGapError: it is not to be had.
        ChangedContentError: its files are not, or no longer, those of its identity.
    """
    repo, split = str(data.dataset), data.split or "train"
    found = locate_dataset(sources, repo, data.revision, subsets=(data.config or "default",), splits=(split,))
    if isinstance(found, Gap):
        raise EnvironmentGapError([str(found)])
    import datasets

    revision = {"revision": found.revision} if found.revision else {}
    try:
        with read_as_keyed(found) if found.identity else nullcontext():
            rows = datasets.load_dataset(found.load_from, data.config, split=split, **revision)
    except (ValueError, FileNotFoundError) as error:  # no such configuration, split, or files
        raise InputError([f"data.dataset: {repo} ({found.source}), split {split!r}: {error}"]) from error
    except ConnectionError as error:
        raise EnvironmentGapError([f"dataset {repo}: {error}\n    get it: harness fetch, or give --hub"]) from error
    name = f"{repo}{f' {data.config}' if data.config else ''} {split}"
    numbered = (FileRow(f"{name}, row {number}", values, number) for number, values in enumerate(rows, 1))
    return DatasetRows(numbered, name, found.identity or {"repo": repo, "revision": "unpinned"})
