"""Held against the model's own forward pass before the first step: causality, and every pass that a run will make.

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
from harness.encoders.probe import Comparison, check_causal, compared, family, fault_of, rows_of, states_of
from harness.encoders.rationale.prefix_attention import LAYERS
from harness.encoders.rationale.probe import shared_prefix_fault
from harness.encoders.rope import rope_limit
from harness.errors import EnvironmentGapError, HarnessError
from harness.suite.model_entries import Forward

if TYPE_CHECKING:
    import torch


PREFIX, LENGTHS = 5, (2, 11, 6, 3)
"""Tokens in front of every row, and of the rows."""
LONGEST_WINDOW = 1024
"""Windows up to this are probed by a row that is longer; the pass of a longer one would no longer be cheap."""
WINDOWS = ("sliding_window", "attention_chunk_size", "sliding_window_size", "attention_window_size")
"""How configurations call the length beyond which a layer sees less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run the rows of a step."""

    compare: Callable[[Any, Any], Comparison]
    """From a model and its tokenizer: how far its own forward pass is."""
    option: str
    """What a configuration says to take it."""
    does: str
    """What it does that a family may not bear."""
    needs_attention: bool
    """Whether rows stand in one sequence, so that layers must be attention and nothing else."""

    def fault(self, model: Any, tokenizer: Any) -> str | None:
        """Return why a model cannot be run so, in words; None: it can."""
        kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ()) - LAYERS
        if self.needs_attention and kinds:
            return f"it has layers of the kind {', '.join(sorted(kinds))}"
        try:
            found = self.compare(model, tokenizer)
        except EnvironmentGapError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever a family's code says to a pass that it was not written for
            return fault_of(error)
        if found.holds:
            return None
        return f"the results are {found.distance:.2g} off the model's own forward pass ({found.tolerance:.0e} at most)"


def check(config: TrainConfig, trained: Trainable) -> Forward:
    """Refuse a base that training would take for another model than it is.

    Args:
        config: which forward pass trains.
        trained: before the first step, in eval mode: the probe looks at the base.

    Returns:
        How its rationales are written: behind a shared prefix, or (only where the configuration says plain) by itself.

    Raises:
        EnvironmentGapError: it is not causal, or its layers need what a pass does not give them; with the way out.
    """
    model, tokenizer = trained.model, trained.tokenizer
    try:
        check_causal(model, tokenizer, wants="`grace train`")
    except HarnessError:
        raise
    except Exception as error:  # whatever a family's code says to a pass that it was not written for
        raise EnvironmentGapError([f"{family(model)} cannot be run over plain token ids: {fault_of(error)}"]) from error
    way, others = _ways(config)
    if (why := way.fault(model, tokenizer)) is not None:
        outs = [one.option for one in others if one.fault(model, tokenizer) is None]
        out = f"say `{'` or `'.join(outs)}`" if outs else "no other forward pass fits it either: give another base"
        raise EnvironmentGapError(
            [f"{family(model)}: `{way.option}` {way.does}, and this model does not bear it: {why}; {out}"]
        )
    if not config.uses_rationales:
        return "shared-prefix"
    why = shared_prefix_fault(model, tokenizer)
    if why is None:
        return "shared-prefix"
    if way in (PADDED, LEFT):
        return "plain"
    plain = next(one.option for one in others)
    raise EnvironmentGapError(
        [f"{family(model)}: its rationales cannot be written behind a shared prefix: {why}; say `{plain}` (slower)"]
    )


def compare_packed(model: Any, tokenizer: Any) -> Comparison:
    """Compare the packed states of the contrastive objectives, and the logits of them, with the model's own."""
    return _compare_rows(model, tokenizer, forward, packed_attention_on(model))


def compare_padded(model: Any, tokenizer: Any) -> Comparison:
    """Compare those of rows that are padded on the right: `forward: plain` of the contrastive objectives."""
    return _compare_rows(model, tokenizer, padded_forward, nullcontext())


def compare_staged(model: Any, tokenizer: Any) -> Comparison:
    """Compare log-probabilities and pooled states of a packed tree with the model's own."""
    import torch

    prefix, rows = _tokens(model, tokenizer)
    first, long, *others = rows
    tree_rows = [
        Row(prompt=tuple(first), rationale=tuple(long)),
        Row(prompt=tuple(first), rationale=tuple(others[0]), end=first[0]),
        *(Row(prompt=(*first, *long[:3]), rationale=tuple(own)) for own in others),
    ]
    before = model.config._attn_implementation

    def own() -> list[torch.Tensor]:
        alone = [_alone(model, prefix, one) for one in tree_rows]
        return [torch.cat([one for one, _ in alone]), torch.stack([one for _, one in alone])]

    truth = own()
    with torch.no_grad():
        try:
            use_tree_attention(model)
            found = tree_forward(model, pack(prefix, tree_rows, _device(model)), 1.0)
        finally:
            model.set_attn_implementation(before)
    lengths = [len(one.rationale) + (one.end is not None) for one in tree_rows]
    log_probs = torch.cat([one[:length] for one, length in zip(found.log_probs, lengths, strict=True)])
    return compared(model, [log_probs, found.pooled], truth, own=own)


def compare_left(model: Any, tokenizer: Any) -> Comparison:
    """Compare log-probabilities of rows padded on the left, as trl takes them, with the model's own."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    prefix, rows = _tokens(model, tokenizer)
    rows = [[*prefix, *row] for row in rows]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=_device(model))
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=_device(model))

    def own() -> list[torch.Tensor]:
        return [_log_probs(_logits(model, row)[:-1], row[1:]) for row in rows]

    truth = own()
    add_fused_lm_head(model)
    try:
        with torch.no_grad():
            labels = ids.masked_fill(mask == 0, -100)
            found = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True).log_probs
    finally:
        del model.forward  # the instance's, over that of its class
    kept = [one[longest - len(row) :] for one, row in zip(found, rows, strict=True)]
    return compared(model, kept, truth, own=own)


PACKED = Way(
    compare=compare_packed, option="forward: packed", does="runs texts end to end in one sequence", needs_attention=True
)
PADDED = Way(compare=compare_padded, option="forward: plain", does="pads texts on the right", needs_attention=False)
STAGED = Way(
    compare=compare_staged, option="grace.forward: staged", does="runs a batch as one tree", needs_attention=True
)
LEFT = Way(compare=compare_left, option="grace.forward: plain", does="pads rows on the left", needs_attention=False)


def _ways(config: TrainConfig) -> tuple[Way, list[Way]]:
    """Return the way of a configuration, and those that it could have taken instead."""
    if config.objective == "grace":
        return (STAGED, [LEFT]) if config.grace.forward == "staged" else (LEFT, [STAGED])
    return (PACKED, [PADDED]) if config.forward == "packed" else (PADDED, [PACKED])


def _compare_rows(
    model: Any, tokenizer: Any, run: Callable[[Any, Packing], torch.Tensor], attention: AbstractContextManager[None]
) -> Comparison:
    """Compare states and logits of rows that `run` takes at once with those of one row at a time."""
    import torch

    prefix, rows = _tokens(model, tokenizer)

    def own() -> list[torch.Tensor]:
        states = [states_of(model, [*prefix, *row])[len(prefix) :] for row in rows]
        return [torch.cat(states), torch.cat([_logits(model, [*prefix, *row])[len(prefix) :] for row in rows])]

    truth = own()
    with torch.no_grad(), attention:
        states = run(body_of(model), Packing(prefix, rows, _device(model)))
    with torch.no_grad():
        logits = logits_of(model, states)
    return compared(model, [states, logits], truth, own=own)


def _tokens(model: Any, tokenizer: Any) -> tuple[list[int], list[list[int]]]:
    """Return a prefix and rows of ids, one of them longer than the model's window, where that is short enough."""
    config = model.config.get_text_config()
    windows = [size for name in WINDOWS if isinstance(size := getattr(config, name, None), int) and size > 0]
    rope = rope_limit(model)
    room = min(getattr(config, "max_position_embeddings", None) or LONGEST_WINDOW, LONGEST_WINDOW)
    room = min(room, rope.tokens) if rope else room  # longer rows are not trained on
    beyond = [size + 3 for size in windows if size + 3 + sum(LENGTHS) <= room]
    most = max(room - PREFIX - LENGTHS[0] - 1, 3) if rope else max(LENGTHS)
    prefix, *rows = rows_of(model, tokenizer, (PREFIX, *(min(length, most) for length in LENGTHS), *beyond))
    return prefix, rows


def _logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return the logits of one row by the model itself, (t, vocabulary)."""
    import torch

    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids], device=_device(model)), use_cache=False).logits[0]
    return logits


def _log_probs(logits: torch.Tensor, targets: Sequence[int]) -> torch.Tensor:
    """Return the log-probability of each target, (t,) float32."""
    return logits.float().log_softmax(dim=1)[range(len(targets)), list(targets)]


def _alone(model: Any, prefix: Sequence[int], row: Row) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of a row's rationale and end, (c,), and its mean state, (h,), by the model itself."""
    ids = [*prefix, *row.prompt, *row.rationale]
    targets = [*row.rationale, *([] if row.end is None else [row.end])]
    first = len(prefix) + len(row.prompt) - 1
    found = _log_probs(_logits(model, ids)[first : first + len(targets)], targets)
    return found, states_of(model, ids)[len(prefix) :].float().mean(dim=0)


def _device(model: Any) -> Any:
    return next(model.parameters()).device
