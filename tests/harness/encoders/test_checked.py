"""The central check: no encoder output is scored unchecked, and no text is encoded twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from cells_support import HashEncoder

from harness.encoders.checked import CheckedEncoder
from harness.errors import EncoderOutputError

TEXTS = ["first text", "second text", "third text"]


class Spoilt(HashEncoder):
    """Passes its output through `spoil`."""

    def __init__(self, spoil: Callable[[np.ndarray], Any]) -> None:
        super().__init__(4)
        self.spoil = spoil

    def encode(self, texts: Sequence[str], *, role: str | None, prompt: str | None) -> Any:
        """Return whatever `spoil` makes of the vectors."""
        return self.spoil(super().encode(texts, role=role, prompt=prompt))


def put(value: float, *places: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that writes `value` into `places`."""

    def spoil(vectors: np.ndarray) -> np.ndarray:
        for place in places:
            vectors[place] = value
        return vectors

    return spoil


def zero_row(row: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that makes one row zero."""

    def spoil(vectors: np.ndarray) -> np.ndarray:
        vectors[row] = 0.0
        return vectors

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v.tolist(), "returned list, expected a numpy array"),
        (lambda v: None, "returned NoneType, expected a numpy array"),
        (lambda v: v.astype(np.float64), "returned dtype float64, expected float32"),
        (lambda v: v.astype(np.float16), "returned dtype float16, expected float32"),
        (lambda v: v[:, 0], r"returned shape \(3,\), expected \(3, d\)"),
        (lambda v: v[None], r"returned shape \(1, 3, 4\), expected \(3, d\)"),
        (lambda v: v[:2], r"returned shape \(2, 4\), expected \(3, d\)"),
        (lambda v: np.vstack([v, v[:1]]), r"returned shape \(4, 4\), expected \(3, d\)"),
        (lambda v: v[:, :0], r"returned shape \(3, 0\), expected \(3, d\)"),
    ],
)
def test_a_wrong_type_dtype_or_shape_is_refused(spoil: Callable[[np.ndarray], Any], message: str) -> None:
    """Whatever is no (n, d) float32 array is refused, with what it is and what was expected, and the model's name."""
    encoder = CheckedEncoder(Spoilt(spoil), name="mine")
    with pytest.raises(EncoderOutputError, match=message) as caught:
        encoder.encode(TEXTS)
    assert "'mine'" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (put(np.nan, (1, 2)), "NaN or infinity for 1 of 3 texts, the first 'second text'"),
        (put(np.inf, (1, 0), (2, 0)), "NaN or infinity for 2 of 3 texts, the first 'second text'"),
        (put(-np.inf, (2, 3)), "NaN or infinity for 1 of 3 texts, the first 'third text'"),
        (zero_row(0), "a zero vector for 1 of 3 texts, the first 'first text'"),
        (lambda v: v * np.float32(0), "a zero vector for 3 of 3 texts, the first 'first text'"),
        (lambda v: v * np.float32(np.nan), "NaN or infinity for 3 of 3 texts, the first 'first text'"),
    ],
)
def test_a_bad_value_is_refused_and_names_the_first_text(spoil: Callable[[np.ndarray], Any], message: str) -> None:
    """NaN, infinity and zero rows are refused, with how many texts they hit and the first of these."""
    with pytest.raises(EncoderOutputError, match=message):
        CheckedEncoder(Spoilt(spoil), name="mine").encode(TEXTS)


def test_a_bad_value_names_the_text_and_not_its_place_among_repeats() -> None:
    """With repeats before it the text named is still the one whose vector is bad, and long texts are cut."""
    long = "x" * 200
    with pytest.raises(EncoderOutputError, match=f"for 1 of 2 texts, the first '{'x' * 80}'$"):
        CheckedEncoder(Spoilt(put(np.nan, (1, 0))), name="mine").encode(["a", "a", "a", long])


def test_a_row_with_some_zeros_passes() -> None:
    """Zeros in a vector are fine as long as one value is not zero."""
    vectors = CheckedEncoder(Spoilt(put(0.0, (0, 0), (0, 1), (0, 2))), name="mine").encode(TEXTS)
    assert vectors[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert vectors[0, 3] != 0.0


def test_a_changed_dimension_is_refused() -> None:
    """The second call must return as many dimensions as the first."""
    inner = HashEncoder(4)
    encoder = CheckedEncoder(inner, name="mine")
    encoder.encode(TEXTS)
    inner.dimension = 5
    with pytest.raises(EncoderOutputError, match="returned 5 dimensions, before 4"):
        encoder.encode(["other"])


def test_repeated_texts_are_encoded_once_and_the_order_is_restored() -> None:
    """The encoder sees each distinct text once, and every place gets the vector of its own text."""
    inner = HashEncoder()
    texts = ["b", "a", "b", "c", "a", "b"]
    vectors = CheckedEncoder(inner, name="mine").encode(texts)
    assert inner.calls == [(["b", "a", "c"], None, None)]
    single = {text: HashEncoder().encode([text], role=None, prompt=None)[0] for text in "abc"}
    assert vectors.shape == (6, 24)
    for text, vector in zip(texts, vectors, strict=True):
        assert vector.tolist() == single[text].tolist()


def test_role_and_prompt_reach_the_encoder() -> None:
    """What the backend resolved is passed on as it is."""
    inner = HashEncoder()
    CheckedEncoder(inner, name="mine").encode(["a"], role="query", prompt="find: ")
    assert inner.calls == [(["a"], "query", "find: ")]


def test_an_empty_list_gives_no_rows_and_fixes_no_dimension() -> None:
    """No texts give a (0, d) array, whatever d is, and texts can follow."""

    class Unknowing(HashEncoder):
        def encode(self, texts: Sequence[str], *, role: str | None, prompt: str | None) -> Any:
            """Return (0, 1) for no texts, as an encoder that knows no dimension yet."""
            if not texts:
                return np.zeros((0, 1), dtype=np.float32)
            return super().encode(texts, role=role, prompt=prompt)

    encoder = CheckedEncoder(Unknowing(), name="mine")
    assert encoder.encode([]).shape[0] == 0
    assert encoder.encode(TEXTS).shape == (3, 24)
    assert encoder.encode([]).shape[0] == 0


def test_progress_and_counters_say_texts_and_distinct_texts() -> None:
    """Progress counts every text; the counters texts and distinct texts a call, and start again once taken."""
    encoder = CheckedEncoder(HashEncoder(), name="mine")
    seen: list[int] = []
    encoder.progress = seen.append
    encoder.encode(["a", "b", "a"])
    encoder.encode(["a"])
    taken = encoder.take_counters()
    assert seen == [3, 1]
    assert (taken["texts"], taken["unique_texts"]) == (4, 3)
    assert taken["encode_seconds"] > 0
    again = encoder.take_counters()
    assert (again["texts"], again["unique_texts"], again["encode_seconds"]) == (0, 0, 0.0)


def test_a_refused_output_is_not_counted_as_encoded() -> None:
    """After a violation neither progress nor counters claim the texts."""
    encoder = CheckedEncoder(Spoilt(zero_row(0)), name="mine")
    seen: list[int] = []
    encoder.progress = seen.append
    with pytest.raises(EncoderOutputError):
        encoder.encode(TEXTS)
    assert seen == []
    assert encoder.take_counters()["texts"] == 0


def test_describe_names_the_similarity() -> None:
    """Provenance has the encoder's own facts and how its vectors are compared."""
    assert CheckedEncoder(HashEncoder(similarity="dot"), name="mine").describe() == {
        "device": "cpu",
        "dtype": "float32",
        "dimension": 24,
        "similarity": "dot",
    }
