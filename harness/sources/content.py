"""The files that an identity is made of, with their digests, and whether they are still what they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.digests import sha256_file, sha256_text, visible_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Files on this machine as they were when a key was made."""

    folder: Path
    digests: Mapping[str, str]
    """Path, relative to the folder or absolute -> sha256."""
    is_whole: bool
    """True: these are all files of the folder, and one more is a change; False: other files are of no concern."""

    def sha256(self) -> str:
        """Return one sha256 over names and contents, in name order."""
        return sha256_text("".join(sorted(f"{name}\0{digest}\n" for name, digest in self.digests.items())))

    def files(self) -> list[Path]:
        """Return the files."""
        return [self.folder / name for name in self.digests]

    def changes(self) -> list[str]:
        """Return what is different now: a line for each file, in name order; nothing where all is as it was."""
        found = {name: "is gone" for name in self.digests if not (self.folder / name).is_file()}
        for name, digest in self.digests.items():
            if name not in found and sha256_file(self.folder / name) != digest:
                found[name] = "has another content"
        if self.is_whole:
            found |= {name: "is new" for name in _names(self.folder) if name not in self.digests}
        return [f"{self.folder / name} {found[name]}" for name in sorted(found)]


def content_of_folder(folder: Path) -> Content:
    """Return the visible files of a folder."""
    digests = {name: sha256_file(folder / name) for name in _names(folder)}
    return Content(folder=folder, digests=digests, is_whole=True)


def content_of_files(files: Iterable[Path]) -> Content:
    """Return these files, by their absolute paths."""
    return Content(folder=Path(), digests={str(path.absolute()): sha256_file(path) for path in files}, is_whole=False)


def content_of(path: Path) -> Content:
    """Return a folder's content, or that of one file by its name."""
    if path.is_dir():
        return content_of_folder(path)
    return Content(folder=path.parent, digests={path.name: sha256_file(path)}, is_whole=False)


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in visible_files(folder)]
