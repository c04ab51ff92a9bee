"""Vectors that are made once for all sizes of a model: what one size had encoded, the others find on disk.

A call for the vectors of some texts is a shard like those that large cells are cut into: of a maker, a role, a prompt
and these texts. The tasks draw the same texts for every size, since draws hang on seeds alone, so each size asks for
the same calls. Their counts are those of each cell they are used in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import environment
from harness.encoders.base import Encoder, Vectors
from harness.encoders.kept import text_key
from harness.shards.files import ShardFiles
from harness.shards.ids import digest_of, ids_of
from harness.shards.index import as_keys
from harness.suite.model_entries import StoreDtype
from harness.tasks.types import Role

COUNTED = ("tokens", "truncated_texts", "cut_tokens", "empty_texts", "out_of_memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the texts of a call are read."""

    role: Role | None
    prompt: str | None
    check: Callable[[Vectors, list[str]], None]
    """Raises EncoderOutputError where vectors must not be kept."""


@dataclass(slots=True, kw_only=True)
class MadeOnce:
    """The calls of a model's sizes for one cell."""

    files: ShardFiles
    maker: Mapping[str, Any]
    """Of the whole vectors, prompts and roles apart."""
    store_dtype: StoreDtype = "float32"
    made: int = 0
    """Calls whose vectors were made here."""
    found: int = 0
    """Calls whose vectors another size had made, or this one in an earlier run."""

    def encode(self, encoder: Encoder, texts: list[str], *, asked: Asked) -> Vectors:
        """Return (n, d) float32: the whole vectors of distinct texts, found or made and kept.

        Args:
            encoder: makes them.
            texts: distinct.
            asked: the role and the prompt, and how the vectors are checked before they are kept.
        """
        maker = {"encoder": self.maker, "role": asked.role, "prompt": asked.prompt}
        ids = ids_of([digest_of(text) for text in texts])
        stored = self.files.get(maker, ids)
        counters = encoder.counters
        if stored is not None:
            self.found += 1
            counters.add({name: stored.facts["counts"][name] for name in (*COUNTED, "encode_seconds")})
            return np.array(stored.arrays["vectors"], dtype=np.float32)
        self.made += 1
        before = {name: getattr(counters, name) for name in COUNTED}
        began = time.perf_counter()
        vectors = encoder.encode(texts, role=asked.role, prompt=asked.prompt)
        asked.check(vectors, texts)
        seconds = time.perf_counter() - began
        counts = {name: getattr(counters, name) - value for name, value in before.items()}
        self.files.put(
            maker,
            ids,
            arrays={
                "keys": as_keys([text_key(text, asked.role, asked.prompt) for text in texts]),
                "vectors": vectors.astype(self.store_dtype, copy=False),
            },
            facts={
                "counts": counts | {"encode_seconds": seconds},
                "hardware": environment.hardware(),
                "seconds": seconds,
            },
        )
        return vectors

    def facts(self) -> dict[str, int]:
        """Return what provenance says of it."""
        return {"made": self.made, "found": self.found}
