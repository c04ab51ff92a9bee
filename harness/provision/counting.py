"""How many items a dataset on this machine has, counted as mteb's descriptive statistics do; nothing is converted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROWS_AT_ONCE = 10_000


class KnownCount(NamedTuple):
    """What the benchmark's own data have."""

    type: str
    """Of the task."""
    ranks: bool
    """True: its items are the queries that are judged."""
    subset: str
    split: str
    items: int


def off_count(folder: Path, known: tuple[KnownCount, ...]) -> str | None:
    """Return `n of N items` where a folder's data are of another size; None where they are not, or nobody can say."""
    pairs = [(_items(folder, one), one.items) for one in known]
    counted = [(here, there) for here, there in pairs if here is not None]
    if all(here == there for here, there in counted):
        return None
    return f"{sum(here for here, _ in counted):,} of {sum(there for _, there in counted):,} items"


def _items(folder: Path, known: KnownCount) -> int | None:
    from datasets import get_dataset_config_names

    names = get_dataset_config_names(str(folder))
    qrels = [known.subset, "qrels"] if known.subset == "default" else [f"{known.subset}-qrels"]
    wanted = qrels if known.ranks else [known.subset, "default"]
    name = next((one for one in wanted if one in names), None)
    if name is None:
        return None
    tables = _tables(folder, name, known.split)
    if known.ranks:
        return len({query for table in tables for query in table["query-id"].to_pylist()})
    if known.type == "Clustering":
        return _texts_in_sets(tables)
    found = list(tables) if known.type == "PairClassification" else None
    if found and sum(table.num_rows for table in found) == 1:  # a split is one row of lists
        return len(found[0][0][0].as_py())
    return sum(int(table.num_rows) for table in (tables if found is None else found))


def _texts_in_sets(tables: Iterator[Any]) -> int | None:
    """Return the texts of all sets; None for texts that are drawn from one pool, whose statistics are of another."""
    import pyarrow as pa

    count = 0
    for table in tables:
        column = table["sentences"] if "sentences" in table.column_names else None
        if column is None or not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            return None
        count += sum(map(len, column.to_pylist()))
    return count


def _tables(folder: Path, name: str, split: str) -> Iterator[Any]:
    """Yield a split's rows as pyarrow tables, read from its files."""
    from datasets import load_dataset

    splits = load_dataset(str(folder), name, streaming=True)
    one = split if split in splits else next(iter(splits)) if len(splits) == 1 else split
    yield from splits[one].with_format("arrow").iter(batch_size=ROWS_AT_ONCE)
