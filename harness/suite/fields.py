"""Field types that suites and training configs share: Name, Sha256, Dtype, Strict; imports pydantic alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Similarity = Literal["cosine", "dot"]
"""How two vectors are compared."""
SearchPrecision = Literal["float32", "int8", "binary"]
"""As what vectors are compared where documents are ranked."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+@=-]*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=80)]
"""How models, tasks and runs are called: it becomes a file's name."""
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
Suffix = Annotated[str | None, BeforeValidator(lambda value: None if value == "" else value)]
"""Text that is read behind every text that is embedded, and takes part in the mean; None, or empty: nothing."""
Points = Annotated[float, Field(allow_inf_nan=False)]
"""Of a score between 0 and 100, or of a difference of two."""


class InsideError(ValueError):
    """What a check of a whole mapping finds wrong with a value inside it, whose place and spelling are to be shown."""

    def __init__(self, message: str, at: tuple[str, ...], value: object) -> None:
        """Keep the value and its place below the mapping."""
        super().__init__(message)
        self.at = at
        self.value = value


class Strict(BaseModel):
    """Frozen; a key it does not know is an error, and so is true in the place of a number or 1 in that of true."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _no_other_scalar(cls, value: Any, info: ValidationInfo) -> Any:
        """Return `value`; raises where pydantic would make a number of a truth value or the other way round."""
        kinds = _scalars(cls.model_fields[str(info.field_name)].annotation)
        is_scalar = isinstance(value, int | float | str) and not isinstance(value, bool)
        if kinds - {type(None)} == {bool} and is_scalar:
            raise PydanticKnownError("bool_type")
        if kinds & {int, float} and not kinds & {bool, object} and _holds_truth(value):
            raise PydanticKnownError("int_type" if int in kinds else "float_type")
        return value


def _scalars(annotation: Any) -> set[type]:
    """Return which kinds of scalars a field may hold, inside lists and mappings too; `object` where it is anything."""
    if annotation is Any:
        return {object}
    if get_origin(annotation) is Literal:
        return {type(one) for one in get_args(annotation)}
    below = [one for one in get_args(annotation) if not isinstance(one, str)]
    if below:
        return set().union(*(_scalars(one) for one in below))
    return {annotation} if isinstance(annotation, type) else set()


def _holds_truth(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(_holds_truth, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bool)


def listed(value: Any) -> Any:
    """Return a text as a list of one: where a suite may say one or several."""
    return [value] if isinstance(value, str) else value


def one_or_more(value: Any) -> Any:
    """Return a text or a number as a list of one: where a suite may say one or several."""
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value
