"""A file of one results folder into another: streamed, hashed on the way, there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from harness.results.store import not_written

BLOCK_BYTES = 1 << 22
"""That are in memory at once."""


class NotWholeError(ValueError):
    """What is to be copied cannot be read, or is not what its record says."""


def copy(source: Path, target: Path, sha256: str | None) -> int:
    """Copy a file to a temporary name, and rename it once all of it is there; returns its bytes.

    Args:
        source: is only read.
        target: replaced where it is there.
        sha256: that the content must have; None: any.

    Raises:
        NotWholeError: `source` cannot be read or is another file; nothing is left of it.
        ResultsNotWrittenError: `target` cannot be written.
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:16]}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            size = _stream(source, partial, sha256)
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise not_written(target, error) from error
    return size


def _stream(source: Path, partial: Path, sha256: str | None) -> int:
    seen = hashlib.sha256()
    size = 0
    with partial.open("xb") as file:
        for block in _blocks(source):
            seen.update(block)
            size += file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if sha256 not in (None, seen.hexdigest()):
        raise NotWholeError(f"{source.name} is not the file that its record names")
    return size


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise NotWholeError(f"{source.name} cannot be read ({error.strerror or error})") from error
