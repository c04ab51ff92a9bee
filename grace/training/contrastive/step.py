"""One step of InfoNCE or SimCSE: gradients of the whole batch's loss, over all processes, in as many parts as fit.

The embeddings of all rows are leaves between two graphs: the loss gives their gradients, and these flow back through
each part of the encoder by itself (GradCache, arXiv 2101.06983). With `accumulation: 1` the parts keep their graphs and
nothing is computed twice; else they are run again. Either way the gradient is that of the batch in one piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from grace.data.table import Row
from grace.objectives.losses import kl_to_base
from grace.run.session import Session
from grace.training.contrastive.batch import TextBatch, texts_of
from grace.training.contrastive.best_of import BestOfInputs
from grace.training.contrastive.criterion import Criterion, Distillation, InfoNCE
from grace.training.contrastive.imitation import imitate
from grace.training.contrastive.packed import Packing, forward, packed_attention_on
from grace.training.contrastive.padded import padded_forward
from grace.training.contrastive.teacher import TaughtInputs
from grace.training.contrastive.writing import Inputs
from harness.encoders.batching import default_budget
from harness.encoders.head import body_of, logits_of
from harness.encoders.pooling import mean_pool
from harness.errors import InputError

if TYPE_CHECKING:
    import torch


SUMMED = {"generated_tokens"}
OVER_QUERIES = {"margin", "margin_mean", "margin_best"}
"""Of what inputs say of a process's texts: sums, and means over its queries; all else are means over its texts."""
HEAD_TOKENS = 256
"""Tokens whose logits are in memory at a time, the base's and the trained model's: some six copies of them."""


class Part(NamedTuple):
    """Rows that go through the encoder together."""

    places: list[int]
    """Which texts of the batch they are."""
    packing: Packing
    """Their tokens."""
    seed: int
    """Of dropout, so that a second run of the part drops the same."""


class Encoded(NamedTuple):
    """What the encoder made of a part."""

    states: torch.Tensor
    """(t, h): of the rows' own tokens."""
    vectors: torch.Tensor
    """(rows, h) float32: their means."""


class ContrastiveStep:
    """Computes gradients; the optimiser is the loop's."""

    def __init__(self, session: Session, inputs: Inputs) -> None:
        """Prepare the model: dropout layers for simcse, none else.

        Raises:
            InputError: simcse, and the model has no attention dropout.
        """
        self._session, self._inputs = session, inputs
        config = session.config
        self._budget = config.batch_tokens or default_budget(session.trained.device)
        self._is_packed = config.forward == "packed"
        self._criterion: Criterion = InfoNCE(session)
        if isinstance(inputs, TaughtInputs):
            self._criterion = Distillation(session, inputs.taught)
        if self._is_simcse:
            _set_attention_dropout(session.trained.model, config.simcse.attention_dropout)

    @property
    def _is_simcse(self) -> bool:
        return self._session.config.objective == "simcse"

    def gradients(self, rows: Sequence[Row], *, step: int, epoch: int) -> dict[str, float]:
        """Add the gradients of one step, summed over processes, to the trained weights.

        Args:
            rows: of this process.
            step, epoch: 0-based; they seed dropout and rationales.

        Returns:
            Metrics of the global batch: loss, info_nce, kl (nats a token), accuracy, tokens, ...
        """
        config, world, trained = self._session.config, self._session.world, self._session.trained
        batch = texts_of(rows, config, step=step, epoch=epoch)
        ids = self._inputs.of_batch(batch)
        parts = self._parts(ids, step)
        own = sum(map(len, ids))
        prefixes = sum(one.packing.prefix * self._prefixes(len(one.places)) for one in parts)
        tokens, processed = world.total([own, own + prefixes], trained.device)
        imitated = self._tokens_to_learn()
        is_cached = config.accumulation > 1
        kl = cross_entropy = 0.0
        with self._attention_on(trained.model), self._dropout(), trained.embedding():
            encoded = [self._encode(part, with_graph=not is_cached) for part in parts]
            leaves = _in_order(parts, encoded)
            metrics = self._criterion(leaves, batch)
            for part, first in zip(parts, encoded, strict=True):
                one = self._encode(part, with_graph=True) if is_cached else first
                outputs, gradients = [one.vectors], [leaves.grad[part.places]]  # type: ignore[index]
                if config.retain_weight:
                    gradient, nats = self._retain(one.states, part, config.retain_weight / tokens)
                    kl += nats
                    outputs.append(one.states)
                    gradients.append(gradient)
                if imitated:
                    gradient, nats = self._imitate(one.states, part, config.best_of_n.cross_entropy_weight / imitated)
                    cross_entropy += nats
                    outputs.append(one.states)
                    gradients.append(gradient)
                _backward(outputs, gradients)
        world.sum_gradients(list(trained.parameters().values()))
        metrics |= {"tokens": processed, **self._facts_of_all(batch)}
        if config.retain_weight:
            metrics["kl"] = world.total([kl], trained.device)[0] / tokens
            metrics["loss"] += config.retain_weight * metrics["kl"]
        if imitated:
            metrics["cross_entropy"] = world.total([cross_entropy], trained.device)[0] / imitated
            metrics["loss"] += config.best_of_n.cross_entropy_weight * metrics["cross_entropy"]
        return metrics

    def _facts_of_all(self, batch: TextBatch) -> dict[str, float]:
        """Return what the inputs say of the batch of all processes, as `SUMMED` and `OVER_QUERIES` have it."""
        world, device, facts = self._session.world, self._session.trained.device, self._inputs.facts()
        over = [1 if name in SUMMED else _count(name, batch) for name in facts]
        sums = world.total([value * count for value, count in zip(facts.values(), over, strict=True)], device)
        counts = world.total(over, device)
        found = zip(facts, sums, counts, strict=True)
        return {name: total if name in SUMMED else total / count for name, total, count in found}

    def _parts(self, ids: list[list[int]], step: int) -> list[Part]:
        """Split the rows, longest first, into parts of like length and at most the budget's tokens."""
        config, world = self._session.config, self._session.world
        extra = 0 if self._is_packed else len(self._inputs.prefix)
        costs = [len(one) + extra for one in ids]
        share = -(-sum(costs) // config.accumulation)
        budget = max(min(self._budget, share), 1)
        groups: list[list[int]] = []
        used = budget
        for place in sorted(range(len(ids)), key=lambda index: (-costs[index], index)):
            if used + costs[place] > budget:
                groups.append([])
                used = 0
            groups[-1].append(place)
            used += costs[place]
        device = self._session.trained.device
        return [
            Part(
                places,
                Packing(self._inputs.prefix, [ids[place] for place in places], device),
                _seed(config.seed, step, world.rank, number),
            )
            for number, places in enumerate(groups)
        ]

    def _encode(self, part: Part, *, with_graph: bool) -> Encoded:
        import torch

        trained = self._session.trained
        if self._is_simcse:
            torch.manual_seed(part.seed)
        with torch.set_grad_enabled(with_graph):
            states = self._states(trained.model, part)
            lengths = part.packing.lengths
            return Encoded(states, mean_pool(part.packing.padded(states), torch.zeros_like(lengths), lengths))

    def _attention_on(self, model: Any) -> AbstractContextManager[None]:
        return packed_attention_on(model) if self._is_packed else nullcontext()

    def _states(self, model: Any, part: Part) -> torch.Tensor:
        return (forward if self._is_packed else padded_forward)(body_of(model), part.packing)

    def _prefixes(self, rows: int) -> int:
        """Return how often the prefix of a part is computed."""
        return 1 if self._is_packed else rows

    def _retain(self, states: torch.Tensor, part: Part, weight: float) -> tuple[torch.Tensor, float]:
        """Return the gradient of weight x KL with respect to `states` (t, h), and the KL itself, summed over tokens.

        A trained head gets its gradient here; only some tokens' logits are in memory at a time.
        """
        import torch

        trained = self._session.trained
        leaf = states.detach().requires_grad_()
        nats = 0.0
        with torch.no_grad(), self._base() as base:
            base_states = self._states(base, part)
        for own, reference in zip(_chunks(leaf), _chunks(base_states), strict=True):
            with torch.no_grad(), trained.base() as base:  # off for the head too: an adapter may sit on it
                base_logits = logits_of(base, reference)
            kl = kl_to_base(logits_of(trained.model, own), base_logits)
            (kl * weight).backward()  # type: ignore[no-untyped-call]
            nats += kl.item()
        assert leaf.grad is not None  # noqa: S101 - every token has a logit
        return leaf.grad, nats

    def _tokens_to_learn(self) -> float:
        """Return how many tokens of rationales the model learns to write in this step, of all processes."""
        if not isinstance(self._inputs, BestOfInputs) or not self._session.config.best_of_n.cross_entropy_weight:
            return 0.0
        own = sum(len(one.ids) for one in self._inputs.learnt)
        return self._session.world.total([own], self._session.trained.device)[0]

    def _imitate(self, states: torch.Tensor, part: Part, weight: float) -> tuple[torch.Tensor, float]:
        """Return the gradient of weight x cross-entropy with respect to `states` (t, h), and the cross-entropy."""
        assert isinstance(self._inputs, BestOfInputs)  # noqa: S101 - asked by whoever has tokens to learn
        learnt = [self._inputs.learnt[place] for place in part.places]
        model = self._session.trained.model
        return imitate(model, states, part.packing, learnt, weight=weight, chunk=HEAD_TOKENS)

    @contextmanager
    def _base(self) -> Iterator[Any]:
        """Give the base, with the attention of this run and without dropout: it is the reference."""
        with self._session.trained.base() as base, self._attention_on(base):
            is_training = base.training
            base.eval()
            try:
                yield base
            finally:
                base.train(is_training)

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """Switch dropout on for simcse, its random numbers apart from everybody else's."""
        import torch

        if not self._is_simcse:
            yield
            return
        model = self._session.trained.model
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            model.train()
            try:
                yield
            finally:
                model.eval()


def _count(name: str, batch: TextBatch) -> int:
    """Return over how many of a process's queries or texts a mean is."""
    return batch.queries if name in OVER_QUERIES else len(batch.texts)


def _in_order(parts: Sequence[Part], encoded: Sequence[Encoded]) -> torch.Tensor:
    """Return the vectors of all parts in the texts' order, (n, h), leaves that ask for gradients."""
    import torch

    places = torch.tensor([place for part in parts for place in part.places])
    vectors = torch.cat([one.vectors for one in encoded]).detach()
    return vectors[places.argsort().to(vectors.device)].requires_grad_()


def _backward(outputs: list[torch.Tensor], gradients: list[torch.Tensor]) -> None:
    import torch

    torch.autograd.backward(outputs, gradients)


def _chunks(states: torch.Tensor) -> list[torch.Tensor]:
    return [states[start : start + HEAD_TOKENS] for start in range(0, len(states), HEAD_TOKENS)]


def _set_attention_dropout(model: Any, rate: float) -> None:
    layers = [module for module in model.modules() if "attention_dropout" in vars(module)]
    if rate and not layers:
        raise InputError(
            [f"simcse.attention_dropout: {type(model).__name__} has none; set it to 0 and use adapter.dropout"]
        )
    for layer in layers:
        layer.attention_dropout = rate


def _seed(*numbers: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7], "big")
