"""Size: how many of a vector's dimensions are kept, and as what each of them is stored; imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "float16", "int8", "binary"]
"""As what a vector is stored, and compared, classified and clustered."""
BITS: dict[Precision, int] = {"float32": 32, "float16": 16, "int8": 8, "binary": 1}
"""Of one dimension."""
BITS_VERSION = 2
"""Of how bits are compared where no documents are ranked, in the keys of these cells; 1: by a cosine of floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One size of a model's vectors; the whole vector as float32 is one of them."""

    of: str
    """The entry that names the sizes: all of them are cut from its vectors."""
    dimension: int | None = None
    """The first so many dimensions; None: all."""
    precision: Precision = "float32"

    @property
    def name(self) -> str:
        """The model's name in the plan: that of the entry for the whole vector, else such as `mini@256-int8`."""
        said = [str(self.dimension)] if self.dimension else []
        said += [self.precision] if self.precision != "float32" else []
        return f"{self.of}@{'-'.join(said)}" if said else self.of

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut or rounded."""
        return self.dimension is None and self.precision == "float32"

    def identity(self) -> dict[str, int | str]:
        """Return what the size adds to the identity of a candidate; nothing for the whole vector."""
        cut: dict[str, int | str] = {} if self.dimension is None else {"dimension": self.dimension}
        return cut if self.precision == "float32" else cut | {"precision": self.precision}


def vector_bytes(dimension: int, precision: Precision) -> int:
    """Return what a vector takes, in bytes; bits are filled up to a whole byte."""
    return -(-dimension * BITS[precision] // 8)
