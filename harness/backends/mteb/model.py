"""An encoder as mteb wants one."""

from __future__ import annotations

from typing import Any

from harness.backends.interface import Job
from harness.backends.mteb.bits import cosines, paired_cosines
from harness.encoders.base import Vectors
from harness.encoders.checked import CheckedEncoder
from harness.encoders.sized import cut, quantised
from harness.suite.fields import Similarity
from harness.tasks.catalogue import catalogue
from harness.tasks.prompts import roles_of, selector
from harness.tasks.types import NO_ROLE, Role


class MtebModel:
    """A `CheckedEncoder` as mteb wants one (`mteb/models/models_protocols.py`, EncoderProtocol)."""

    def __init__(self, job: Job, encoder: CheckedEncoder) -> None:
        """Wrap `encoder` for the cell of `job`.

        Raises:
            EncoderOutputError: its model has no way to encode texts of a role that the task has.
        """
        from mteb.models import ModelMeta

        self._cell = job.cell
        self._encoder = encoder
        for role in roles_of(job.cell.task.type):
            encoder.check_role(role)
        self.prompts_used: dict[str, str | None] = {}
        """Role -> the prefix that was used."""
        # Without this property mteb.evaluate throws the model away and fails with a misleading message.
        self.mteb_model_meta = ModelMeta.create_empty(
            overwrites={"name": f"harness/{job.cell.model}", "revision": job.fingerprint[:16]}
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,  # noqa: ARG002 - part of mteb's protocol
        hf_subset: str,  # noqa: ARG002
        prompt_type: Any = None,
        **_: Any,
    ) -> Vectors:
        """Encode a DataLoader's texts, in its order.

        Args:
            inputs: the DataLoader.
            task_metadata: of mteb's task.
            hf_split, hf_subset: where the texts are from; no text is encoded otherwise for it.
            prompt_type: mteb's query or document; None where the task has no roles.

        Returns:
            (n, d) float32; of a size in int8 or bits, those numbers.
        """
        texts = list(inputs.dataset["text"])  # not batch by batch: lengths are sorted over all of them
        vectors = self.vectors(texts, task_metadata.name, prompt_type.value if prompt_type else None)
        return vectors if self._cell.size is None else quantised(vectors, self._cell.size)

    def vectors(self, texts: list[str], task_name: str, role: Role | None) -> Vectors:
        """Return (n, d) float32: `texts` encoded with the prompt that texts of `role` have in a task (or a part).

        They are cut to the cell's size, and not yet int8 or bits: so the search wants them.
        """
        whole = self._encoder.encode(texts, role=role, prompt=self.prompt(task_name, role))
        return whole if self._cell.size is None else cut(whole, self._cell.size, self._encoder.similarity)

    @property
    def is_of_bits(self) -> bool:
        """Whether mteb is given vectors of +1 and -1 alone."""
        return self._cell.size is not None and self._cell.size.precision == "binary"

    @property
    def similarity_name(self) -> Similarity:
        """How the encoder's vectors are compared."""
        return self._encoder.similarity

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the (n, m) similarities by the encoder's own measure."""
        from mteb.similarity_functions import cos_sim, dot_score

        if self.is_of_bits and self._encoder.similarity == "cosine":
            return cosines(embeddings1, embeddings2)
        return (cos_sim if self._encoder.similarity == "cosine" else dot_score)(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the (n,) similarities of rows with like index."""
        from mteb.similarity_functions import pairwise_cos_sim, pairwise_dot_score

        if self.is_of_bits and self._encoder.similarity == "cosine":
            return paired_cosines(embeddings1, embeddings2)
        pairwise = pairwise_cos_sim if self._encoder.similarity == "cosine" else pairwise_dot_score
        return pairwise(embeddings1, embeddings2)

    def prompt(self, task_name: str, role: Role | None) -> str | None:
        """Return the suite's prompt for a role; where it sets none the model's own, for the task or for the role."""
        prompt = self._cell.prompts.get(role or NO_ROLE)
        if prompt is None and not self._suite_sets_prompts:
            own = self._encoder.own_prompts
            info = catalogue().tasks.get(task_name, self._cell.task.info)
            chosen = selector(dict(own), info.name, info.type, role)
            prompt = own[chosen] if chosen else self._encoder.own_prompt(role)
        self.prompts_used[role or NO_ROLE] = prompt or None
        return prompt or self._encoder.no_prompt

    @property
    def _suite_sets_prompts(self) -> bool:
        return any(prompt is not None for prompt in self._cell.prompts.values())
