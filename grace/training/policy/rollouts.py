"""Rollouts of a batch of triplets: who is written about, how often, how hot, and with which random numbers.

The rationales themselves come from `harness.encoders.rationale.generate`, the code that evaluates the candidate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from grace.config.schema import Credit
from grace.data.table import Row as Triplet
from grace.objectives.rewards import Role, rewarded_roles
from harness.encoders.batching import default_budget, plan_batches
from harness.encoders.rationale.generate import Rollout, Sampling, forward_on, generate, with_prompt
from harness.encoders.rationale.template import Template, tokenise
from harness.suite.model_entries import Forward

if TYPE_CHECKING:
    from torch import Tensor


ROLLOUT_BUDGET = 4
"""Times as many padded tokens a batch as an encoder's: rows that decode have one token each a step."""


class Draw(NamedTuple):
    """One rationale that is to be written."""

    text: str
    """What it is about."""
    number: int
    """Rollout index of the text: part of its random numbers."""
    temperature: float
    """0 is greedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Whose rationales a triplet has: `k` of each role that is paid, one of each that is only looked at."""

    paid: tuple[Role, ...]
    """Those whose rollouts are rewarded and trained."""
    anchors: tuple[Role, ...]
    """The others."""
    k: int
    """Rollouts of each paid text: the group."""
    has_greedy: bool = False
    """Whether each paid text has a greedy rationale beside them, as a baseline."""

    @property
    def block(self) -> int:
        """Paid rollouts of a triplet; in a batch they stand together, role by role."""
        return len(self.paid) * self.k


def roles_of(credit: Credit, *, has_negative: bool, k: int, has_greedy: bool = False) -> Roles:
    """Return the roles of supervised (query, positive, perhaps negative) or unsupervised (anchor, positive) rows.

    Args:
        credit: who is paid.
        has_negative: whether the rows have one.
        k: rollouts of each paid text.
        has_greedy: whether each has a greedy one too.
    """
    paid = rewarded_roles(credit, has_negative=has_negative)
    everyone: tuple[Role, ...] = ("query", "positive", "negative") if has_negative else ("query", "positive")
    anchors = tuple(role for role in everyone if role not in paid)
    return Roles(paid=paid, anchors=anchors, k=k, has_greedy=has_greedy)


def text_of(triplet: Triplet, role: Role, generation: int) -> str:
    """Return a triplet's text; of several negatives each generation takes the next. Unsupervised: always the text."""
    if role == "negative":
        return triplet.negatives[generation % len(triplet.negatives)]
    if role == "positive" and triplet.positive is not None:
        return triplet.positive
    return triplet.query


def draws(
    triplets: Sequence[Triplet], roles: Roles, *, generation: int, temperature: float, anchor_temperature: float
) -> tuple[list[Draw], list[Draw]]:
    """Return what is written: the paid rollouts, triplet by triplet and role by role, and then the anchors.

    Roles of one triplet have different rollout indices: in unsupervised data they have the same text.

    Args:
        triplets: of this process.
        roles: who is paid, and how often.
        generation: index of the batch of rollouts; of several negatives each takes the next.
        temperature: of paid rollouts.
        anchor_temperature: of the others' single rationales.
    """
    paid, anchors = [], []
    for triplet in triplets:
        for index, role in enumerate(roles.paid):
            text = text_of(triplet, role, generation)
            paid += [Draw(text, index * roles.k + number, temperature) for number in range(roles.k)]
        for index, role in enumerate(roles.anchors):
            number = len(roles.paid) * roles.k + index
            anchors.append(Draw(text_of(triplet, role, generation), number, anchor_temperature))
    return paid, anchors


def greedy_draws(triplets: Sequence[Triplet], roles: Roles, *, generation: int) -> list[Draw]:
    """Return the greedy rationales that are written beside the others, triplet by triplet and role by role.

    Args:
        triplets: of this process.
        roles: who is paid, and whether there are any.
        generation: as in `draws`.
    """
    if not roles.has_greedy:
        return []
    return [Draw(text_of(triplet, role, generation), 0, 0.0) for triplet in triplets for role in roles.paid]


def generation_seed(seed: int, generation: int) -> int:
    """Return the seed of a generation's random numbers: a function of the run's seed and the generation's index."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{generation}".encode()).digest()[:8], "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """What it takes to write rationales, but the model."""

    tokenizer: Any
    template: Template
    """The prompt around every text."""
    ends: frozenset[int]
    """Ids that end a rationale."""
    max_text_tokens: int
    """Longer texts are cut."""
    max_new_tokens: int
    """Longer rationales are cut."""
    batch_tokens: int | None = None
    """Padded tokens of an encoder's batch; None takes what suits the device."""
    forward: Forward = "shared-prefix"
    """How the model reads while it writes."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's ids, cut to the limit."""
        return [one[: self.max_text_tokens] for one in tokenise(self.tokenizer, texts)]

    def write(self, causal: Any, wanted: Sequence[Draw], seed: int) -> list[Rollout]:
        """Write the rationales of `wanted`, in order.

        Args:
            causal: the model as it is now, adapters active; put into eval mode and back.
            wanted: texts, rollout indices, temperatures.
            seed: from `generation_seed`.
        """
        ids = self.ids([one.text for one in wanted])
        device = str(next(causal.parameters()).device.type)
        budget = (self.batch_tokens or default_budget(device)) * ROLLOUT_BUDGET
        lengths = [len(one) + len(self.template.suffix) + self.max_new_tokens for one in ids]
        made: dict[int, Rollout] = {}
        was_training = causal.training
        causal.eval()
        try:
            with forward_on(causal, self.forward):
                prompted = with_prompt(causal, self.template, self.ends, forward=self.forward)
                for batch in _batches(lengths, [one.temperature == 0 for one in wanted], budget):
                    rows = [(wanted[index].text, ids[index]) for index in batch]
                    heat = [wanted[index].temperature for index in batch]
                    settings = Sampling(max_new_tokens=self.max_new_tokens, temperature=heat[0], seed=seed)
                    written = generate(
                        prompted,
                        rows,
                        settings,
                        rollouts=[wanted[index].number for index in batch],
                        temperatures=heat if heat[0] > 0 else None,
                    )
                    made.update(zip(batch, written, strict=True))
        finally:
            causal.train(was_training)
        return [made[index] for index in range(len(wanted))]


def _batches(lengths: Sequence[int], is_greedy: Sequence[bool], budget: int) -> list[list[int]]:
    """Return indices in batches within the budget, greedy ones by themselves."""
    found = []
    for greedy in (False, True):
        own = [index for index, one in enumerate(is_greedy) if one == greedy]
        found += [[own[place] for place in batch] for batch in plan_batches([lengths[one] for one in own], budget)]
    return found


def stacked(rollouts: Sequence[Rollout], device: Any) -> Tensor:
    """Return the vectors of rollouts, (n, h) float32."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([one.vector for one in rollouts])).to(device)
