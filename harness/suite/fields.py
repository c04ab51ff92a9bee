"""Field types that suites and training configs share: Name, Sha256, Dtype, Strict."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Similarity = Literal["cosine", "dot"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+@=-]*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=80)]
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
Points = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value
