"""What an encoder is: the protocol that ours and other packages' encoders speak; imports numpy only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.suite.fields import Similarity
from harness.tasks.types import Role

Vectors = NDArray[np.float32]


@dataclass(slots=True)
class Counters:
    """What encoding took, summed since the last `take`; a cell's provenance."""

    texts: int = 0
    """Texts asked for, repeats included."""
    unique_texts: int = 0
    """Distinct texts of each call, summed over calls."""
    tokens: int = 0
    """Tokens that went through the model, padding not counted; 0 where the encoder cannot count them."""
    truncated_texts: int = 0
    """Texts cut at the length limit; 0 where the encoder cannot count them."""
    cut_tokens: int = 0
    """Tokens that these texts lost; 0 where the encoder cannot count them."""
    empty_texts: int = 0
    """Texts without a token of their own."""
    out_of_memory: int = 0
    """How often the batch budget was halved."""
    encode_seconds: float = 0.0
    """Wall-clock time of the calls."""
    on_batch: Callable[[int], None] | None = None
    """Called by encoders that work in batches with the texts of each, so that long calls show progress."""

    def take(self) -> dict[str, float]:
        """Return the counts and start again from zero."""
        taken = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "on_batch"}
        for name, value in taken.items():
            setattr(self, name, type(value)())
        return taken

    def add(self, counts: Mapping[str, float]) -> None:
        """Count what another process counted, under the same names."""
        for name, value in counts.items():
            setattr(self, name, type(getattr(self, name))(getattr(self, name) + value))


class CausalLM(NamedTuple):
    """A language model in memory, for the ability axis."""

    model: Any
    """A transformers causal language model, adapters active, in eval mode."""
    tokenizer: Any


@runtime_checkable
class FittedEncoder(Protocol):
    """An encoder that has to see a task's texts before it can encode any of them (TF-IDF)."""

    def fit(self, texts: Iterable[str]) -> None:
        """Forget what was fitted before and fit on `texts`: all texts of the task, training texts included."""


@runtime_checkable
class DetailedEncoder(Protocol):
    """An encoder with more to say of a cell than counts (rationales: lengths, collapse, cut-offs)."""

    def take_details(self) -> dict[str, Any]:
        """Return details since the last call, as JSON, and start again."""


@runtime_checkable
class RoleEncoder(Protocol):
    """An encoder whose model tells queries from documents, or puts prompts before texts, by itself."""

    def own_prompt(self, role: Role | None) -> str:
        """Return the prefix that the model puts before texts of a role where none is asked for; empty for none."""

    def check_role(self, role: Role | None) -> None:
        """Raise EncoderOutputError where the model has no way to encode texts of `role`."""


@runtime_checkable
class Encoder(Protocol):
    """Texts to vectors. Register a factory `f(options, *, device, seed) -> Encoder` in group `harness.encoders`."""

    @property
    def similarity(self) -> Similarity:
        """How its vectors are compared."""

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """Prefixes that come with the model, by the selectors of `tasks.prompts`; used where a suite says nothing."""

    @property
    def counters(self) -> Counters:
        """Where tokens, cut texts and the like are counted."""

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Encode `texts`.

        Args:
            texts: any Unicode, in any order; distinct.
            role: query, document, or None where the task has no roles.
            prompt: the prefix for every text, or None; resolved by the backend. A `RoleEncoder` is given an empty one
                where there is to be none, and does what its model does by itself where it is None.

        Returns:
            (n, d) float32, row i for text i; finite, no zero row.
        """

    def causal_lm(self) -> CausalLM | None:
        """Return the language model inside, or None: then the ability axis is n/a."""

    def describe(self) -> dict[str, Any]:
        """Return resolved facts for provenance: device, dtype, dimension, length limit, parameters."""
