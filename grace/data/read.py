"""The rows of files and of hub datasets as they are, before anything of them is checked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from grace.config.schema import ALL_SPLITS, Data, split_names
from harness.errors import EnvironmentGapError, HarnessError, InputError
from harness.row_files import FileRow, json_rows, lines, parquet_rows
from harness.sources.hub_client import HubClient, Patience
from harness.sources.hub_errors import FetchError
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Located, Sources
from harness.sources.reading import read_as_keyed
from harness.wording import display_path
from harness.writing import OF_THE_MACHINE

logger = logging.getLogger(__name__)

MOST_SAID = 300
"""Characters of what the `datasets` library says of rows that it cannot read."""


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
    remark: str | None = None
    """What must be known of it; None where there is nothing."""


def read_dataset(data: Data, sources: Sources) -> DatasetRows:
    """Open the dataset of a configuration; from the hub, rows are streamed where `limit` or `sample` wants few of them.

    Raises:
        InputError: there is no such configuration, split or file in it.
        EnvironmentGapError: it is not to be had, or the network breaks off.
        ChangedContentError: its files are not, or no longer, those of its identity.
    """
    repo = str(data.dataset)
    splits, found = _located(data, sources)
    if isinstance(found, Gap):
        raise EnvironmentGapError([str(found)])
    found, remark = _at_a_commit(found, data, sources)
    is_streamed = found.kind == "hub" and (data.limit is not None or data.sample is not None)
    loaded = _loaded(found, data, splits, is_streamed=is_streamed)
    name = f"{repo}{f' {data.config}' if data.config else ''}"
    identity = found.identity or {"repo": repo, "revision": "unpinned"}
    return DatasetRows(_numbered(loaded, name), f"{name} {data.split or 'train'}", identity, remark)


def first_row(data: Data, sources: Sources) -> FileRow | None:
    """Return the first row of a dataset that lies in a folder or the local hub; None elsewhere, and where it has none.

    Raises:
        InputError: there is no such configuration, split or file in it, or it cannot be read.
    """
    splits, found = _located(data, sources)
    if isinstance(found, Gap) or found.kind not in ("folder", "local hub"):
        return None
    rows = _loaded(found, data, splits, is_streamed=True)
    return next(_numbered(rows, str(data.dataset)), None)


def _located(data: Data, sources: Sources) -> tuple[tuple[str, ...], Located | Gap]:
    """Return the splits that are read, none where all are, and where the dataset is."""
    splits = () if data.split == ALL_SPLITS else tuple(split_names(data.split or "train"))
    subsets = (data.config or "default",)
    return splits, locate_dataset(sources, str(data.dataset), data.revision, subsets=subsets, splits=splits)


def _at_a_commit(found: Located, data: Data, sources: Sources) -> tuple[Located, str | None]:
    """Return the place at a commit, which the hub is asked for where the configuration pins none, and says so."""
    if found.identity is not None or found.kind not in ("hub", "cache") or sources.offline:
        return found, None
    repo = str(data.dataset)
    commit = HubClient(Patience(), logger.info).resolve("datasets", repo, data.revision)
    remark = f"dataset {repo}: no commit is pinned; {data.revision or 'main'} is {commit} now: data.revision: {commit}"
    return replace(found, revision=commit, identity={"repo": repo, "commit": commit}), remark


def _loaded(
    found: Located, data: Data, splits: tuple[str, ...], *, is_streamed: bool
) -> list[tuple[str, Iterable[dict[str, Any]]]]:
    """Return split -> its rows, as the `datasets` library reads them; all splits where none is named."""
    import datasets

    revision = {"revision": found.revision} if found.revision else {}
    shown = f"data.dataset: {data.dataset} ({found.source})"
    names: Sequence[str] = splits
    try:
        with read_as_keyed(found) if found.identity and not is_streamed else nullcontext():
            names = splits or datasets.get_dataset_split_names(found.load_from, data.config, **revision)
            return [
                (
                    name,
                    datasets.load_dataset(found.load_from, data.config, split=name, streaming=is_streamed, **revision),
                )
                for name in names
            ]
    except (HarnessError, MemoryError):
        raise
    except Exception as error:  # of broken files the library raises whatever their readers do
        cause = _cause(error)
        if _is_of_the_network(cause):
            get = "get it: harness fetch, or give --hub"
            raise EnvironmentGapError([f"dataset {data.dataset}: {_why(cause)}\n    {get}"]) from error
        _refuse_by_the_hub(cause, found, data)
        raise InputError([f"{shown}, split {'+'.join(names) or ALL_SPLITS!r}: {_why(cause)}"]) from error


def _cause(error: Exception) -> Exception:
    """Return what a reader of files met, out of the library's own "an error occurred"; raises errors of the machine."""
    from datasets.exceptions import DatasetGenerationError

    while isinstance(error, DatasetGenerationError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in OF_THE_MACHINE):
        raise error
    return error


def _is_of_the_network(error: Exception) -> bool:
    import httpx2

    return isinstance(error, ConnectionError | TimeoutError | httpx2.HTTPError)


def _refuse_by_the_hub(error: Exception, found: Located, data: Data) -> None:
    """Raise a FetchError with the hub's own reason where the library says no more than that it has no such dataset."""
    from datasets.exceptions import DatasetNotFoundError

    if not isinstance(error, DatasetNotFoundError) or found.kind not in ("hub", "cache"):
        return
    repo = str(data.dataset)
    HubClient(Patience(), logger.info).resolve("datasets", repo, found.revision)
    step = "`hf auth login` or set HF_TOKEN, of an account that may read it, and run it again"
    raise FetchError(f"dataset {repo}: {_why(error)}", step=step)


def _why(error: Exception) -> str:
    """Return in one line what the library says, and which key of a configuration is meant."""
    if isinstance(error, StopIteration):
        return "a file of it is empty"
    said = " ".join(str(error).partition("\nExample of usage")[0].split()) or type(error).__name__
    of_config = "; say data.config" if said.startswith("Config name is missing") else ""
    return f"{said[:MOST_SAID]}{of_config}"


def _numbered(splits: Iterable[tuple[str, Iterable[dict[str, Any]]]], name: str) -> Iterator[FileRow]:
    """Yield the rows of all splits, numbered in each.

    Raises:
        InputError: a file is no such file as its name says.
        EnvironmentGapError: the network broke off, for good.
    """
    for split, rows in splits:
        number = 0
        read = iter(rows)
        while True:
            try:
                values = next(read, None)
            except MemoryError:
                raise
            except Exception as error:  # as above, of a part that is read late
                raise _broken(error, f"dataset {name} {split}", number) from error
            if values is None:
                break
            number += 1
            yield FileRow(f"{name} {split}, row {number}", values, number)


def _broken(error: Exception, shown: str, number: int) -> HarnessError:
    """Return what is said of a split that cannot be read beyond row `number`."""
    cause = _cause(error)
    if not _is_of_the_network(cause):
        return InputError([f"{shown}: cannot be read after row {number}: {_why(cause)}"])
    why = f"{shown}: broke off after row {number}: {_why(cause)}"
    step = "the same command reads it again; `harness fetch` of a suite downloads it once, and goes on"
    return EnvironmentGapError([why, step])
