"""Batches by token budget, and what happens when a GPU has too little memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.encoders.base import Counters
from harness.encoders.batching import (
    CPU_BATCH_TOKENS,
    GPU_BATCH_TOKENS,
    default_budget,
    for_each_batch,
    is_out_of_memory,
    plan_batches,
)

lengths_and_budget = st.tuples(st.lists(st.integers(0, 40), max_size=40), st.integers(1, 100))


@given(lengths_and_budget)
def test_each_index_is_in_exactly_one_batch(case: tuple[list[int], int]) -> None:
    """The batches are a partition of the indices, none of them empty."""
    lengths, budget = case
    batches = plan_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)


@given(lengths_and_budget)
def test_the_padded_size_stays_within_the_budget(case: tuple[list[int], int]) -> None:
    """Count times longest is at most the budget, but for a single text that is longer than the budget."""
    lengths, budget = case
    for batch in plan_batches(lengths, budget):
        size = len(batch) * max(lengths[index] for index in batch)
        assert size <= budget or len(batch) == 1


@given(lengths_and_budget)
def test_the_longest_come_first(case: tuple[list[int], int]) -> None:
    """Lengths fall from batch to batch and within each; equal lengths keep their order."""
    lengths, budget = case
    order = [index for batch in plan_batches(lengths, budget) for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


def test_batches_by_hand() -> None:
    """With a budget of 10: the text of 12 alone, 5 and 4 together, then three of 3 and 2."""
    assert plan_batches([3, 12, 5, 2, 3, 4], 10) == [[1], [2, 5], [0, 4, 3]]


def test_empty_texts_do_not_make_an_endless_batch() -> None:
    """A text of length 0 still counts as one token."""
    assert plan_batches([0, 0, 0], 2) == [[0, 1], [2]]


def test_the_cpu_budget_is_the_smaller_one() -> None:
    """A CPU gets its own default, every other device the larger one."""
    assert default_budget("cpu") == CPU_BATCH_TOKENS
    assert default_budget("cuda:1") == GPU_BATCH_TOKENS
    assert CPU_BATCH_TOKENS < GPU_BATCH_TOKENS


class SmallGpu:
    """Takes at most `room` padded tokens at once."""

    def __init__(self, lengths: list[int], room: int) -> None:
        self.lengths, self.room = lengths, room
        self.done: list[int] = []
        self.refused: list[list[int]] = []

    def __call__(self, batch: list[int]) -> None:
        """Run a batch or run out of memory."""
        if len(batch) * max(self.lengths[index] for index in batch) > self.room:
            self.refused.append(batch)
            raise torch.OutOfMemoryError
        self.done += batch


def test_out_of_memory_halves_the_budget_and_goes_on() -> None:
    """Two halvings bring 80 tokens to 20; every text is encoded once, both refusals are counted, 20 is returned."""
    lengths = [10, 10, 10, 10, 10, 5, 5, 5, 5]
    gpu, counters = SmallGpu(lengths, 25), Counters()
    assert for_each_batch(lengths, 80, gpu, counters) == 20
    assert sorted(gpu.done) == list(range(9))
    assert counters.out_of_memory == 2
    assert [len(batch) for batch in gpu.refused] == [8, 4]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 1600000000 bytes. Error code 12 (Cannot allocate memory)"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError("Unable to allocate 80.0 GiB for an array"),
    ],
)
def test_memory_runs_out_on_a_processor_too(error: Exception) -> None:
    """Where torch says so in a bare RuntimeError, and numpy in another."""
    done: list[int] = []

    def encode(batch: list[int]) -> None:
        if len(batch) > 2:
            raise error
        done.extend(batch)

    counters = Counters()
    assert for_each_batch([4] * 8, 32, encode, counters) == 8
    assert (sorted(done), counters.out_of_memory) == (list(range(8)), 2)


def test_torch_still_says_it_in_these_words() -> None:
    """What this machine's own allocator raises at a tensor that fits nowhere."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46, dtype=torch.float64)
    assert is_out_of_memory(caught.value)


def test_texts_done_before_the_memory_ran_out_are_not_repeated() -> None:
    """Only what is left is planned anew."""
    lengths = [8, 8, 1, 1, 1, 1]
    seen: list[list[int]] = []

    def encode(batch: list[int]) -> None:
        seen.append(batch)
        if len(batch) == 4:
            raise torch.OutOfMemoryError

    assert for_each_batch(lengths, 8, encode, Counters()) == 2
    assert seen == [[0], [1], [2, 3, 4, 5], [2, 3], [4, 5]]


def test_a_text_that_does_not_fit_alone_raises() -> None:
    """When a single text runs out of memory there is nothing to halve: the error comes through."""
    lengths = [50, 5]
    with pytest.raises(torch.OutOfMemoryError):
        for_each_batch(lengths, 100, SmallGpu(lengths, 25), Counters())


def test_another_error_comes_through_untouched() -> None:
    """Only running out of memory is answered with smaller batches."""

    def broken(batch: list[int]) -> None:
        raise RuntimeError("no kernel")

    counters = Counters()
    with pytest.raises(RuntimeError, match="no kernel"):
        for_each_batch([1, 1], 10, broken, counters)
    assert counters.out_of_memory == 0


def test_no_texts_need_no_batch() -> None:
    """Nothing is called, the budget stays."""
    assert for_each_batch([], 7, SmallGpu([], 0), Counters()) == 7
