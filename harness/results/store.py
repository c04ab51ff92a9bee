"""Results on disk, the only state: resuming is the set difference of keys.

`cells/<task>/<key>.parquet` (per-item results) is written first, then `<key>.json`, which names the parquet's sha256:
each to a temporary name, fsynced and renamed, so the JSON's rename is the commit point. A failure goes to
`<key>.failure.json` and yields to a later score. `locks/<key>.lock` (flock) keeps two processes off one cell. A record
says which model it was run for; `names/` has the other models whose cell it is too.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from harness.digests import sha256_file, write_atomically
from harness.errors import InputError, ResultsNotWrittenError
from harness.results.records import Failure, ItemsFile, Result, Score, SeededScore, from_json, to_json
from harness.writing import in_words

logger = logging.getLogger(__name__)

ITEMS, RATIONALES = "per-item results", "rationales to read"
"""What stands beside a record."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system answers that has no locks."""
ESCAPED = "backslashreplace"
"""How a record holds half a surrogate pair, as an error may name one: by an escape of JSON, which reads back."""


class OtherName(NamedTuple):
    """A further model whose cell a record is."""

    model: str
    cell: str
    """`model/task`, the task with its splits, subsets and parts."""
    rule: str | None = None
    """merged or switched, of a model with an adapter."""


class Store:
    """The results folder."""

    def __init__(self, root: Path) -> None:
        """Open (and where needed make, at the first write) the results folder `root`."""
        self.root = root

    def get(self, task: str, key: str | None) -> Result | None:
        """Return the cell's score, else its failure, else None.

        Raises:
            InputError: the record is there and cannot be read.
        """
        if key is None:
            return None
        for path in (self._path(task, key, "json"), self._path(task, key, "failure.json")):
            try:
                return read_record(path)
            except FileNotFoundError:
                continue
        return None

    def has_score(self, task: str, key: str | None) -> bool:
        """Whether the cell is finished."""
        return key is not None and self._path(task, key, "json").exists()

    def stamp(self, task: str, key: str | None) -> tuple[tuple[int, int], ...]:
        """Return inode and time of the cell's records: another tuple after every commit."""
        paths = [self._path(task, str(key), suffix) for suffix in ("json", "failure.json")]
        return tuple((one.stat().st_ino, one.stat().st_mtime_ns) for one in paths if one.is_file())

    def lost(self, score: Score) -> dict[str, str]:
        """Return what beside a score's record is not what it was committed with, in words -> file and why."""
        about = score.provenance.get("rationale_samples") or {}
        named = {ITEMS: (score.items.name, score.items.sha256)} if score.items else {}
        named |= {RATIONALES: (str(about["name"]), str(about["sha256"]))} if about else {}
        found = {}
        for what, (name, sha256) in named.items():
            try:
                if sha256_file(self.root / "cells" / score.task / name) != sha256:
                    found[what] = f"{name}: not the file that the cell was committed with"
            except OSError as error:
                found[what] = f"{name}: {'missing' if isinstance(error, FileNotFoundError) else 'cannot be read'}"
        return found

    def put_score(self, score: Score, items: Any | None, unit: str) -> Score:
        """Commit a score.

        Args:
            score: without `items`.
            items: a pyarrow Table of per-item results, or None (then `score.items_missing` says why).
            unit: what an item is.

        Returns:
            The score as stored, with its items file.
        """
        if items is not None:
            content = _parquet(items)
            name = f"{score.key}.parquet"
            _commit(self._path(score.task, score.key, "parquet"), content)
            digest = hashlib.sha256(content).hexdigest()
            score = replace(score, items=ItemsFile(name=name, sha256=digest, rows=items.num_rows, unit=unit))
        _commit(self._path(score.task, score.key, "json"), to_json(score).encode("utf-8", ESCAPED))
        with suppress(OSError):  # the score is read before it
            self._path(score.task, score.key, "failure.json").unlink(missing_ok=True)
        return score

    def put_side(self, task: str, key: str, suffix: str, content: bytes) -> dict[str, Any]:
        """Write a file beside a cell, before the cell itself.

        Args:
            task, key: of the cell.
            suffix: of the file, after the key.
            content: of the file.

        Returns:
            Name, sha256 and size, for the cell's provenance.
        """
        path = self._path(task, key, suffix)
        _commit(path, content)
        return {"name": path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def side_of(self, score: Score, about: Mapping[str, Any]) -> bytes:
        """Return a file that `put_side` wrote.

        Raises:
            InputError: the file is missing or its sha256 is not the one the cell names.
        """
        path = self.root / "cells" / score.task / str(about["name"])
        content = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise InputError([f"{path}: not the file the cell {score.key} was committed with; run the cell again"])
        return content

    def put_failure(self, failure: Failure) -> None:
        """Record that a cell failed."""
        _commit(self._path(failure.task, failure.key, "failure.json"), to_json(failure).encode("utf-8", ESCAPED))

    def items_of(self, score: Score, wanted: Callable[[str], bool] | None = None) -> Any | None:
        """Return the per-item results as a pyarrow Table, or None where there are none.

        Args:
            score: the cell.
            wanted: whether a column is; all where None.

        Raises:
            InputError: the file is missing or its sha256 is not the one the cell names.
        """
        import io

        import pyarrow.parquet as pq

        score = score.parts[0] if isinstance(score, SeededScore) else score  # the first seed's stand for all
        if score.items is None:
            return None
        path = self._path(score.task, score.key, "parquet")
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != score.items.sha256:
            what = f"the per-item results are not those the cell {score.key} was committed with"
            raise InputError([f"{path}: {what}; `harness run` makes it again"])
        file = pq.ParquetFile(io.BytesIO(content))
        columns = [name for name in file.schema_arrow.names if wanted is None or wanted(name)]
        # One thread: arrow's pool can outlive the interpreter and abort it ("terminate called") at exit.
        return file.read(columns=columns, use_threads=False)

    def all_results(self) -> Iterator[Result]:
        """Yield every record, scores before failures of the same cell."""
        for path in sorted((self.root / "cells").glob("*/*.json")):
            key = path.name.split(".")[0]
            if path.name.endswith(".failure.json") and self._path(path.parent.name, key, "json").exists():
                continue
            yield read_record(path)

    def note_name(self, result: Result, *, model: str, cell: str, rule: str | None = None) -> None:
        """Remember that a stored record is also the cell `cell` of `model`, which has the same key.

        Args:
            result: the record.
            model, cell: its other name.
            rule: under which that model stands; None where it has no adapter.
        """
        if result.model == model:
            return
        digest = hashlib.sha256(cell.encode("utf-8")).hexdigest()[:16]
        path = self.root / "names" / result.task / f"{result.key}.{digest}.json"
        if not path.exists():
            record = {"key": result.key, "task": result.task, "model": model, "cell": cell}
            record |= {"rule": rule} if rule else {}
            _commit(path, (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", ESCAPED))

    def other_names(self) -> dict[tuple[str, str], list[OtherName]]:
        """Return (task, key) -> the further cells that a record is, sorted."""
        found: dict[tuple[str, str], list[OtherName]] = {}
        for path in sorted((self.root / "names").glob("*/*.json")):
            try:
                one = json.loads(path.read_text(encoding="utf-8"))
                found.setdefault((one["task"], one["key"]), []).append(
                    OtherName(one["model"], one["cell"], one.get("rule"))
                )
            except (ValueError, LookupError, TypeError, OSError) as error:
                logger.warning(
                    "%s: not a note of a name (%s); remove it, and `harness run` writes it again", path, error
                )
        return {place: sorted(names, key=lambda name: name[:2]) for place, names in found.items()}

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Hold the cell's lock for the duration; yields False where another process does.

        Only work is saved by it. On a network disk without locks it is taken as held: two processes may then do the
        same, and commit the same.
        """
        path = self._made("locks") / f"{key}.lock"
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except NotImplementedError:  # as filelock says ENOSYS
            yield True
            return
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise not_written(path, error) from error
            yield True
            return
        try:
            yield True
        finally:
            lock.release()

    def locks_held(self) -> int:
        """Return how many cells and shards running processes are at."""
        held = 0
        for path in sorted((self.root / "locks").glob("*.lock")):
            try:
                with FileLock(path, timeout=0):
                    pass
            except Timeout:
                held += 1
            except (OSError, NotImplementedError):  # no locks here: nobody can tell
                continue
        return held

    def kept(self, folder: str, name: str) -> bytes | None:
        """Return what `keep` wrote under this name; None where there is nothing."""
        try:
            return (self.root / folder / name).read_bytes()
        except OSError:
            return None

    def keep(self, folder: str, name: str, content: bytes) -> None:
        """Keep what can be made again from the cells; where the results cannot be written, it is made each time.

        Whole or not at all for a reader, but not fsynced: hundreds are written at once, and none is worth waiting for.
        """
        path = self.root / folder / name
        partial = path.with_name(f".{name}.{uuid.uuid4().hex[:16]}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as error:
            logger.info("%s is not kept: %s", path, error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def folder(self, name: str) -> Path:
        """Return (and make) a side folder, such as `mteb` for results in mteb's own format."""
        return self._made(name)

    def write_run(self, suite: str, record: dict[str, Any]) -> None:
        """Note what the last run of `suite` was made of."""
        content = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        _commit(self._made("runs") / f"{suite}.json", content.encode("utf-8", ESCAPED))

    def _made(self, name: str) -> Path:
        folder = self.root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_written(folder, error) from error
        return folder

    def _path(self, task: str, key: str, suffix: str) -> Path:
        return self.root / "cells" / task / f"{key}.{suffix}"


def _commit(path: Path, content: bytes) -> None:
    """Write a file of the results folder, whole or not at all; raises ResultsNotWrittenError."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> ResultsNotWrittenError:
    """Return the error that ends a run whose results cannot be kept."""
    return ResultsNotWrittenError(
        [f"{path}: cannot be written ({in_words(error)}); what is committed is kept, and the same command goes on"]
    )


def read_record(path: Path) -> Result:
    """Return the record in a file below `cells/`.

    Raises:
        FileNotFoundError: there is none.
        InputError: it cannot be read, or is that of another cell.
    """
    try:
        result = from_json(path.read_text(encoding="utf-8"))
        if (result.task, result.key) != (path.parent.name, path.name.split(".")[0]):
            raise ValueError(f"it is that of {result.task}/{result.key}")
    except FileNotFoundError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OSError) as error:
        raise InputError([f"{path}: not a result record ({error}); `harness run` makes it again"]) from error
    return result


def _parquet(table: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    content: bytes = buffer.getvalue().to_pybytes()
    return content
