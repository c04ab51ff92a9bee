"""What the policy trainer is told beside trl's own arguments, and in which order it visits the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch  # noqa: TID253 - this module is imported when a policy is trained, and never before

from grace.data.batches import batch_of
from grace.data.table import Row as Triplet
from grace.objectives import rewards
from grace.objectives.policy_gradients import PolicyGradient
from grace.training.policy.rollouts import Roles, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTask:
    """What the trainer is told beside trl's own arguments."""

    triplets: Sequence[Triplet]
    """All rows of the data."""
    roles: Roles
    """Who writes how many rationales a row."""
    writer: Writer
    """What it takes to write them."""
    settings: rewards.RewardSettings
    """What they are worth."""
    gradient: PolicyGradient
    """How what they are worth becomes a loss."""
    temperature: float
    """Of the rollouts."""
    anchor_temperature: float
    """Of the single rationales of texts that are not paid; 0 is greedy."""
    infonce_weight: float
    """Of the InfoNCE term of the loss; 0: there is none."""
    infonce_temperature: float
    """Of that term."""
    is_staged: bool
    """Whether the loss runs over a packed tree, not over trl's padded rows."""
    seed: int
    """Of what is written."""
    data_seed: int
    """Of the order of the rows."""
    triplets_per_generation: int
    """Over all processes."""
    steps_per_generation: int
    """Optimiser steps from one generation to the next."""
    say: Callable[[str], None]
    """Where a person reads it; the main process's alone."""


class Generations(torch.utils.data.Sampler[int]):
    """Rows in the order that trl reads them: a generation's triplets, each a block of equal rows, repeated."""

    def __init__(self, task: PolicyTask, *, repeats: int, count: int, first: int) -> None:
        """Lay out the generations.

        Args:
            task: triplets, how many a generation, and the seed of their order.
            repeats: micro-batches that come of each generation.
            count: generations in all.
            first: the one to begin with.
        """
        self._task, self._repeats, self._count, self._first = task, repeats, count, first

    def __len__(self) -> int:
        """Of all generations, those before `first` too: trl takes it for the length of an epoch."""
        return self._count * self._repeats * self._task.triplets_per_generation * self._task.roles.block

    def __iter__(self) -> Iterator[int]:
        """Yield indices of triplets."""
        task = self._task
        for generation in range(self._first, self._count):
            batch = batch_of(
                generation, rows=len(task.triplets), size=task.triplets_per_generation, seed=task.data_seed
            )
            for _ in range(self._repeats):
                for index in batch.indices:
                    yield from [int(index)] * task.roles.block
