"""One cell out of several results folders: which record counts; it is copied, with its files, to where they are joined.

A score beats a failure, the first whole score is kept, and scores that contradict each other are not chosen between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from harness.digests import sha256_file
from harness.errors import InputError
from harness.results.copying import NotWholeError, copy
from harness.results.facts import facts_of
from harness.results.records import Failure, Score
from harness.results.same_cell import contradiction, is_same
from harness.results.store import Store, read_record
from harness.tasks.engines import ENGINES

Kind = Literal["score", "failure"]
NOT_NOW = "a running process is at this cell of the folder that is merged into; merge again when it is done"


class Whole(NamedTuple):
    """A score whose files are all there."""

    folder: Path
    score: Score
    sha256: str
    """Of its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """A cell that two folders have unlike scores of."""

    first: Whole
    """That of the first folder, which is kept where they do not contradict each other."""
    other: Whole
    contradiction: str | None
    """In what they contradict each other; None where they are last digits apart."""


@dataclass(slots=True, kw_only=True)
class Taken:
    """What became of a cell."""

    copied: Kind | None = None
    there: Kind | None = None
    """What the folder itself had, and has now."""
    kept: Path | None = None
    """The folder whose score it is; None where none is whole, or two contradict each other."""
    bytes: int = 0
    refused: list[tuple[Path, str]]
    """Records that are not whole, and why."""
    differing: Differing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMerge:
    """A cell, by name, and the folder that it is to be in."""

    task: str
    key: str
    out: Path

    def take(self, sources: Sequence[Path]) -> Taken:
        """Have the folder hold what the cell comes to over itself and `sources`."""
        taken = Taken(refused=[])
        whole = [one for folder in (self.out, *sources) if (one := self._whole(folder, taken)) is not None]
        if whole:
            taken.differing = _differing(whole)
            if taken.differing is None or taken.differing.contradiction is None:
                taken.kept = whole[0].folder
            if whole[0].folder == self.out:
                taken.there = "score"
            elif taken.kept is not None:
                self._copy_score(whole[0], taken)
        else:
            self._take_failure(sources, taken)
        return taken

    def _path(self, folder: Path, suffix: str) -> Path:
        return folder / "cells" / self.task / f"{self.key}.{suffix}"

    def _whole(self, folder: Path, taken: Taken) -> Whole | None:
        """Return the score of a folder; None where it has none, or one that is not whole, which is noted."""
        path = self._path(folder, "json")
        try:
            sha256 = sha256_file(path)
            score = read_record(path)
            if not isinstance(score, Score):
                raise NotWholeError("the record of a failure in the place of a score")
            self._must_be_whole(folder, score)
        except FileNotFoundError:
            return None
        except (InputError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            taken.refused.append((path, _in_words(path, error)))
        else:
            return Whole(folder, score, sha256)
        return None

    def _must_be_whole(self, folder: Path, score: Score) -> None:
        """Raise NotWholeError where a file of a score is not what the record says."""
        foreign = [name for name in _files(score) if Path(name).name != name or not name.startswith(f"{self.key}.")]
        if foreign:
            raise NotWholeError(f"{foreign[0]!r} is no file of it")
        lost = Store(folder).lost(score)
        if lost:
            raise NotWholeError("; ".join(f"{what}: {why}" for what, why in lost.items()))
        if score.items is not None:
            rows = _rows(self._path(folder, "parquet").with_name(score.items.name))
            if rows != score.items.rows:
                raise NotWholeError(f"{score.items.name} has {rows} rows, not {score.items.rows}")

    def _copy_score(self, one: Whole, taken: Taken) -> None:
        path, place = self._path(one.folder, "json"), self._path(self.out, "json")
        with Store(self.out).claim(self.key) as claimed:
            try:
                if not claimed:
                    raise NotWholeError(NOT_NOW)
                for name, sha256 in _files(one.score).items():
                    taken.bytes += copy(path.with_name(name), place.with_name(name), sha256)
                self._copy_native(one, taken)  # before the record, after which nobody looks for them any more
                taken.bytes += copy(path, place, one.sha256)
            except NotWholeError as error:  # else it was whole a moment ago
                taken.kept = None
                taken.refused.append((path, str(error)))
                return
            with suppress(OSError):  # the score is read before it
                self._path(self.out, "failure.json").unlink(missing_ok=True)
        taken.copied = "score"

    def _copy_native(self, one: Whole, taken: Taken) -> None:
        for native in self._native(one):
            try:
                json.loads(native.read_bytes())
                taken.bytes += copy(native, self.out / native.relative_to(one.folder), None)
            except (ValueError, OSError, RecursionError) as error:
                taken.refused.append((native, f"not JSON, as the engine writes it ({error}); the cell itself is whole"))

    def _native(self, one: Whole) -> Iterator[Path]:
        """Yield what the engine wrote itself about this very cell."""
        limit = f"limit-{one.score.limit}" if one.score.limit else "full"
        model = str(facts_of(one.score).fingerprint)[:16]
        names = sorted({one.score.task, *(number.part for number in one.score.metrics if number.part)})
        for engine in (name for name, row in ENGINES.items() if row.axis == one.score.axis):
            for folder in sorted(one.folder.glob(f"{engine}/{limit}/*/{model}")):
                yield from (path for name in names if (path := folder / f"{name}.json").is_file())

    def _take_failure(self, sources: Sequence[Path], taken: Taken) -> None:
        """Keep the first failure that can be read, so that it is known why there is no score."""
        for folder in (self.out, *sources):
            path = self._path(folder, "failure.json")
            try:
                if not isinstance(read_record(path), Failure):
                    raise NotWholeError("the record of a score in the place of a failure")
            except FileNotFoundError:
                continue
            except (InputError, NotWholeError) as error:
                taken.refused.append((path, _in_words(path, error)))
                continue
            if folder == self.out:
                taken.there = "failure"
            else:
                taken.bytes += copy(path, self._path(self.out, "failure.json"), None)
                taken.copied = "failure"
            return


def _differing(whole: Sequence[Whole]) -> Differing | None:
    """Return the first score beside one that it contradicts, else beside one with other last digits; None: no such."""
    own, *others = whole
    unlike = [Differing(first=own, other=one, contradiction=contradiction(own.score, one.score)) for one in others]
    contradictions = [one for one in unlike if one.contradiction is not None]
    last_digits = [one for one in unlike if not is_same(own.score, one.other.score)]
    return next(iter(contradictions + last_digits), None)


def _files(score: Score) -> dict[str, str]:
    """Return name -> sha256 of the files beside a score's record."""
    about = score.provenance.get("rationale_samples") or {}
    found = {score.items.name: score.items.sha256} if score.items else {}
    return found | ({str(about["name"]): str(about["sha256"])} if about else {})


def _in_words(path: Path, error: Exception) -> str:
    """Return why a record is refused, without what is said around it."""
    return str(error).removeprefix(f"{path}: ").partition("; `harness run`")[0]


def _rows(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise NotWholeError(f"{path.name}: no parquet file ({error})") from error
