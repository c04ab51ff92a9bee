"""Held against the model's own forward pass before the first step: causality, and the forward pass that trains.

Rows of unlike length are run the way training runs them and one at a time by the model itself; what differs is a family
whose layers do something that our pass does not, and is refused by name. A few hundred tokens: it costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grace.config.schema import TrainConfig
from grace.run.trainable import Trainable
from grace.training.contrastive.packed import Packing, forward, packed_attention_on
from grace.training.contrastive.padded import padded_forward
from grace.training.policy.tree import Row, pack
from grace.training.policy.tree_attention import use_tree_attention
from grace.training.policy.tree_forward import tree_forward
from harness.encoders.head import body_of, logits_of
from harness.errors import EnvironmentGapError
from harness.suite.fields import Dtype

if TYPE_CHECKING:
    import torch


TOLERANCE: dict[Dtype, float] = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 5e-3}
"""Largest difference, as a share of the largest value (of 1, where that is smaller)."""
PREFIX, LENGTHS = 5, (2, 11, 6, 3)
"""Tokens in front of every row, and of the rows."""
LONGEST_WINDOW = 1024
"""Windows up to this are probed by a row that is longer; the pass of a longer one would no longer be cheap."""
WINDOWS = ("sliding_window", "attention_chunk_size", "sliding_window_size", "attention_window_size")
"""How configurations call the length beyond which a layer sees less."""
FAULTS = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What the code of a family raises that was not written for our pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run the rows of a step."""

    difference: Callable[[Any], float]
    """From a model: how far its own forward pass is, see `TOLERANCE`."""
    option: str
    """What a configuration says to take it."""
    does: str
    """What it does that a family may not bear."""


def check(config: TrainConfig, trained: Trainable) -> None:
    """Refuse a base that training would take for another model than it is.

    Args:
        config: which forward pass trains.
        trained: before the first step, in eval mode: the probe looks at the base.

    Raises:
        EnvironmentGapError: it is not causal, or its layers need what the pass does not give them; with the way out.
    """
    name = f"{config.model} ({family(trained.model)})"
    limit = TOLERANCE[trained.dtype]
    try:
        ahead = difference_ahead(trained.model)
    except FAULTS as error:
        raise EnvironmentGapError([f"{name}: cannot be run over plain token ids: {_worded(error)}"]) from error
    if not ahead <= limit:
        raise EnvironmentGapError(
            [f"{name}: is not a causal language model: a token's states change with the tokens after it, by "
             f"{ahead:.2g} of their size. grace trains causal models only: give another base (is_causal: false or "
             "bidirectional attention in a config.json make a decoder see ahead), or train it with another tool"]
        )  # fmt: skip
    way, others = _ways(config)
    fault = _fault(way, trained.model, limit)
    if fault is None:
        return
    outs = [one.option for one in others if _fault(one, trained.model, limit) is None]
    out = f"set {' or '.join(outs)}" if outs else "no other forward pass of grace knows it either: give another base"
    raise EnvironmentGapError([f"{name}: {way.option} {way.does}, and this model does not bear it: {fault}; {out}"])


def family(model: Any) -> str:
    """Return the name of a model's family, as transformers has it, and its class."""
    return f"{model.config.model_type}, {type(model).__name__}"


def difference_ahead(model: Any) -> float:
    """Return how far states of a row's beginning move with the tokens after it; 0 in a causal model."""
    prefix, rows = _tokens(model)
    row = [*prefix, *max(rows[:4], key=len)]
    other = [*row[:6], *reversed(row[6:]), *prefix]
    one, two = (_states(model, ids)[:6] for ids in (row, other))
    return _largest([two], [one])


def difference_packed(model: Any) -> float:
    """Return how far the packed states of the contrastive objectives, and our logits of them, are from the model's."""
    return _rows_off(model, forward, packed_attention_on(model))


def difference_padded(model: Any) -> float:
    """The same, of rows that are padded on the right: `forward: plain` of the contrastive objectives."""
    return _rows_off(model, padded_forward, nullcontext())


def difference_staged(model: Any) -> float:
    """Return how far log-probabilities and pooled states of a packed tree are from the model's."""
    import torch

    prefix, rows = _tokens(model)
    first, long, *others = rows
    tree_rows = [
        Row(prompt=tuple(first), rationale=tuple(long)),
        Row(prompt=tuple(first), rationale=tuple(others[0]), end=first[0]),
        *(Row(prompt=(*first, *long[:3]), rationale=tuple(own)) for own in others),
    ]
    before = model.config._attn_implementation
    with torch.no_grad():
        alone = [_alone(model, prefix, one) for one in tree_rows]
        try:
            use_tree_attention(model)
            found = tree_forward(model, pack(prefix, tree_rows, _device(model)), 1.0)
        finally:
            model.set_attn_implementation(before)
    width = found.log_probs.shape[1]
    log_probs = torch.stack([torch.nn.functional.pad(one, (0, width - len(one))) for one, _ in alone])
    return _largest([found.log_probs, found.pooled], [log_probs, torch.stack([one for _, one in alone])])


def difference_left(model: Any) -> float:
    """Return how far log-probabilities of rows padded on the left, as trl takes them, are from the model's."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    prefix, rows = _tokens(model)
    rows = [[*prefix, *row] for row in rows]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=_device(model))
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=_device(model))
    own = [_next_log_probs(_logits(model, row), row) for row in rows]
    add_fused_lm_head(model)
    try:
        with torch.no_grad():
            labels = ids.masked_fill(mask == 0, -100)
            found = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True).log_probs
    finally:
        del model.forward  # the instance's, over that of its class
    kept = [one[longest - len(row) :] for one, row in zip(found, rows, strict=True)]
    return _largest([torch.cat(kept)], [torch.cat(own)])


PACKED = Way(difference=difference_packed, option="forward: packed", does="runs texts end to end in one sequence")
PADDED = Way(difference=difference_padded, option="forward: plain", does="pads texts on the right")
STAGED = Way(difference=difference_staged, option="grace.forward: staged", does="runs a batch as one tree of tokens")
LEFT = Way(difference=difference_left, option="grace.forward: plain", does="pads rows on the left")


def _ways(config: TrainConfig) -> tuple[Way, list[Way]]:
    """Return the way of a configuration, and those that it could have taken instead."""
    if config.objective == "grace":
        return (STAGED, [LEFT]) if config.grace.forward == "staged" else (LEFT, [STAGED])
    return (PACKED, [PADDED]) if config.forward == "packed" else (PADDED, [PACKED])


def _fault(way: Way, model: Any, limit: float) -> str | None:
    """Return why a model cannot be run so, in words; None: it can."""
    try:
        found = way.difference(model)
    except EnvironmentGapError as error:
        return str(error)
    except FAULTS as error:
        return _worded(error)
    if found <= limit:
        return None
    return f"the results are {found:.2g} off the model's own forward pass ({limit:.0e} at most)"


def _worded(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a word of the cause'}"


def _rows_off(
    model: Any, run: Callable[[Any, Packing], torch.Tensor], attention: AbstractContextManager[None]
) -> float:
    """Return how far states and logits of rows that `run` takes at once are from those of one row at a time."""
    import torch

    prefix, rows = _tokens(model)
    own = [_states(model, [*prefix, *row])[len(prefix) :] for row in rows]
    own_logits = [_logits(model, [*prefix, *row])[len(prefix) :] for row in rows]
    with torch.no_grad(), attention:
        states = run(body_of(model), Packing(prefix, rows, _device(model)))
    with torch.no_grad():
        logits = logits_of(model, states)
    return _largest([states, logits], [torch.cat(own), torch.cat(own_logits)])


def _tokens(model: Any) -> tuple[list[int], list[list[int]]]:
    """Return a prefix and rows of ids, one of them longer than the model's window, where that is short enough."""
    import torch

    config = model.config.get_text_config()
    windows = [size for name in WINDOWS if isinstance(size := getattr(config, name, None), int) and size > 0]
    beyond = [size + 3 for size in windows if size <= LONGEST_WINDOW]
    lengths = [*LENGTHS, *beyond]
    low, high = config.vocab_size // 8, config.vocab_size // 2  # clear of most special tokens
    ids = torch.randint(low, high, (PREFIX + sum(lengths),), generator=torch.Generator().manual_seed(0)).tolist()
    rows, start = [], PREFIX
    for length in lengths:
        rows.append(ids[start : start + length])
        start += length
    return ids[:PREFIX], rows


def _states(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return the last hidden states of one row by the model itself, (t, h)."""
    import torch

    with torch.no_grad():
        found = body_of(model)(input_ids=torch.tensor([ids], device=_device(model)), use_cache=False)
    states: torch.Tensor = found.last_hidden_state[0]
    return states


def _logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return the logits of one row by the model itself, (t, vocabulary)."""
    import torch

    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids], device=_device(model)), use_cache=False).logits[0]
    return logits


def _next_log_probs(logits: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Return the log-probability of each id but the first, (t - 1,) float32."""
    return logits[:-1].float().log_softmax(dim=1)[range(len(ids) - 1), ids[1:]]


def _alone(model: Any, prefix: Sequence[int], row: Row) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of a row's rationale and end, (c,), and its mean state, (h,), by the model itself."""
    ids = [*prefix, *row.prompt, *row.rationale]
    targets = [*row.rationale, *([] if row.end is None else [row.end])]
    first = len(prefix) + len(row.prompt) - 1
    logits = _logits(model, ids)[first : first + len(targets)].float()
    log_probs = logits.log_softmax(dim=1)[range(len(targets)), targets]
    return log_probs, _states(model, ids)[len(prefix) :].float().mean(dim=0)


def _largest(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return the largest difference of two lists of tensors, each as a share of the largest expected value; or NaN."""
    shares = [
        float((one.float() - other.float()).abs().max()) / max(1.0, float(other.float().abs().max()))
        for one, other in zip(found, expected, strict=True)
    ]
    return max(shares, key=lambda share: (share != share, share))  # NaN above all


def _device(model: Any) -> Any:
    return next(model.parameters()).device
