"""The files that an identity is made of, with their digests, and whether they are still what they were.

Files for people alone are none of them: model cards, licences, pictures. Of a dataset's README that is read which the
`datasets` library reads: its configs and what it says of columns and splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from harness.digests import sha256_file, sha256_text, visible_files
from harness.sources.dataset_card import head_of

Holds = Literal["rows", "weights", "anything"]
"""What a folder holds: which of its files are read, and what of them; `anything`: every file is, as it is."""
CARD = "README.md"
HIDDEN_CARD = ".huggingface.yaml"
"""Hidden, and yet read by the `datasets` library beside the README."""
_READ_OF_CARD = ("configs", "dataset_info")
_FOR_PEOPLE = frozenset({"readme", "license", "licence", "notice", "changelog", "citation"})
_WRITING = ("", ".md", ".txt", ".rst", ".cff")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Files on this machine as they were when a key was made."""

    folder: Path
    digests: Mapping[str, str]
    """Path, relative to the folder or absolute -> sha256 of what is read of it."""
    holds: Holds | None
    """All files that are read of such a folder are here, and one more is a change; None: other files do not matter."""

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
            if name not in found and _sha256(self.folder, name, self.holds) != digest:
                found[name] = "has another content"
        if self.holds is not None:
            found |= {name: "is new" for name in _names(self.folder, self.holds) if name not in self.digests}
        return [f"{self.folder / name} {found[name]}" for name in sorted(found)]


def content_of(path: Path, holds: Holds) -> Content:
    """Return the files of a folder that are read, or one file by its name."""
    if not path.is_dir():
        return Content(folder=path.parent, digests={path.name: sha256_file(path)}, holds=None)
    digests = {name: _sha256(path, name, holds) for name in _names(path, holds)}
    return Content(folder=path, digests=digests, holds=holds)


def content_of_files(files: Iterable[Path]) -> Content:
    """Return these files, by their absolute paths."""
    return Content(folder=Path(), digests={str(path.absolute()): sha256_file(path) for path in files}, holds=None)


def is_for_people(path: Path) -> bool:
    """Return whether no loader reads a file: a model card, a licence, a picture."""
    suffix = path.suffix.lower()
    is_writing = path.name.split(".")[0].lower() in _FOR_PEOPLE and suffix in _WRITING
    return is_writing or suffix in (".md", *_PICTURES)


def _names(folder: Path, holds: Holds) -> list[str]:
    files = visible_files(folder)
    if holds == "weights":
        files = [one for one in files if not is_for_people(one)]
    elif holds == "rows":  # to the library a text file is rows, whatever its name
        cards = [one for one in (folder / CARD, folder / HIDDEN_CARD) if one.is_file() and _read_of(one) != {}]
        files = [one for one in files if one.suffix == ".txt" or not is_for_people(one)] + cards
    return [path.relative_to(folder).as_posix() for path in files]


def _sha256(folder: Path, name: str, holds: Holds | None) -> str:
    return _sha256_of_card(folder / name) if holds == "rows" and name == CARD else sha256_file(folder / name)


def _sha256_of_card(path: Path) -> str:
    return sha256_file(path) if (read := _read_of(path)) is None else sha256_text(repr(read))


def _read_of(card: Path) -> dict[str, Any] | None:
    """Return what is read of a dataset's README; None where that is the whole, since its head is no YAML."""
    if card.name != CARD:
        return None
    try:
        head = head_of(card.read_text(encoding="utf-8", errors="replace"))
    except yaml.YAMLError:
        return None
    return {name: head[name] for name in _READ_OF_CARD if name in head}
