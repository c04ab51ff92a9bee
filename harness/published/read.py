"""From a path to published rows: which of the three kinds of source it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import InputError
from harness.published.card import read_card
from harness.published.own import is_own, read_own
from harness.published.rows import Published
from harness.published.tree import is_tree, read_tree

KINDS = (
    "a clone of mteb's results repository (results/ORG__MODEL/REVISION/TASK.json) or a folder in it, a results folder "
    "of `harness run`, or a model card (README.md with `model-index`)"
)
CARD = "README.md"


def read_published(path: Path, names: Sequence[str] = (), revision: str | None = None) -> Published:
    """Return the published rows of a model.

    Args:
        path: one of `KINDS`.
        names: what the model may be called there, the likeliest first.
        revision: of the model, which chooses where a tree has several.

    Raises:
        InputError: the path is none of these, or has no such model.
    """
    if not path.exists():
        raise InputError([f"{path}: no such file or folder; expected {KINDS}"])
    if path.is_file():
        if path.suffix.lower() == ".json":
            raise InputError([f"{path}: one file of a results tree; name the folder it is in"])
        return read_card(path, names)
    if is_own(path):
        return read_own(path, names)
    if is_tree(path):
        return read_tree(path, names, revision)
    if (path / CARD).is_file():
        return read_card(path / CARD, names)
    raise InputError([f"{path}: no published scores in it; expected {KINDS}"])
