"""Does a model do what our forward passes take for granted? A dozen tokens say so, before anything is scored.

The truth is the model's own forward pass over one row alone: no padding, no mask, its own attention. Every path that
reads several rows at once, or a part of a row, is held against it on a few rows of unlike length. Two passes over the
same numbers differ by rounding alone; what counts is the distance at a position, relative to the length of its state
(or of its row of logits): a state far larger than the others, as beginning-of-text has one, hides nothing.

In float32 a path may be off by `TOLERANCE`. In half precision rounding is larger than some faults are, so the bound
there is a coarse one (30 layers of bfloat16 come to some 0.02), and what it cannot see is refused by what a layer asks
of the attention, or by the kind of layer, in any dtype. And at single positions rounding decides: which token becomes
the sink of attention, say. There a model's own pass differs from itself by more than a whole state, as soon as a row is
longer and other kernels run. Those positions are found by moving the embedded tokens by a few roundings and asking the
model's own pass again: a path may be off as far there as the model is from itself, and at no other position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.encoders.batching import is_out_of_memory
from harness.encoders.reading import Reading, read
from harness.encoders.rope import rope_limit
from harness.errors import EnvironmentGapError, HarnessError

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.1}
"""Dtype -> how far a state may be off, relative to its own length."""
LENGTHS = (12, 5, 9)
"""Tokens of the rows: unlike, the longest first."""
WINDOWS = (
    "sliding_window",
    "sliding_window_size",
    "attention_window_size",
    "attention_chunk_size",
    "local_attention",
    "window_size",
    "index_topk",
)
"""How configurations call the length beyond which a layer sees less than all."""
SAME_SHAPE = 1 / 5
"""Share of the bound by which two passes of one shape may be apart."""
MOVES = (1, 4) * 4
"""By how many roundings an embedding is moved at most, each time that the model's own pass is asked again."""
SLACK = 2
"""A path may be off by so many times what the model's own pass moves."""
CHANGED = 4
"""Tokens at a row's end that are turned round, to see whether those before them notice."""
MOST_WORK = 5e10
"""Weights times tokens of a row that is made longer than a window; beyond it the window is taken on trust."""
TEXT = "The quick brown fox jumps over the lazy dog; 12 grey cats watch it from a wall, and then the rain begins."


class Comparison(NamedTuple):
    """How far a path is from the model's own pass, at the position where it is farthest beyond what it may be."""

    distance: float
    """Relative."""
    tolerance: float
    """What rounding may come to there."""

    @property
    def holds(self) -> bool:
        """Whether they are the same but for rounding; NaN is not."""
        return self.distance <= self.tolerance


def family(model: Any) -> str:
    """Return how messages name a model: its class and the type in its configuration."""
    return f"{type(model).__name__} (model_type {model.config.model_type!r})"


def check_causal(model: Any, tokenizer: Any, *, wants: str) -> None:
    """Refuse a model whose states depend on what stands to their right.

    Args:
        model: a transformers model in eval mode, adapters active.
        tokenizer: of the model.
        wants: what needs a causal model, as messages call it: "`grace train`".

    Raises:
        EnvironmentGapError: it is not causal, or gives other states each time.
    """
    if not is_causal(model, tokenizer):
        raise EnvironmentGapError([not_causal(model, wants)])


def not_causal(model: Any, wants: str) -> str:
    """Return the message for a model that sees both ways."""
    return (
        f"{family(model)} is not causal: the states of a token change with what stands to its right, and {wants} "
        f"needs a model that sees what stands before alone. As an encoder such a model can be evaluated: "
        f"`encoder: mean-pool` (with an attention mask) or `encoder: sentence-transformers`"
    )


def is_causal(model: Any, tokenizer: Any) -> bool:
    """Return whether states of a text's beginning stay what they are when its end is another.

    Raises:
        EnvironmentGapError: the same ids give other states each time.
    """
    row = rows_of(model, tokenizer, (longest_row(model),))[0]
    kept = len(row) - CHANGED
    states, again = states_of(model, row), states_of(model, row)
    if not compared(model, [again], [states]).holds:
        raise EnvironmentGapError([f"{family(model)} gives other states each time for the same text: it has no score"])

    def own() -> list[Tensor]:
        return [states_of(model, row)[:kept]]

    # As long as before, so that the same kernels run and rounding hardly differs: half precision can be told apart too.
    reversed_end = states_of(model, [*row[:kept], *reversed(row[kept:])])[:kept]
    changed = compared(model, [reversed_end], [states[:kept]], own=own, share=SAME_SHAPE)
    cut = compared(model, [states_of(model, row[:kept])], [states[:kept]], own=own)
    return changed.holds and cut.holds


def reading_of(model: Any, tokenizer: Any, is_causal: bool) -> Reading:
    """Return how batches may be read so that a row's states are those of the row alone.

    Args:
        model: a transformers model in eval mode, adapters active.
        tokenizer: of the model.
        is_causal: from `is_causal`; a causal model needs no mask where padding stands on the right.
    """
    rows = rows_of(model, tokenizer, row_lengths(model))
    truth = [states_of(model, row) for row in rows]
    ways: list[Reading] = ["padded", "masked"] if is_causal else ["masked"]
    for way in ways:
        if _gives(model, rows, way, truth):
            return way
    return "alone"


def _gives(model: Any, rows: Sequence[Sequence[int]], reading: Reading, truth: Sequence[Tensor]) -> bool:
    """Return whether a way to read gives the truth; one that cannot be walked (a mask that is not taken) does not."""
    try:
        found = padded_states(model, rows, reading=reading)
        return compared(model, found, truth, own=lambda: [states_of(model, row) for row in rows]).holds
    except Exception as error:  # noqa: BLE001 - whatever a family's code says to a mask or to padding
        fault_of(error)
        return False


def fault_of(error: Exception) -> str:
    """Return in one line what a family's code raised at a pass that it was not written for.

    Raises:
        Exception: `error` itself where memory ran out, which says nothing of the family: another way of reading, or a
            refusal by name, would hide it.
    """
    if is_out_of_memory(error):
        raise error
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'without a word')}"


def padded_states(model: Any, rows: Sequence[Sequence[int]], *, reading: Reading) -> list[Tensor]:
    """Return the last states of each row, (t, h), of rows read at once (`reading.read`)."""
    import torch

    with torch.inference_mode():
        states = read(model, rows, reading)
    return [states[index, : len(row)] for index, row in enumerate(rows)]


def states_of(model: Any, ids: Sequence[int]) -> Tensor:
    """Return the last states of one row by the model's own plain forward pass, (t, h)."""
    return padded_states(model, [ids], reading="padded")[0]


def compared(
    model: Any,
    found: Sequence[Tensor],
    truth: Sequence[Tensor],
    *,
    own: Callable[[], Sequence[Tensor]] | None = None,
    share: float = 1.0,
) -> Comparison:
    """Return how far `found` is from `truth`, and what rounding may come to.

    Args:
        model: whose dtype says how it rounds.
        found: a tensor (..., h) each; a vector is one position.
        truth: the same, by the model's own pass.
        own: makes `truth` anew. Asked in half precision alone, and only where `found` is off by more than the
            tolerance, with embeddings moved by a few roundings; None: every position is held to the tolerance.
        share: of the bound that holds here.
    """
    import torch

    dtype = next(model.parameters()).dtype
    tolerance = TOLERANCE[str(dtype).removeprefix("torch.")]
    apart = _distances(found, truth)
    bounds = torch.full_like(apart, tolerance)
    if own is not None and dtype != torch.float32 and not bool((apart <= bounds * share).all()):
        for seed, roundings in enumerate(MOVES):
            with _moved(model, seed, roundings * torch.finfo(dtype).eps):
                moved = _distances(own(), truth)
            bounds = torch.maximum(bounds, SLACK * moved.nan_to_num(0.0, posinf=0.0))
    bounds = bounds * share
    worst = int((apart / bounds).argmax())
    return Comparison(float(apart[worst]), float(bounds[worst]))


def _distances(found: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Return how far each position is from its truth, relative to the truth's length, (positions,); NaN is infinite."""
    import torch

    each = []
    for one, other in zip(found, truth, strict=True):
        size = other.double().norm(dim=-1).clamp_min(torch.finfo(torch.float32).tiny)
        each.append(((one.double() - other.double()).norm(dim=-1) / size).flatten().cpu())
    return torch.cat(each).nan_to_num(float("inf"), posinf=float("inf"))


@contextmanager
def _moved(model: Any, seed: int, most: float) -> Iterator[None]:
    """Move every number that the embedding layer gives by a random part of itself, at most `most`, in this block."""
    import torch

    draws = torch.Generator().manual_seed(seed)

    def move(_module: Any, _inputs: Any, vectors: Tensor) -> Tensor:
        parts = torch.rand(vectors.shape, generator=draws).to(vectors.device)
        return (vectors.float() * (1 + most * (2 * parts - 1))).to(vectors.dtype)

    hook = model.get_input_embeddings().register_forward_hook(move)
    try:
        yield
    finally:
        hook.remove()


def row_lengths(model: Any, *, beside: int = 0) -> tuple[int, ...]:
    """Return how many tokens each row of a probe of unlike rows has, the longest first; `longest_row`."""
    longest = longest_row(model, beside=beside)
    return (longest, *(min(length, longest) for length in LENGTHS[1:]))


def longest_row(model: Any, *, beside: int = 0) -> int:
    """Return how many tokens a row of the probe has: a dozen, or more where the model's window is within reach.

    Never so many that the model turns its positions another way: such rows are kept apart, whatever a probe says.

    Args:
        model: whose configuration names its window.
        beside: tokens that stand in front or behind in the same row.
    """
    config = model.config.get_text_config()
    windows = [size for name in WINDOWS if isinstance(size := getattr(config, name, None), int) and size > 0]
    said = getattr(config, "max_position_embeddings", None) or 0
    rope = rope_limit(model)
    context = min(said if said > 0 else 1 << 30, rope.tokens if rope else 1 << 30)
    weights = sum(one.numel() for one in model.parameters())
    rows = [size + max(size // 2, 4) for size in windows]
    longest = max([LENGTHS[0], *(row for row in rows if row + beside <= context and row * weights <= MOST_WORK)])
    return longest if rope is None else max(min(longest, rope.tokens - beside), CHANGED + 1)


def rows_of(model: Any, tokenizer: Any, lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    """Return ordinary ids in rows of `lengths`, no two beginning alike; what the tokenizer makes of a sentence."""
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    special = set(tokenizer.all_special_ids)
    ids = [one for one in tokenizer(TEXT, add_special_tokens=False)["input_ids"] if one not in special]
    if len(set(ids)) < max(lengths):  # a tokenizer that knows none of the words
        ids = [one for one in range(vocabulary) if one not in special]
    ids = [one for one in ids if one < vocabulary]
    if not ids:
        known = len(tokenizer)
        raise HarnessError(
            f"the tokenizer knows {known} tokens and the model has embeddings for {vocabulary}, none of them of an "
            "ordinary token: one of the two is another model's; put the model's own tokenizer beside its weights"
        )
    return [[ids[(7 * start + place) % len(ids)] for place in range(length)] for start, length in enumerate(lengths)]
