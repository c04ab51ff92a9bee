"""From vectors to the body of an answer, as OpenAI's API has it."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grace.serve.asked import Asked
from grace.serve.refusal import Refusal

Vectors = NDArray[np.float32]


class Embedded(NamedTuple):
    """What the model made of one request's texts."""

    vectors: Vectors
    """(n, d) float32, row i for text i."""
    rationales: list[str] | None
    """(n,); None where the model writes none."""
    rationales_cut: list[bool] | None
    """(n,): whether the length limit ended the rationale; None as above."""
    cut: list[bool] | None
    """(n,): whether the text was longer than what the model read of it; None where only their number is known."""
    cut_count: int
    """Texts that were cut."""
    prompt_tokens: int
    """Tokens of the texts that the model read."""
    written_tokens: int
    """Tokens of rationales."""


def shortened(vectors: Vectors, dimensions: int | None, *, is_normalised: bool) -> Vectors:
    """Return the first `dimensions` values of each row, brought to length 1; all of them as they are for None.

    Args:
        vectors: (n, d) float32.
        dimensions: at most d.
        is_normalised: whether whole vectors are brought to length 1 too.

    Raises:
        Refusal: of some vector the first values are all zero, and have no direction.
    """
    if dimensions is None and not is_normalised:
        return vectors
    kept = vectors[:, :dimensions].astype(np.float64)
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    if not lengths.all():
        first = int(np.flatnonzero(lengths == 0)[0])
        said = f"dimensions: the first {dimensions} values of input[{first}]'s vector are all zero; ask for more"
        raise Refusal(422, said, code="zero_vector", param="dimensions")
    result: Vectors = (kept / lengths).astype(np.float32)
    return result


def body_of(asked: Asked, embedded: Embedded, *, model: str, is_normalised: bool) -> bytes:
    """Return an answer's JSON.

    Beside OpenAI's fields a text that was cut has `cut: true`, and where rationales are asked for each vector comes
    with `rationale` and `rationale_cut`.

    Args:
        asked: the request.
        embedded: of its texts.
        model: how the answer calls the model.
        is_normalised: whether vectors are brought to length 1.

    Raises:
        Refusal: as `shortened`.
    """
    vectors = shortened(embedded.vectors, asked.dimensions, is_normalised=is_normalised)
    data: list[dict[str, Any]] = []
    for index, vector in enumerate(vectors):
        one: dict[str, Any] = {"object": "embedding", "index": index, "embedding": _written(vector, asked)}
        if asked.with_rationales and embedded.rationales is not None and embedded.rationales_cut is not None:
            one |= {"rationale": embedded.rationales[index], "rationale_cut": embedded.rationales_cut[index]}
        if embedded.cut is not None and embedded.cut[index]:
            one["cut"] = True
        data.append(one)
    total = embedded.prompt_tokens + embedded.written_tokens
    usage = {"prompt_tokens": embedded.prompt_tokens, "total_tokens": total}
    return as_json({"object": "list", "data": data, "model": model, "usage": usage})


def as_json(value: Any) -> bytes:
    """Return JSON in ASCII: a message may repeat a lone surrogate, which has no UTF-8."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _written(vector: Vectors, asked: Asked) -> str | list[float]:
    """Return a vector as numbers that read back as the same float32, or as little-endian float32 in base64."""
    if asked.form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers
