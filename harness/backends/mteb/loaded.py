"""One split and subset of an mteb task whose data are loaded, whichever way it keeps them; what must be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from harness.errors import HarnessError
from harness.sources.places import Located
from harness.tasks.types import EMBEDDING_TYPES
from harness.wording import listing

READ_ROWS = 8192
"""At once, of a dataset that is larger than the memory."""


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

    def items(self) -> int | None:
        """Return how many items the data have, counted as mteb's descriptive statistics count them.

        None for clustering of texts drawn from a pool: those statistics are of the pool before, or of an older release.
        """
        rows, kind = self.rows, self.task.metadata.type
        if EMBEDDING_TYPES[kind].ranks:
            return len(rows["queries"])
        if kind == "Clustering":  # sets of texts
            column = rows["sentences"] if "sentences" in rows.column_names else []
            return sum(map(len, column)) if len(column) and not isinstance(column[0], str) else None
        if kind == "PairClassification" and len(rows) == 1:  # a split is one row of lists
            return len(next(iter(rows[0].values())))
        return len(rows)

    def documents(self) -> int | None:
        """Return how many documents there are to rank; None where nothing is ranked."""
        return len(self.rows["corpus"]) if EMBEDDING_TYPES[self.task.metadata.type].ranks else None

    def texts(self, *columns: str) -> Iterator[str]:
        """Yield the texts of columns, one column after the other; a row may hold a text or a list of them."""
        for column in columns:
            for value in self.rows[column]:
                yield from [value] if isinstance(value, str) else value

    def put(self, rows: Any) -> None:
        """Replace the data of this split."""
        self.splits[self.split] = rows


Bulk = Callable[[int, int | None], Iterator[str]]
"""Yields the texts of a list from one place to another, or to its end."""


def listed(texts: Callable[[], Iterator[str]]) -> Bulk:
    """Return a list of texts that can be read from its beginning alone."""
    return lambda start, stop: islice(texts(), start, stop)


def streamed(rows: Any, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the values of columns, row by row, from the dataset's memory-mapped file: so many rows are in memory."""
    batches = rows.select_columns(list(columns)).with_format("arrow").iter(batch_size=READ_ROWS)
    for batch in batches:
        yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)


def load(task: Any, place: Located) -> None:
    """Load the data of an mteb task.

    Raises:
        HarnessError: a split is not there, or candidates of a reranking task: without any mteb would score it as
            retrieval, and without some leave those queries out.
    """
    ranks = EMBEDDING_TYPES[task.metadata.type].ranks
    try:
        task.load_data()
    except KeyError as error:
        if error.args and error.args[0] in task.eval_splits:
            raise HarnessError(f"{place.source}: the data have no split {error.args[0]!r}") from error
        raise
    if ranks:
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    for subset in task.hf_subsets:
        for split in task.eval_splits:
            of = Loaded(task=task, split=split, subset=subset)
            if split not in of.splits:
                raise HarnessError(f"{place.source}: no split {split!r} in {subset!r}; it has: {listing(of.splits)}")
            if ranks == "candidates" and (lacking := _without_candidates(of.rows)):
                where = f"{place.source}: {task.metadata.name} {split}/{subset}"
                raise HarnessError(f"{where}: {lacking}; fetch the data again")


def _without_candidates(rows: Any) -> str | None:
    """Return that the queries of a reranking task, or some, have nothing to rank; None where all have."""
    candidates = rows["top_ranked"]
    if not candidates:
        return "no candidates (`top_ranked`): mteb would score the task as retrieval over all documents"
    judged = [query for query in rows["queries"]["id"] if query in rows["relevant_docs"]]
    lacking = [query for query in judged if not candidates.get(query)]
    if not lacking:
        return None
    some = f"{len(lacking)} of {len(judged)} judged queries have no candidates (`top_ranked`), the first {lacking[0]!r}"
    return f"{some}: mteb would leave them out of the mean"
