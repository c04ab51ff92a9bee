"""The loss of a step's vectors, over all processes; its gradient goes into the vectors, where the step takes it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from grace.objectives.distillation import cosine_loss, similarity_loss
from grace.objectives.losses import cosines, false_negatives, info_nce
from grace.run.session import Session
from grace.training.contrastive.batch import TextBatch, text_names

if TYPE_CHECKING:
    import torch


class Criterion(Protocol):
    """A loss of vectors."""

    def __call__(self, vectors: torch.Tensor, batch: TextBatch) -> dict[str, float]:
        """Give `vectors` (n, h), leaves, the gradient of the global batch's loss; return its metrics, `loss` first."""


class InfoNCE:
    """InfoNCE of queries and documents; of simcse, of two passes over the same texts."""

    def __init__(self, session: Session) -> None:
        """Take temperature and which documents are no negatives."""
        config = session.config
        self._world = session.world
        is_simcse = config.objective == "simcse"
        self._temperature = config.simcse.temperature if is_simcse else config.infonce.temperature
        self._masks = is_simcse or config.infonce.mask_false_negatives

    def __call__(self, vectors: torch.Tensor, batch: TextBatch) -> dict[str, float]:
        """Return loss and info_nce, which are one, and how often the positive is the nearest."""
        loss, accuracy = self.loss(vectors, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.item(), "info_nce": loss.item(), "accuracy": accuracy}

    def loss(self, vectors: torch.Tensor, batch: TextBatch) -> tuple[torch.Tensor, float]:
        """Return the loss of the global batch, and how often the positive is the nearest."""
        import torch

        names = text_names(batch.texts, vectors.device)
        ends = ((0, batch.queries), (batch.queries, 2 * batch.queries), (2 * batch.queries, None))
        q, p, n = (self._world.gathered(vectors[start:end]) for start, end in ends)
        q_names, p_names, n_names = (self._world.gathered(names[start:end]) for start, end in ends)
        documents = torch.cat([p, n])
        ignored = None
        if self._masks:
            ignored = false_negatives(q_names, p_names, torch.cat([p_names, n_names]))
        loss = info_nce(q, documents, temperature=self._temperature, ignored=ignored)
        with torch.no_grad():
            scores = cosines(q, documents)
            nearest = scores.masked_fill(ignored, -2.0).argmax(dim=1) if ignored is not None else scores.argmax(dim=1)
            accuracy = (nearest == torch.arange(len(q), device=nearest.device)).float().mean()
        return loss, accuracy.item()


class Distillation:
    """Cosine and similarity loss to a teacher's vectors, and InfoNCE beside them where it has a weight."""

    def __init__(self, session: Session, teacher: Callable[[Sequence[str]], torch.Tensor]) -> None:
        """Take the weights.

        Args:
            session: of the run.
            teacher: texts -> its vectors, (n, e).
        """
        self._told, self._world = session.config.distil, session.world
        self._teacher = teacher
        self._info_nce = InfoNCE(session)

    def __call__(self, vectors: torch.Tensor, batch: TextBatch) -> dict[str, float]:
        """Return the loss and each of its terms that has a weight."""
        told, metrics = self._told, {}
        student = self._world.gathered(vectors)
        teacher = self._world.gathered(self._teacher(batch.texts).to(vectors.device))
        loss = student.sum() * 0.0
        for name, weight, term in (
            ("cosine_loss", told.cosine_weight, cosine_loss),
            ("similarity_loss", told.similarity_weight, similarity_loss),
        ):
            if weight:
                own = term(student, teacher)
                metrics[name] = own.item()
                loss = loss + weight * own
        if told.infonce_weight:
            own, metrics["accuracy"] = self._info_nce.loss(vectors, batch)
            metrics["info_nce"] = own.item()
            loss = loss + told.infonce_weight * own
        loss.backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.item(), **metrics}
