"""The one place where every encoder's output is checked before anything scores it.

mteb scores an all-NaN matrix without a word (seen with 2.26.24), so nothing reaches it unchecked. Repeated texts are
encoded once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.encoders.base import CausalLM, DetailedEncoder, Encoder, FittedEncoder, RoleEncoder, Vectors
from harness.encoders.kept import KeepingEncoder, KeptVectors, text_key
from harness.encoders.once import Asked, MadeOnce
from harness.errors import EncoderOutputError
from harness.suite.fields import Similarity
from harness.suite.model_entries import StoreDtype
from harness.tasks.types import Role

Progress = Callable[[int], None]


class CheckedEncoder:
    """An encoder whose output can be trusted to be a finite float32 matrix without zero rows, in input order."""

    def __init__(self, inner: Encoder, *, name: str, store_dtype: StoreDtype = "float32") -> None:
        """Wrap `inner`; `name` is used in error messages, and vectors are rounded to `store_dtype`."""
        self.inner = inner
        self.name = name
        self.store_dtype = store_dtype
        self.kept: KeptVectors | None = None
        """Where vectors are looked up before any is made; None: all are made."""
        self.once: MadeOnce | None = None
        """Where calls are kept for the other sizes of the vectors; None: the model has one size."""
        self.progress: Progress = _ignore
        """Called with the number of texts finished."""
        self._dimension: int | None = None

    @property
    def similarity(self) -> Similarity:
        """How the vectors are compared."""
        return self.inner.similarity

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """Prefixes that come with the model."""
        return self.inner.own_prompts

    @property
    def no_prompt(self) -> str | None:
        """What `encode` is given where nothing is to stand before a text, whatever the model does by itself."""
        return "" if isinstance(self.inner, RoleEncoder) else None

    def own_prompt(self, role: Role | None) -> str | None:
        """Return the prefix that the model puts before texts of `role` by itself, or None."""
        return (self.inner.own_prompt(role) or None) if isinstance(self.inner, RoleEncoder) else None

    def check_role(self, role: Role | None) -> None:
        """Raise EncoderOutputError where the model has no way to encode texts of `role`."""
        if isinstance(self.inner, RoleEncoder):
            self.inner.check_role(role)

    def causal_lm(self) -> CausalLM | None:
        """Return the language model inside, or None."""
        return self.inner.causal_lm()

    def describe(self) -> dict[str, Any]:
        """Return the encoder's facts for provenance."""
        rounded = {} if self.store_dtype == "float32" else {"store_dtype": self.store_dtype}
        return self.inner.describe() | {"similarity": self.inner.similarity} | rounded

    def take_counters(self) -> dict[str, float]:
        """Return what encoding took since the last call."""
        return self.inner.counters.take()

    def cut_so_far(self) -> str:
        """Return how many texts were cut since counters were last taken, as the end of a sentence; empty for none."""
        counters, most = self.inner.counters, self.inner.describe().get("max_text_tokens")
        if not counters.truncated_texts:
            return ""
        where = f"at {most} tokens" if most else "at the length limit"
        return f"; {counters.truncated_texts} of {counters.unique_texts} texts were cut {where}"

    def prepare(self, texts: Callable[[], Iterable[str]]) -> None:
        """Let an encoder that must be fitted see the task's texts; `texts` is called for such encoders only."""
        if isinstance(self.inner, FittedEncoder):
            self.inner.fit(texts())

    def take_details(self) -> dict[str, Any] | None:
        """Return what the encoder has to say of a cell beside counts, or None."""
        return self.inner.take_details() if isinstance(self.inner, DetailedEncoder) else None

    def encode(self, texts: Sequence[str], *, role: Role | None = None, prompt: str | None = None) -> Vectors:
        """Encode `texts`, each distinct one once.

        Args:
            texts: any Unicode, in any order.
            role: query, document, or None where texts have none.
            prompt: stands before every text; None takes what the model does by itself, `no_prompt` nothing.

        Returns:
            (n, d) float32, row i for text i.

        Raises:
            EncoderOutputError: wrong type, shape or dtype, a value that is not finite, or a zero vector.
        """
        return self.checked(texts, lambda unique: self._found_or_made(unique, role, prompt))

    def checked(self, texts: Sequence[str], encode: Callable[[list[str]], Vectors]) -> Vectors:
        """Encode `texts` by `encode`, which gets each distinct one once; returns and raises as `encode` does."""
        started = time.perf_counter()
        places: dict[str, int] = {}
        rows = np.fromiter((places.setdefault(text, len(places)) for text in texts), dtype=np.int64, count=len(texts))
        unique = list(places)
        counters = self.inner.counters
        shown = 0

        def on_batch(count: int) -> None:
            nonlocal shown
            shown += count
            self.progress(count)

        counters.on_batch = on_batch
        vectors = encode(unique)
        self._check(vectors, unique)
        if self.store_dtype != "float32":
            vectors = self._rounded(vectors, unique)
        counters.texts += len(texts)
        counters.unique_texts += len(unique)
        counters.encode_seconds += time.perf_counter() - started
        self.progress(len(texts) - shown)
        return vectors if len(unique) == len(texts) else vectors[rows]

    def _found_or_made(self, texts: list[str], role: Role | None, prompt: str | None) -> Vectors:
        """Return the vectors of distinct texts, those that are kept from there."""
        if isinstance(self.inner, KeepingEncoder):  # which looks its own up
            return self.inner.encode(texts, role=role, prompt=prompt)
        if self.kept is None:
            return self._made(texts, role, prompt)
        there, missing = self.kept.vectors([text_key(text, role, prompt) for text in texts])
        if len(missing) == len(texts):
            return self._made(texts, role, prompt)
        if not len(missing):
            return there
        made = self._made([texts[place] for place in missing], role, prompt)
        self._check(made, [texts[place] for place in missing])
        vectors = np.empty((len(texts), made.shape[1]), dtype=np.float32)
        vectors[missing] = made
        vectors[np.setdiff1d(np.arange(len(texts)), missing)] = there
        return vectors

    def _made(self, texts: list[str], role: Role | None, prompt: str | None) -> Vectors:
        """Return the vectors of texts that are in no shard: of a model with several sizes, made by the first."""
        if self.once is None or isinstance(self.inner, FittedEncoder):  # whose vectors hang on what it was fitted on
            return self.inner.encode(texts, role=role, prompt=prompt)
        return self.once.encode(self.inner, texts, asked=Asked(role=role, prompt=prompt, check=self._check_kept))

    def _check_kept(self, vectors: Vectors, texts: list[str]) -> None:
        self._check(vectors, texts)
        if self.store_dtype != "float32":
            self._rounded(vectors, texts)

    def _rounded(self, vectors: Vectors, texts: list[str]) -> Vectors:
        """Return vectors as they are kept; a warm run and a cold one use the same."""
        with np.errstate(over="ignore"):
            rounded = vectors.astype(self.store_dtype).astype(np.float32)
        where = f"encoder of {self.name!r} with store_dtype: {self.store_dtype}"
        _refuse(~np.isfinite(rounded).all(axis=1), texts, f"{where} has values that are too large for it")
        _refuse(~rounded.any(axis=1), texts, f"{where} has vectors that round to zero")
        return rounded

    def _check(self, vectors: Vectors, texts: list[str]) -> None:
        where = f"encoder of {self.name!r}"
        if not isinstance(vectors, np.ndarray):
            raise EncoderOutputError(f"{where} returned {type(vectors).__name__}, expected a numpy array")
        if vectors.dtype != np.float32:
            raise EncoderOutputError(f"{where} returned dtype {vectors.dtype}, expected float32")
        if vectors.ndim != 2 or vectors.shape[0] != len(texts) or (texts and vectors.shape[1] == 0):
            raise EncoderOutputError(f"{where} returned shape {vectors.shape}, expected ({len(texts)}, d)")
        if not texts:
            return  # no vectors: no dimension either
        if self._dimension not in (None, vectors.shape[1]):
            raise EncoderOutputError(f"{where} returned {vectors.shape[1]} dimensions, before {self._dimension}")
        self._dimension = vectors.shape[1]
        _refuse(~np.isfinite(vectors).all(axis=1), texts, f"{where} returned NaN or infinity")
        _refuse(~vectors.any(axis=1), texts, f"{where} returned a zero vector")


def _refuse(bad: Any, texts: list[str], what: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise EncoderOutputError(f"{what} for {int(bad.sum())} of {len(texts)} texts, the first {texts[first][:80]!r}")


def _ignore(count: int) -> None:
    """Take no notice of progress."""
