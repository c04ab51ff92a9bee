"""sha256 of files and folders, remembered by size and times; imports nothing of the harness.

What a digest is remembered by includes the time of the last change (ctime), which nobody can set back. A file that was
changed within `SETTLED_SECONDS` of being hashed is not remembered: a second change may leave no trace in its times.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

REMEMBER_ABOVE_BYTES = 1 << 20
"""Smaller files are hashed anew each time: that is as fast as looking them up."""
SETTLED_SECONDS = 40
"""Times of a file move when it is written, but those of a mapped page only when Linux has written it back, which takes
up to 35 seconds; coarse clocks (two seconds on FAT) are covered as well."""


def user_cache() -> Path:
    """Return the folder for unpacked wheels, converted weights and digests.

    `HARNESS_CACHE`, else `$XDG_CACHE_HOME/encoder-verdict`, else `~/.cache/encoder-verdict`.
    """
    named = os.environ.get("HARNESS_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser("~")
    if not base and not os.path.isabs(home):
        return Path(os.devnull) / "encoder-verdict"  # nothing is found there, and nothing can be kept
    return (Path(base) if base else Path(home) / ".cache") / "encoder-verdict"


def sha256_text(text: str) -> str:
    """Return the hex sha256 of `text` as UTF-8; lone surrogates are kept apart, not refused."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path, *, anew: bool = False) -> str:
    """Return the hex sha256 of a file, from memory where it has not been touched since it was hashed.

    `anew` reads the file whatever is remembered, and corrects the memory.
    """
    stat = path.stat()
    if stat.st_size <= REMEMBER_ABOVE_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    entry = _memory_of(path, stat)
    if not anew and entry.is_file() and len(known := entry.read_text(encoding="ascii")) == 64:
        return known
    began = time.time_ns()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if max(stat.st_mtime_ns, stat.st_ctime_ns) < began - SETTLED_SECONDS * 10**9:
        keep(entry, digest.encode("ascii"))
    else:
        with suppress(OSError):
            entry.unlink(missing_ok=True)
    return digest


def _memory_of(path: Path, stat: os.stat_result) -> Path:
    """Return where the digest of a file with these times is remembered; a link is the file that it leads to."""
    times = f"{stat.st_mtime_ns}\n{stat.st_ctime_ns}"
    seen = sha256_text(f"{path.resolve()}\n{stat.st_size}\n{times}\n{stat.st_dev}\n{stat.st_ino}")
    return user_cache() / "digests" / seen[:2] / seen


def keep(entry: Path, content: bytes) -> bool:
    """Write a file of a cache, which is a convenience: where it cannot be written, the log says so once a folder."""
    try:
        write_atomically(entry, content)
    except OSError as error:
        _remark(str(user_cache() if entry.is_relative_to(user_cache()) else entry.parent), str(error.strerror or error))
        return False
    return True


@cache
def _remark(folder: str, why: str) -> None:
    logger.warning("%s: cannot be written (%s); gone on without, and HARNESS_CACHE names another", folder, why)


def sha256_files(folder: Path, files: Iterable[Path]) -> str:
    """Return one sha256 over the names (relative to `folder`) and contents of `files`, in name order."""
    lines = sorted(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n" for path in files)
    return sha256_text("".join(lines))


def visible_files(folder: Path) -> list[Path]:
    """Return every file below `folder`, but hidden ones and those in hidden folders, in name order; links are followed.

    A folder that a link leads to a second time, from inside itself, is not entered again.
    """
    return sorted(_visible(folder, ()))


def _visible(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _visible(path, (*above, here))
        elif path.is_file():
            yield path


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` so that a reader or a crash sees the old file or the whole new one.

    The file has the rights that the user's umask gives any new file: results and reports may be read by others.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.parent / f".{path.name}.{uuid.uuid4().hex[:16]}.tmp"
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        name.replace(path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:  # without this the rename itself may be lost with the power
        os.fsync(folder)
    finally:
        os.close(folder)


def canonical(value: Any) -> str:
    """Return `value` as JSON that does not depend on the order of mappings."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the hex sha256 of `value`'s canonical JSON."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()
