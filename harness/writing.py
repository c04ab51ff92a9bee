"""Folders and files that are to be written: tried before anything is computed, and refused in words where they cannot.

A permission bit says little (root, read-only mounts, quotas, names too long): what is tried is to make a file there.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import EnvironmentGapError, InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How systems say that there is no room: on the disk, in the quota, for a file so large."""
_SAID = {
    errno.ENOTDIR: "not a folder",
    errno.EEXIST: "not a folder",
    errno.EISDIR: "a folder, and a file is wanted",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "there is no room for so large a file",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "symbolic links that go round in a circle",
    errno.ENOENT: "no file or folder can be made there",
}
OF_THE_MACHINE = (*FULL, errno.EROFS, errno.EIO)
"""Errors that another name in the same place would meet too."""
_TRIES = 3
"""Another process that tries the same folder may take it away in between."""


def in_words(error: OSError) -> str:
    """Return why something cannot be written, in a few words."""
    return _SAID.get(error.errno or 0) or error.strerror or str(error)


def why_not_folder(folder: Path) -> str | None:
    """Return why no file can be made in `folder`, which need not be there; None where one can. Leaves nothing."""
    for left in reversed(range(_TRIES)):
        try:
            _try(folder)
        except FileNotFoundError as error:
            if not left:
                return in_words(error)
        except OSError as error:
            return in_words(error)
        else:
            return None
    return None


def why_not_file(path: Path) -> str | None:
    """Return why the file `path` cannot be made or replaced; None where it can. Leaves nothing."""
    if path.is_dir():
        return _SAID[errno.EISDIR]
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        return in_words(error)
    return why_not_folder(path.parent)


def refuse(folders: Mapping[str, Path | None], files: Mapping[str, Path | None] | None = None) -> None:
    """Raise InputError with a line for each place that cannot be written.

    Args:
        folders: flag, such as `--results` -> the folder that files are made in; None: not asked for.
        files: flag -> a file that is made.
    """
    found = [(flag, path, why_not_folder(path)) for flag, path in folders.items() if path is not None]
    found += [(flag, path, why_not_file(path)) for flag, path in (files or {}).items() if path is not None]
    problems = [f"{flag} {path}: cannot be written ({why}); give another" for flag, path, why in found if why]
    if problems:
        raise InputError(problems)


@contextmanager
def saying(what: str, step: str = "give another") -> Iterator[None]:
    """Turn an error of writing into one sentence.

    Args:
        what: flag and path, or the path alone.
        step: what to do next.

    Raises:
        EnvironmentGapError: the disk is full, or the file system is read-only.
        InputError: nothing can be written at that place.
    """
    try:
        yield
    except OSError as error:
        kind = EnvironmentGapError if error.errno in OF_THE_MACHINE else InputError
        raise kind([f"{what}: cannot be written ({in_words(error)}); {step}"]) from error


@contextmanager
def saying_cache(folder: Path) -> Iterator[None]:
    """Turn an error of writing to our cache, where there is no going on without it, into EnvironmentGapError."""
    try:
        yield
    except OSError as error:
        where = f"the cache {folder} cannot be written ({in_words(error)})"
        raise EnvironmentGapError([f"{where}; set HARNESS_CACHE to a folder that can be"]) from error


def _try(folder: Path) -> None:
    """Make the folder and a file in it, and take away what was made."""
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f".{uuid.uuid4().hex[:16]}.tmp"
    try:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, b"\n")  # a full disk may still have room for a name
        finally:
            os.close(handle)
    finally:
        with suppress(OSError):
            name.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else has put something there
            for one in missing:
                one.rmdir()
