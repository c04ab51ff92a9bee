"""Finds the file that measures a task type: the one that the type's row names (`harness.tasks.types`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np

from harness.backends.mteb.items import Captured, ExampleMaker, SubsetItems
from harness.backends.mteb.loaded import Bulk, Loaded
from harness.tasks.custom.assemble import CustomData
from harness.tasks.types import EMBEDDING_TYPES, Role


class TypeFile(Protocol):
    """What every file of `harness.backends.mteb.types` has."""

    def items(self, captured: Captured) -> SubsetItems:
        """Return the per-item results of an evaluated split and subset, and the score they make."""

    def limit(self, loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
        """Cut the data down to `limit` scored items; returns what there was (`of`) and what was kept."""

    def texts(self, loaded: Loaded) -> Iterator[str]:
        """Yield every text that will be encoded, training texts and repeats included."""

    def bulk(self, loaded: Loaded, role: Role | None) -> Bulk:
        """Return the texts that every evaluation encodes in a role, repeats included; drawn ones are not among them."""

    def count(self, task: Any, statistics: Mapping[str, Any]) -> list[int]:
        """Return the numbers of `harness.tasks.catalogue.Counts` from what mteb's wheel says of a split and subset.

        They are scored items, texts, unique texts, characters, training texts at most; empty where a part is unknown.
        """

    def readable(self, loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
        """Return further columns of the per-item results: the texts of the rows `chosen`, None in the others."""

    def item_texts(self, loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
        """Yield every text of the test split with its role and the items that it is part of, as results call them."""

    def task_class(self, data: CustomData) -> Any:
        """Return mteb's class of such tasks, with what it is to know of `data`."""


class ShownTypeFile(TypeFile, Protocol):
    """What the files of types have besides whose items are shown one by one (`TaskType.item_error`)."""

    SHOWN: tuple[int, int]
    """Items drawn at random, and those with the largest error."""

    def examples(self, loaded: Loaded, one: SubsetItems, prompts: Mapping[str, str | None]) -> ExampleMaker:
        """Return what makes the example of an item, from the data, its per-item results and the prefix of each role."""


def file_of(kind: str) -> TypeFile:
    """Return the file that measures tasks of type `kind`."""
    return cast(TypeFile, import_module(f"harness.backends.mteb.types.{EMBEDDING_TYPES[kind].file}"))


def shown_file_of(kind: str) -> ShownTypeFile | None:
    """Return the file of a type whose items are shown one by one; None for any other."""
    return cast(ShownTypeFile, file_of(kind)) if EMBEDDING_TYPES[kind].item_error else None
