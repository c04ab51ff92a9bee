"""Does the shared prefix give what the model itself gives? Asked at load, before a rationale is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.encoders.head import logits_of
from harness.encoders.probe import Comparison, compared, family, fault_of, row_lengths, rows_of, states_of
from harness.encoders.rationale.generate import WritingBatch
from harness.encoders.rationale.prefix_attention import LAYERS, make_prefix, prefix_attention_on
from harness.errors import EnvironmentGapError

if TYPE_CHECKING:
    from torch import Tensor

PREFIX_TOKENS = 7
WRITTEN = 3
"""Tokens that are fed one by one."""


def check_shared_prefix(model: Any, tokenizer: Any) -> None:
    """Hold prefill and single tokens behind a shared prefix against the model's own forward pass.

    Args:
        model: a causal language model in eval mode, adapters active.
        tokenizer: of the model.

    Raises:
        EnvironmentGapError: logits or states differ, a layer is no attention, or the path cannot be walked at all.
    """
    why = shared_prefix_fault(model, tokenizer)
    if why is not None:
        raise EnvironmentGapError(
            [
                f"{family(model)} cannot share a prefix between rows, as `encoder: rationale` does: {why}; say "
                f"`forward: plain`, which reads one text at a time (slower), or take another encoder"
            ]
        )


def check_plain(model: Any, tokenizer: Any) -> None:
    """Refuse a model whose logits are not to be had from its last states, so that not even `forward: plain` can write.

    Args:
        model: a causal language model in eval mode, adapters active.
        tokenizer: of the model.

    Raises:
        EnvironmentGapError: they differ, or its forward pass does not lead from one to the other.
    """
    import torch

    row = rows_of(model, tokenizer)[0]
    try:
        with torch.inference_mode():
            truth = model(input_ids=torch.tensor([row], device=model.device)).logits[0]
            found = compared(model, [logits_of(model, states_of(model, row))], [truth])
        why = None if found.holds else f"by {found.distance:.1g} of their length"
    except Exception as error:  # noqa: BLE001 - whatever a family's code says to states that it did not make itself
        why = fault_of(error)
    if why is not None:
        raise EnvironmentGapError(
            [
                f"{family(model)}: its next-token logits cannot be had from its last states ({why}), and "
                f"`encoder: rationale` needs that; take another encoder"
            ]
        )


def shared_prefix_fault(model: Any, tokenizer: Any) -> str | None:
    """Return what is wrong with the shared prefix for `model`; None where it gives what the model gives."""
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ()) - LAYERS
    if kinds:
        return f"it has layers of the kind {', '.join(sorted(kinds))}"
    lengths = row_lengths(model, beside=PREFIX_TOKENS + WRITTEN)
    rows = rows_of(model, tokenizer, (PREFIX_TOKENS, *(length + WRITTEN for length in lengths)))
    try:
        found = _compared(model, rows[0], rows[1:])
    except EnvironmentGapError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever a family's code says to a cache that is not its own
        return fault_of(error)
    if found.holds:
        return None
    return f"its logits and states would differ from its own forward pass (by {found.distance:.1g} of their length)"


def _compared(model: Any, prefix: list[int], rows: list[list[int]]) -> Comparison:
    """Return how far logits and pooled states behind the prefix are from those of each whole row alone."""
    import torch

    p = len(prefix)

    def own() -> list[Tensor]:
        logits = [model(input_ids=torch.tensor([[*prefix, *row]], device=model.device)).logits[0] for row in rows]
        steps = [one[p + len(row) - WRITTEN - 1 : -1] for one, row in zip(logits, rows, strict=True)]
        return [*steps, *(states_of(model, [*prefix, *row])[p:].float().mean(dim=0) for row in rows)]

    with torch.inference_mode():
        logits, vectors = _walked(model, prefix, [row[:-WRITTEN] for row in rows], [row[-WRITTEN:] for row in rows])
        found = [*(logits[:, place] for place in range(len(rows))), *vectors]
        return compared(model, found, own(), own=own)


def _walked(
    model: Any, prefix: list[int], texts: Sequence[list[int]], written: Sequence[list[int]]
) -> tuple[Tensor, list[Tensor]]:
    """Return next-token logits before each written token, (written, b, vocabulary), and the mean states, (h,) each."""
    import torch

    with prefix_attention_on(model):
        state = WritingBatch(model, make_prefix(model, prefix), list(texts), max_new_tokens=WRITTEN)
        logits = [state.prefill()]
        for place in range(WRITTEN):
            state.accept(torch.tensor([row[place] for row in written], device=model.device), frozenset())
            logits.append(state.feed(want_logits=True))
        vectors = [torch.from_numpy(one.vector).to(model.device) for one in state.rollouts()]
    return torch.stack(logits[:WRITTEN]), vectors
