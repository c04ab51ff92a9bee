"""What the contrastive objectives are told, a section each; and the numbers that configurations are made of."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.suite.fields import Strict, Suffix

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0)]


class InfoNCE(Strict):
    """The contrastive loss."""

    temperature: Positive = 0.05
    """Cosines are divided by it."""
    hard_negatives: bool = True
    """Whether a row's own negatives join the in-batch ones; False: they are not read."""
    mask_false_negatives: bool = True
    """Whether a document of another row is left out where its text is this row's positive, or that row's query."""


class SimCSE(Strict):
    """Two passes over the same text that differ by dropout alone are each other's positives (arXiv 2104.08821)."""

    temperature: Positive = 0.05
    attention_dropout: Probability = 0.1
    """On attention weights. Language models have no other dropout layers; `adapter.dropout` adds LoRA's."""


class RationaleData(Strict):
    """Rationales of infonce-rationale: from a pool that is written beforehand, or one more each time a text is met.

    Or `fixed`: one text in the place of each, and nothing is written.
    """

    fixed: Suffix = None
    """Text that is read behind every text in the place of a rationale, in training and by the candidate."""
    temperature: NotNegative = 1.0
    pool: Count | None = None
    """Rationales a text that are written at once and kept in the run's directory; each step draws one of them. None: a
    text gets a new one each epoch, written in the step."""
    writer: Literal["base", "self"] = "base"
    """Of the rationales: the base, the adapter off; or the model as it is in training."""
    refresh_steps: Count | None = None
    """Steps after which a pool is written anew, about the texts of the steps that follow: by the model as it is then;
    or others by the base."""


def _as_reference(value: Any) -> Any:
    """Return an entry that YAML read as a mapping as the text in braces that it was written as."""
    return json.dumps(value) if isinstance(value, dict) else value


class Distil(Strict):
    """A student that reads the text alone learns the vectors that a teacher makes with a rationale."""

    teacher: Annotated[
        str | None, BeforeValidator(_as_reference, json_schema_input_type=str | dict[str, Any] | None)
    ] = None
    """A candidate directory, SUITE:MODEL, or an entry in braces, as `grace explain` takes it; None: the base with its
    own rationales."""
    max_new_tokens: Count | None = None
    """Of the base's rationales, where it is the teacher."""
    temperature: NotNegative = 0.0
    """Of the base's rationales, where it is the teacher; 0 decodes greedily."""
    cosine_weight: NotNegative = 1.0
    """Of 1 - cosine to the teacher's vector."""
    similarity_weight: NotNegative = 1.0
    """Of the squared difference between the cosines of two texts, the student's and the teacher's."""
    infonce_weight: NotNegative = 0.0
    """Of InfoNCE on the student's vectors, where the data are pairs or triplets."""


class BestOfN(Strict):
    """The model writes n rationales about each query and positive; one of them is learnt, and read by InfoNCE."""

    n: Annotated[int, Field(ge=2)] = 4
    select: Literal["best", "random"] = "best"
    """best: with the largest contrastive margin; random: the control, any of them."""
    temperature: Positive = 1.0
    """Of the rationales."""
    cross_entropy_weight: NotNegative = 1.0
    """Of the cross-entropy of a token of the rationale that is kept."""
