"""One split and subset of an mteb task whose data are loaded, whichever way the task keeps its subsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Where in a task's data something is done."""

    task: Any
    """Of mteb."""
    split: str
    subset: str

    @property
    def part(self) -> str:
        """Name of the task: the cell's own, or that of a part of an aggregate."""
        return str(self.task.metadata.name)

    @property
    def splits(self) -> Any:
        """Split -> its data; a task with one subset may keep no level of subsets."""
        data = self.task.dataset
        return data.get(self.subset, data)

    @property
    def rows(self) -> Any:
        """The data of this split: a Dataset, or for ranking tasks corpus, queries and judgements by name."""
        return self.splits[self.split]

    def texts(self, *columns: str) -> Iterator[str]:
        """Yield the texts of columns, one column after the other; a row may hold a text or a list of them."""
        for column in columns:
            for value in self.rows[column]:
                yield from [value] if isinstance(value, str) else value

    def put(self, rows: Any) -> None:
        """Replace the data of this split."""
        self.splits[self.split] = rows
