"""How many items a dataset on this machine has, counted as mteb's descriptive statistics do; nothing is converted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from harness.sources.locate import CANDIDATES

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
    documents: int = 0
    """That are ranked; 0: none are."""
    has_candidates: bool = False
    """True: each of these queries ranks candidates of its own."""


def without_candidates(folder: Path, known: tuple[KnownCount, ...]) -> str | None:
    """Return how many judged queries of a reranking task have nothing to rank; None where all have."""
    for one in known:
        if not one.has_candidates:
            continue
        before = "" if one.subset == "default" else f"{one.subset}-"
        judged = _queries(folder, _qrels(folder, one), one.split)
        ranked = _queries(folder, f"{before}{CANDIDATES}", one.split)
        if lacking := judged - ranked:
            return f"{len(lacking)} of {len(judged)} judged queries have no candidates, the first {min(lacking)!r}"
    return None


def off_count(folder: Path, known: tuple[KnownCount, ...]) -> str | None:
    """Return what of a folder's data is of another size: `n of N items`, `n of N documents`, or both.

    None where nothing is, or nobody can say.
    """
    items = [(_items(folder, one), one.items) for one in known]
    documents = [(_documents(folder, one), one.documents) for one in known if one.documents]
    said = [_off(items, "items"), _off(documents, "documents")]
    return " and ".join(filter(None, said)) or None


def _off(pairs: list[tuple[int | None, int]], what: str) -> str | None:
    counted = [(here, there) for here, there in pairs if here is not None]
    if all(here == there for here, there in counted):
        return None
    return f"{sum(here for here, _ in counted):,} of {sum(there for _, there in counted):,} {what}"


def _documents(folder: Path, known: KnownCount) -> int | None:
    """Return how many documents a folder has to rank; None where it keeps them in no config of their own."""
    name = _config_of(folder, "corpus" if known.subset == "default" else f"{known.subset}-corpus")
    return None if name is None else _rows(folder, name, known.split)


def _items(folder: Path, known: KnownCount) -> int | None:
    name = _qrels(folder, known) if known.ranks else _config_of(folder, known.subset, "default")
    if name is None:
        return None
    if known.ranks:
        return len(_queries(folder, name, known.split))
    tables = _tables(folder, name, known.split)
    if known.type == "Clustering":
        return _texts_in_sets(tables)
    found = list(tables) if known.type == "PairClassification" else None
    if found and sum(table.num_rows for table in found) == 1:  # a split is one row of lists
        return len(found[0][0][0].as_py())
    return sum(int(table.num_rows) for table in (tables if found is None else found))


def _qrels(folder: Path, known: KnownCount) -> str | None:
    """Return the config that holds a subset's judgements."""
    names = [known.subset, "qrels"] if known.subset == "default" else [f"{known.subset}-qrels"]
    return _config_of(folder, *names)


def _config_of(folder: Path, *wanted: str) -> str | None:
    """Return the first of these configs that a folder has."""
    from datasets import get_dataset_config_names

    names = get_dataset_config_names(str(folder))
    return next((one for one in wanted if one in names), None)


def _queries(folder: Path, config: str | None, split: str) -> set[str]:
    """Return the queries that rows of a config name; none of a config that is not there."""
    tables = _tables(folder, config, split) if config else ()
    return {str(query) for table in tables for query in table["query-id"].to_pylist()}


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


def _rows(folder: Path, name: str, split: str) -> int:
    """Return the rows of a split; of parquet files, which can have millions, what their footers say."""
    from datasets import load_dataset_builder
    from pyarrow import parquet

    files = load_dataset_builder(str(folder), name).config.data_files or {}
    own = files.get(_one_of(list(files), split), [])
    if own and all(str(one).endswith(".parquet") and Path(one).is_file() for one in own):
        return sum(int(parquet.read_metadata(one).num_rows) for one in own)
    return sum(int(table.num_rows) for table in _tables(folder, name, split))


def _one_of(splits: list[str], wanted: str) -> str:
    """Return the split that is wanted, or the only one there is, whatever its name."""
    return splits[0] if wanted not in splits and len(splits) == 1 else wanted


def _tables(folder: Path, name: str, split: str) -> Iterator[Any]:
    """Yield a split's rows as pyarrow tables, read from its files."""
    from datasets import load_dataset

    splits = load_dataset(str(folder), name, streaming=True)
    yield from splits[_one_of(list(splits), split)].with_format("arrow").iter(batch_size=ROWS_AT_ONCE)
