"""`mean-pool` with `soft_tokens`: a language model, and a few trained vectors in front of every text.

ids = special tokens the tokenizer puts in front + soft tokens + prompt + text + suffix; the mean runs over text and
suffix alone. A soft token is an id beyond the vocabulary: while texts are embedded, and only then, the embedding layer
gives its trained vector for it (Lester et al. 2021, arXiv 2104.08691). No weight of the model is touched, so its
answers are those of the base, bit by bit. What stands in front of all texts is run once where the family can share it,
so that a text costs about what it costs alone; else it is read with each text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.digests import sha256_file
from harness.encoders.base import Vectors
from harness.encoders.batching import for_each_batch
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.head import body_of
from harness.encoders.probe import check_causal, compared, family, fault_of, rows_of
from harness.encoders.rationale.generate import pool
from harness.encoders.rationale.prefix_attention import SharedPrefix, make_prefix, prefix_attention_on
from harness.encoders.rationale.probe import shared_prefix_fault
from harness.encoders.reading import read
from harness.encoders.weights import weights_of
from harness.errors import EnvironmentGapError, WeightsDoNotFitError
from harness.sources.places import Located
from harness.suite.model_entries import MeanPoolSpec, SoftTokens
from harness.tasks.types import Role

if TYPE_CHECKING:
    from torch import Tensor

TENSOR = "soft_tokens"
"""Name of the one tensor of the file."""
PROBED = 3
"""Ids of each row of the probe that are replaced by soft tokens."""


def soft_ids(model: Any, count: int) -> list[int]:
    """Return the ids that stand for soft tokens: those behind the model's own."""
    own = int(model.get_input_embeddings().weight.shape[0])
    return list(range(own, own + count))


@contextmanager
def soft_tokens_on(model: Any, soft: Tensor) -> Iterator[None]:
    """Let the embedding layer of `model` give rows of `soft` (n, h) for `soft_ids` inside the block.

    What it gives for ids of its own is what it gives without, bit by bit; gradients flow into `soft`.
    """
    import torch

    table = model.get_input_embeddings()
    own = int(table.weight.shape[0])
    asked: list[Tensor] = []

    def lower(_layer: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        asked.append(inputs[0])
        return (inputs[0].where(inputs[0] < own, 0), *inputs[1:])

    def replace(_layer: Any, _inputs: Any, output: Tensor) -> Tensor:
        ids = asked.pop()
        vectors = soft.to(output.dtype)[(ids - own).clamp(0, len(soft) - 1)]
        return torch.where((ids >= own)[..., None], vectors, output)

    hooks = [table.register_forward_pre_hook(lower), table.register_forward_hook(replace)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_soft_tokens(model: Any, tokenizer: Any) -> None:
    """Hold ids beyond the vocabulary against the model's own forward pass over the same vectors.

    Args:
        model: a causal language model in eval mode.
        tokenizer: of the model.

    Raises:
        EnvironmentGapError: the states differ, or the family reads ids elsewhere than in its embedding layer.
    """
    import torch

    ids = torch.tensor(rows_of(model, tokenizer)[0], device=model.device)
    with torch.no_grad():
        vectors = model.get_input_embeddings()(ids[:PROBED]).flip(0)
        row = [*soft_ids(model, PROBED), *ids.tolist()]
        try:
            with soft_tokens_on(model, vectors):
                found = read(model, [row])[0]
            whole = torch.cat([vectors, model.get_input_embeddings()(ids)])[None]
            own = body_of(model)(inputs_embeds=whole, use_cache=False).last_hidden_state[0]
            same = compared(model, [found], [own])
            why = None if same.holds else f"by {same.distance:.1g} of their length"
        except Exception as error:  # noqa: BLE001 - whatever a family's code says to ids that it does not know
            why = fault_of(error)
    if why is not None:
        raise EnvironmentGapError(
            [f"{family(model)} cannot be given soft tokens: its states are not those of the same vectors ({why})"]
        )


def save_soft_tokens(soft: Tensor, path: Path) -> None:
    """Write (n, h) soft tokens as float32."""
    from safetensors.torch import save_file

    save_file({TENSOR: soft.detach().float().cpu().contiguous()}, path)


def load_soft_tokens(told: SoftTokens, model: Any) -> Tensor:
    """Return the soft tokens that an entry names, (n, h) float32 on the model's device.

    Raises:
        EnvironmentGapError: the file is not there.
        WeightsDoNotFitError: it is not the one that the entry names by its sha256, or another model's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(told.file)
    if not path.is_file():
        raise EnvironmentGapError(
            [f"soft tokens {path}: no such file; train the candidate again, or get its whole directory"]
        )
    if sha256_file(path, anew=True) != told.sha256:
        raise WeightsDoNotFitError(f"soft tokens {path}: the file is not the one that was trained (by its sha256)")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsDoNotFitError(f"soft tokens {path}: no safetensors file ({error})") from error
    hidden = int(model.get_input_embeddings().weight.shape[1])
    shapes = {name: tuple(one.shape) for name, one in tensors.items()}
    if set(shapes) != {TENSOR} or len(shapes[TENSOR]) != 2 or shapes[TENSOR][1] != hidden:
        raise WeightsDoNotFitError(f"soft tokens {path}: expected {TENSOR} (n, {hidden}), it holds {shapes}")
    return tensors[TENSOR].to(model.device)


class SoftTokensEncoder(MeanPoolEncoder):
    """A causal language model behind trained vectors."""

    def __init__(self, spec: MeanPoolSpec, weights: Located, adapter: Located | None) -> None:
        """Load model, adapter and soft tokens.

        Raises:
            EnvironmentGapError: the model is not causal, or cannot be given vectors in place of ids.
            WeightsDoNotFitError: the soft tokens are another model's, or not as they were written.
        """
        super().__init__(spec, weights, adapter)
        check_causal(self.model, self.tokenizer, wants="`soft_tokens`")
        check_soft_tokens(self.model, self.tokenizer)
        assert spec.soft_tokens is not None  # noqa: S101 - asked by whoever loads one
        self._soft = load_soft_tokens(spec.soft_tokens, self.model)
        self._ids = soft_ids(self.model, len(self._soft))
        self._shares = self._rope is None and shared_prefix_fault(self.model, self.tokenizer) is None
        self._shared: tuple[list[int], SharedPrefix] | None = None

    @classmethod
    def from_candidate(cls, candidate: Candidate, *, seed: int, use_cache: bool) -> SoftTokensEncoder:
        """Load a candidate; nothing is drawn at random or kept."""
        spec: Any = candidate.spec
        return cls(spec, weights_of(candidate), candidate.adapter)

    def describe(self) -> dict[str, Any]:
        """Return what mean-pool says, how many soft tokens there are, and whether they are run once for all texts."""
        return super().describe() | {"soft_tokens": len(self._soft), "shares_prefix": self._shares}

    def follow(self, device: str) -> None:
        """Go on where another has moved the model to."""
        super().follow(device)
        self._soft, self._shared = self._soft.to(device), None

    def prefix_ids(self, prompt: str | None) -> list[int]:
        """Return the ids in front of every text: the tokenizer's own beginning, the soft tokens, the prompt."""
        front = super().prefix_ids(None)
        return [*front, *self._ids, *super().prefix_ids(prompt)[len(front) :]]

    def states(self, prefix: list[int], texts: list[list[int]]) -> Any:
        """Return the last states of texts (their ids) after `prefix`, (b, t, h); a text's begin at `len(prefix)`."""
        with soft_tokens_on(self.model, self._soft):
            return super().states(prefix, texts)

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return the mean last-layer state of each text's own tokens behind the soft tokens, (n, d) float32."""
        if not self._shares:
            return super().encode(texts, role=role, prompt=prompt)
        prefix = self.prefix_ids(prompt)
        ids = self.text_ids(texts, len(prefix))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        with prefix_attention_on(self.model):
            shared = self._prefix(prefix)

            def encode_batch(batch: list[int]) -> None:
                vectors[batch] = pool(self.model, shared, [ids[index] for index in batch])

            self._budget = for_each_batch([len(one) for one in ids], self._budget, encode_batch, self.counters)
        self.counters.tokens += sum(len(one) for one in ids)
        return vectors

    def _prefix(self, ids: list[int]) -> SharedPrefix:
        """Return keys and values of what stands in front of all texts; inside `prefix_attention_on`."""
        import torch

        if self._shared is None or self._shared[0] != ids:
            with torch.inference_mode(), soft_tokens_on(self.model, self._soft):
                self._shared = (ids, make_prefix(self.model, ids))
        return self._shared[1]
