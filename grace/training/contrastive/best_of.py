"""The best of n: the model writes n rationales about a text, and the one that serves contrast best is kept.

InfoNCE reads the rationale that is kept, and the model learns to write it (cross-entropy): expert iteration, with the
margin as the judge, and no policy gradient (Anthony et al. 2017, arXiv 1705.08439; RAFT, arXiv 2304.06767). `select:
random` keeps any of them: what is left of the gain is not the choice's. A negative has one rationale and none of it is
learnt: what brings it farthest from the query may be nonsense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grace.config.schema import TrainConfig
from grace.objectives.losses import false_negatives
from grace.objectives.selection import margins, mean_direction
from grace.run.parts import Cost
from grace.run.session import Session
from grace.run.trainable import Trainable
from grace.run.world import World
from grace.training.contrastive.batch import TextBatch, text_names
from grace.training.contrastive.imitation import Learnt
from grace.training.contrastive.pool import drawn_number
from grace.training.contrastive.writing import Prepared, Stateless, Writing, rationale_facts
from harness.encoders.rationale.generate import Rollout

if TYPE_CHECKING:
    import torch


class BestOfInputs(Stateless):
    """Text, header, and the rationale that is kept of those that the model has just written."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Render the template; raises as `Writing`."""
        self._writing = Writing(config, trained)
        self.prefix, self.counters = self._writing.template.prefix, self._writing.counters
        self._told, self._seed = config.best_of_n, config.seed
        self._masks = config.infonce.mask_false_negatives
        self._world = World()
        self._facts: dict[str, float] = {}
        self.learnt: list[Learnt] = []
        """Of each text of the last batch: its rationale and what ended it; of a negative nothing."""

    def prepare(self, session: Session, step: int, stops: Callable[[Cost], bool]) -> Prepared:  # noqa: ARG002
        """Take the processes that share a batch; nothing is made before a step."""
        self._world = session.world
        return Prepared()

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Write n rationales about each query and positive and one about each negative, and keep one of each."""
        n, paid = self._told.n, 2 * batch.queries
        ids = self._writing.ids(batch.texts)
        first = batch.epoch * n
        counts = [n] * paid + [1] * (len(batch.texts) - paid)
        texts = [text for text, count in zip(batch.texts, counts, strict=True) for _ in range(count)]
        numbers = [first + number for count in counts for number in range(count)]
        prompted = self._writing.prompted(self._writing.trained.model)
        written = self._writing.write(prompted, texts, numbers, temperature=self._told.temperature)
        groups = [written[at * n : (at + 1) * n] for at in range(paid)]
        found = self._margins(groups, written[paid * n :], batch)
        kept = self._kept(found, batch.texts[:paid], batch.step)
        chosen = [group[number] for group, number in zip(groups, kept, strict=True)] + written[paid * n :]
        self.learnt = [_whole(one) for one in chosen[:paid]] + [Learnt()] * (len(chosen) - paid)
        lengths = [len(one.ids) for one in chosen]
        self._facts = rationale_facts(ids, lengths, sum(one.is_truncated for one in chosen)) | {
            "generated_tokens": sum(len(one.ids) for one in written),
            "margin": float(found[range(paid), kept].mean()),
            "margin_mean": float(found.mean()),
            "margin_best": float(found.amax(dim=1).mean()),
        }
        return [self._writing.row(own, one.ids) for own, one in zip(ids, chosen, strict=True)]

    def facts(self) -> dict[str, float]:
        """Return mean lengths, and the margins: of what was kept, of all, of the best."""
        return self._facts

    def _kept(self, found: torch.Tensor, texts: Sequence[str], step: int) -> list[int]:
        """Return the number of the rationale that is kept of each text."""
        if self._told.select == "best":
            best: list[int] = found.argmax(dim=1).tolist()
            return best
        return [drawn_number(self._seed, step, text, self._told.n) for text in texts]

    def _margins(self, groups: list[list[Rollout]], negatives: list[Rollout], batch: TextBatch) -> torch.Tensor:
        """Return margins of this process's queries and then positives, (2 b, n), among the texts of all processes."""
        import torch

        b, world, device = batch.queries, self._world, self._writing.trained.device
        q, p = (world.gathered(_stacked(own, device)) for own in (groups[:b], groups[b:]))
        own = _stacked([[one] for one in negatives], device) if negatives else q.new_zeros((0, 1, q.shape[2]))
        n = world.gathered(own)
        names = text_names(batch.texts, device)
        q_names, p_names, n_names = (world.gathered(one) for one in (names[:b], names[b : 2 * b], names[2 * b :]))
        documents = torch.cat([mean_direction(p), mean_direction(n)])
        ignored = false_negatives(q_names, p_names, torch.cat([p_names, n_names])) if self._masks else None
        of_queries = margins(q, documents, ignored)
        of_positives = margins(p, mean_direction(q), None if ignored is None else ignored[:, : len(q)].T)
        mine = slice(world.rank * b, (world.rank + 1) * b)
        return torch.cat([of_queries[mine], of_positives[mine]]).cpu()


def _stacked(groups: Sequence[Sequence[Rollout]], device: Any) -> torch.Tensor:
    """Return the vectors of groups of rollouts, (b, k, h) float32."""
    import torch

    return torch.from_numpy(np.stack([[one.vector for one in group] for group in groups])).to(device)


def _whole(one: Rollout) -> Learnt:
    return Learnt(len(one.ids), (*one.ids, *([] if one.end is None else [one.end])))
