"""A corpus as mteb keeps it, streamed from its memory-mapped files: texts, ids, and vectors block by block."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from harness.encoders.base import Vectors
from harness.errors import HarnessError
from harness.search.comparison import ranges_of
from harness.search.exact import Blocks
from harness.shards.cut import MAX_TEXTS
from harness.tasks.custom.fields import document_text

BLOCK_BYTES = 128 << 20
"""Of vectors that are held at a time."""
Encode = Callable[[list[str]], Vectors]


def ids_of(corpus: Any) -> Any:
    """Return the ids of the documents of `corpus`, a Dataset, as a pyarrow ChunkedArray of strings."""
    import pyarrow as pa

    return corpus.select_columns(["id"]).with_format("arrow")[:]["id"].cast(pa.large_string())


def texts_of_rows(table: Any) -> list[str]:
    """Return the texts of documents as mteb has them encoded (`_corpus_to_dict`): title and text.

    Args:
        table: pyarrow Table with columns id, text and maybe title, (n,).

    Raises:
        HarnessError: a document has no text.
    """
    titles = table["title"].to_pylist() if "title" in table.column_names else [None] * len(table)
    texts = table["text"].to_pylist()
    if None in texts:
        name = table["id"][texts.index(None)].as_py()
        raise HarnessError(f"document {name!r} has no text (null): fetch the data again")
    return [document_text(title, text) for title, text in zip(titles, texts, strict=True)]


class Documents:
    """The vectors of a corpus; every iteration encodes it anew."""

    def __init__(self, corpus: Any, encode: Encode, dimension: int, block: int | None = None) -> None:
        """Stream `corpus`.

        Args:
            corpus: mteb's, a Dataset.
            encode: texts -> (n, d) float32.
            dimension: d, for how many documents are held at a time.
            block: so many, whatever they take.
        """
        self._rows = corpus.with_format("arrow")
        self._encode = encode
        self.block = block or min(MAX_TEXTS, max(1, BLOCK_BYTES // (4 * max(1, dimension))))
        """Documents that are held at a time."""
        self.seconds = 0.0
        """What reading and encoding took so far."""

    def __iter__(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (position of the first document, (n, d) vectors), block by block."""
        for start in range(0, len(self._rows), self.block):
            began = time.monotonic()
            vectors = self._encode(texts_of_rows(self._rows[start : start + self.block]))
            self.seconds += time.monotonic() - began
            yield start, vectors

    def __len__(self) -> int:
        """Return how many documents there are."""
        return len(self._rows)


class Spooled:
    """The vectors of `documents`, encoded once and kept in a file without a name for a second pass."""

    def __init__(self, documents: Documents, dimension: int) -> None:
        """Encode all of them.

        Raises:
            HarnessError: the disk of temporary files cannot hold them.
        """
        self._documents = documents
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with the object
        try:
            self.ranges = ranges_of(_written(documents, self._file))
            """(2, d), see `harness.search.comparison.ranges_of`."""
            self._file.flush()
        except OSError as error:
            needs = f"{4 * dimension * len(documents):,} bytes for the vectors of {len(documents):,} documents"
            raise HarnessError(
                f"{tempfile.gettempdir()}: {error}; int8 needs {needs}: set TMPDIR to a larger disk"
            ) from error
        self._held = np.memmap(self._file, dtype=np.float32, mode="r", shape=(len(documents), dimension))

    def __iter__(self) -> Iterator[tuple[int, Vectors]]:
        """Yield the same blocks as the documents did."""
        for start in range(0, len(self._held), self._documents.block):
            yield start, np.array(self._held[start : start + self._documents.block])


def _written(blocks: Blocks, file: IO[bytes]) -> Iterator[tuple[int, Vectors]]:
    for start, block in blocks:
        file.write(np.ascontiguousarray(block).data)
        yield start, block
