"""The lock file of `harness fetch`: what each repository in a local hub is, and the sha256 of each of its files.

`<hub>/harness.lock.json` is written only after every file of a repository is in place and was checked against the
server. A folder that still equals its entry is *vouched for*: it has the identity of the hub's own commit, so that keys
agree between machines. Sizes are compared always; contents through the digests that are remembered by size and times,
or anew where asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from harness.digests import sha256_file, visible_files, write_atomically
from harness.errors import InputError

NAME = "harness.lock.json"
VERSION = 1
VOUCHED = "lock file of harness fetch"
Kind = Literal["datasets", "models", "wheels"]
ChangeKind = Literal["missing", "changed", "extra"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file as it was fetched."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fetched repository or wheel."""

    kind: Kind
    repo: str
    """`org/name`, or a whole `wheel:` reference."""
    revision: str
    """The commit; of a wheel its sha256."""
    asked: str
    """What the suite said: the commit itself, a branch, or `main` where it said nothing."""
    folder: str
    """Where it lies, relative to the hub."""
    subsets: tuple[str, ...] | None = None
    """Subsets whose files were fetched; None: all files."""
    files: Mapping[str, LockedFile] = field(default_factory=dict)
    """Path within the folder -> size and sha256."""

    def covers(self, subsets: tuple[str, ...] | None) -> bool:
        """Return whether the files of `subsets` (None: of all) are among those fetched."""
        return self.subsets is None or (subsets is not None and set(subsets) <= set(self.subsets))


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as it was fetched."""

    path: str
    change: ChangeKind

    def __str__(self) -> str:
        return f"{self.path} {'was not fetched' if self.change == 'extra' else f'is {self.change}'}"


@dataclass(frozen=True, slots=True)
class Lock:
    """All entries of a lock file, by folder."""

    entries: Mapping[str, Entry]

    def find(self, kind: Kind, repo: str, revision: str | None) -> Entry | None:
        """Return the entry of a repository at a revision.

        Args:
            kind, repo: which one.
            revision: a commit must be the locked one; a branch or tag, or None, takes what was fetched for that name;
                None takes the folder without a commit in its name where nothing was fetched for `main`.
        """
        of_repo = [entry for entry in self.entries.values() if entry.kind == kind and entry.repo == repo]
        if revision and (is_commit(revision) or kind == "wheels"):
            return next((entry for entry in of_repo if entry.revision == revision), None)
        named = next((entry for entry in of_repo if entry.asked == (revision or "main")), None)
        if named or revision:
            return named
        return self.entries.get(f"{kind}/{repo}")

    def with_entry(self, entry: Entry) -> Lock:
        """Return the lock with `entry` in the place of any other for its folder."""
        return Lock({**self.entries, entry.folder: entry})


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is a whole commit, which never means anything else."""
    return revision is not None and bool(_COMMIT.fullmatch(revision))


def read(hub: Path) -> Lock:
    """Return the lock of a local hub, empty where it has none.

    Raises:
        InputError: the file is no lock file of this version.
    """
    path = hub / NAME
    try:
        stat = path.stat()
    except OSError:
        return Lock({})
    return _read(path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def write(hub: Path, lock: Lock) -> None:
    """Write the lock whole or not at all."""
    entries = {folder: _to_plain(lock.entries[folder]) for folder in sorted(lock.entries)}
    text = json.dumps({"version": VERSION, "repositories": entries}, indent=1, ensure_ascii=False)
    write_atomically(hub / NAME, f"{text}\n".encode())


def differences(hub: Path, entry: Entry, *, anew: bool = False, most: int | None = None) -> list[Change]:
    """Return how a folder differs from its entry: files missing, changed, or not in it.

    Args:
        hub: the local hub.
        entry: what was fetched.
        anew: True reads every byte; False trusts the digests remembered for the same size and times.
        most: stop after so many.
    """
    folder = hub / entry.folder
    present = {path.relative_to(folder).as_posix() for path in visible_files(folder)}
    found = [Change(path, "extra") for path in sorted(present - set(entry.files))]
    found += [Change(path, "missing") for path in entry.files if path not in present]
    for name, locked in entry.files.items():
        if most is not None and len(found) >= most:
            break
        if name in present and not _is_same(folder / name, locked, anew):
            found.append(Change(name, "changed"))
    return found[:most]


def _is_same(path: Path, locked: LockedFile, anew: bool) -> bool:
    return path.stat().st_size == locked.size and sha256_file(path, anew=anew) == locked.sha256


@lru_cache(maxsize=8)
def _read(path: Path, *_stamp: int) -> Lock:
    advice = f"delete it and run harness fetch again (checked files are kept): {path}"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["version"] != VERSION:
            raise InputError(
                [f"{path}: lock file of version {raw['version']!r}; this release reads {VERSION}; {advice}"]
            )
        return Lock({folder: _from_plain(folder, entry) for folder, entry in raw["repositories"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            [f"{path}: not a lock file of harness fetch ({type(error).__name__}: {error}); {advice}"]
        ) from error


def _to_plain(entry: Entry) -> dict[str, Any]:
    plain = asdict(replace(entry, files={}))
    del plain["folder"]
    plain["files"] = {path: asdict(entry.files[path]) for path in sorted(entry.files)}
    return plain


def _from_plain(folder: str, raw: dict[str, Any]) -> Entry:
    if ".." in Path(folder).parts or Path(folder).is_absolute():
        raise ValueError(f"folder {folder!r} leaves the hub")
    files = {path: LockedFile(size=one["size"], sha256=one["sha256"]) for path, one in raw["files"].items()}
    bad = [path for path, one in files.items() if not _SHA256.fullmatch(one.sha256) or ".." in Path(path).parts]
    if bad:
        raise ValueError(f"{bad[0]!r} of {folder} has no sha256 or leaves the folder")
    subsets = raw["subsets"]
    return Entry(
        kind=raw["kind"],
        repo=raw["repo"],
        revision=raw["revision"],
        asked=raw["asked"],
        folder=folder,
        subsets=None if subsets is None else tuple(subsets),
        files=files,
    )
