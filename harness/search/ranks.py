"""Document ids as integers: the place of each in the order of ids, which is what breaks ties.

trec_eval, and pytrec_eval with it, ranks documents of equal score by falling id, as bytes (`strcmp`). Arrow sorts
strings by their UTF-8 bytes, which is the same order, and Python's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 2**32
"""Documents in a corpus: a place has 32 bits in the keys that are sorted (`harness.search.keys`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The order of a corpus' ids."""

    of: NDArray[np.uint32]
    """(n,) position in the corpus -> place among the ids sorted upwards; the greater place wins a tie."""
    positions: NDArray[np.uint32]
    """(n,) place -> position: the inverse."""


def ranks_of(ids: Any) -> Ranks:
    """Return the order of `ids`.

    Args:
        ids: pyarrow Array or ChunkedArray of strings, (n,); of equal ids the later one has the greater place.

    Raises:
        ValueError: there are more of them than a place has bits for.
    """
    import pyarrow.compute as pc

    if len(ids) >= MOST:
        raise ValueError(f"{len(ids):,} documents, at most {MOST - 1:,} can be searched at once")
    positions = np.asarray(pc.sort_indices(ids)).astype(np.uint32)
    places = np.empty_like(positions)
    places[positions] = np.arange(len(positions), dtype=np.uint32)
    return Ranks(of=places, positions=positions)
