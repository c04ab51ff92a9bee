"""Field types that suites and training configs share: Name, Sha256, Dtype, Strict; imports pydantic alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Similarity = Literal["cosine", "dot"]
"""How two vectors are compared."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+@=-]*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=80)]
"""How models, tasks and runs are called: it becomes a file's name."""
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
Points = Annotated[float, Field(allow_inf_nan=False)]
"""Of a score between 0 and 100, or of a difference of two."""


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def listed(value: Any) -> Any:
    """Return a text as a list of one: where a suite may say one or several."""
    return [value] if isinstance(value, str) else value
