"""Batches by token budget, longest first; where memory runs out the budget is halved, and the rest goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from harness.encoders.base import Counters
from harness.encoders.rope import RopeLimit, apart

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 4096
GPU_BATCH_TOKENS = 65536
NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says in plain RuntimeErrors: its allocator on a processor, and libraries of a GPU."""


def default_budget(device: str) -> int:
    """Return the padded tokens per batch that suit a device."""
    return CPU_BATCH_TOKENS if device == "cpu" else GPU_BATCH_TOKENS


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or beside a processor."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in NO_MEMORY)


def plan_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return indices into `lengths`, in batches whose padded size (count x longest) is at most `budget`.

    Longest first, so that memory runs out at once or never, and texts of like length share a batch; a text longer than
    the budget is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * max(lengths[batches[-1][0]], 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def for_each_batch(
    lengths: Sequence[int],
    budget: int,
    encode_batch: Callable[[list[int]], None],
    counters: Counters,
    *,
    rope: RopeLimit | None = None,
) -> int:
    """Call `encode_batch` with the indices of each batch; return the budget that held.

    Where memory runs out (`is_out_of_memory`) the budget is halved for what is left, and the error is raised only when
    a single text does not fit.

    Args:
        lengths: tokens of each text.
        budget: padded tokens of a batch.
        encode_batch: is given indices into `lengths`.
        counters: where halvings are counted; its `on_batch` hears of each batch.
        rope: of the model: texts on both sides of that length never share a batch.
    """
    import torch

    pending = _planned(range(len(lengths)), lengths, budget, rope)
    while pending:
        batch = pending.pop(0)
        try:
            encode_batch(batch)
            if counters.on_batch:
                counters.on_batch(len(batch))
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            # Of what was tried, not of what was allowed: a small batch would come back unchanged.
            tried = len(batch) * max(lengths[index] for index in batch)
            budget = max(min(budget, tried) // 2, 1)
            counters.out_of_memory += 1
            logger.warning("out of memory at a batch of %d texts; going on with %d tokens", len(batch), budget)
            torch.cuda.empty_cache()
            rest = [*batch, *(index for later in pending for index in later)]
            pending = _planned(rest, lengths, budget, rope)
    return budget


def _planned(members: Sequence[int], lengths: Sequence[int], budget: int, rope: RopeLimit | None) -> list[list[int]]:
    """Return `members`, indices into `lengths`, in batches."""
    own = [lengths[member] for member in members]
    found = []
    for group in apart(rope, own):
        found += [[members[group[place]] for place in one] for one in plan_batches([own[i] for i in group], budget)]
    return found
