"""The file that keeps a sample of a cell's rationales: its format, read by reports without any encoder.

`{"version", "examples": [...], "texts": [...]}`, gzipped JSON. An example has part, split, subset, item, why, error,
gold, predicted, and `texts` (two sides of a pair, or the query) and `documents`; a side has text, rationale, is_cut,
and, where the similarity was shared out, `cosine` and `tokens`: [piece, share, part], part one of t(ext), h(eader),
r(ationale), x (the rest, summed). `texts` holds the beginnings of more items' texts.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

FORMAT_VERSION = 1
SUFFIX = "rationales.json.gz"


def pack(record: Mapping[str, Any]) -> bytes:
    """Return the file's content: the same for the same record."""
    text = json.dumps({"version": FORMAT_VERSION, **record}, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode("ascii"), mtime=0)


def read(content: bytes) -> dict[str, Any]:
    """Return what `pack` was given; raises ValueError for another version."""
    record: dict[str, Any] = json.loads(gzip.decompress(content))
    if record.get("version") != FORMAT_VERSION:
        raise ValueError(f"not rationale samples of version {FORMAT_VERSION}")
    return record
