"""Shares of tokens in a cosine: exact by hand, summing to it, and equal to the sum over pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.encoders.explain.shares import token_shares


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two means, the way a report computes it."""
    one, two = a.mean(axis=0), b.mean(axis=0)
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))


def pairs_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return what each pair of tokens adds to the cosine, (n, m), from the formula at the head of the module."""
    length = np.linalg.norm(a.mean(axis=0)) * np.linalg.norm(b.mean(axis=0))
    return np.asarray(a @ b.T / (len(a) * len(b) * length))


def test_shares_by_hand() -> None:
    """a = {(2,0), (0,2)}, b = {(1,0)}: cosine 1/sqrt(2), all of it from the first token of a."""
    shares = token_shares(np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 0.0]]))
    assert shares.a == pytest.approx([1 / np.sqrt(2), 0.0])
    assert shares.b == pytest.approx([1 / np.sqrt(2)])


def test_a_token_can_speak_against() -> None:
    """A state that points the other way has a negative share, another one more than the whole."""
    shares = token_shares(np.array([[3.0], [-1.0]]), np.array([[1.0], [1.0]]))
    assert shares.a == pytest.approx([1.5, -0.5])
    assert shares.b == pytest.approx([0.5, 0.5])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 64), st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_each_side_sums_to_the_cosine(n: int, m: int, h: int, seed: int, scale: float) -> None:
    """Whatever the states are, both sides add up to the cosine, and the pairs add up to the shares."""
    numbers = np.random.default_rng(seed)
    a = (numbers.normal(size=(n, h)) * scale + 0.1).astype(np.float32)
    b = numbers.normal(size=(m, h)).astype(np.float32)
    doubles = a.astype(np.float64), b.astype(np.float64)
    shares, pairs, whole = token_shares(a, b), pairs_of(*doubles), cosine(*doubles)
    assert shares.a.shape == (n,)
    assert shares.b.shape == (m,)
    assert shares.a.sum() == pytest.approx(whole, abs=1e-9)
    assert shares.b.sum() == pytest.approx(whole, abs=1e-9)
    assert np.abs(pairs.sum(axis=1) - shares.a).max() < 1e-9
    assert np.abs(pairs.sum(axis=0) - shares.b).max() < 1e-9


def test_the_other_way_round_swaps_the_sides() -> None:
    """The cosine has no first and second."""
    numbers = np.random.default_rng(0)
    a, b = numbers.normal(size=(3, 5)), numbers.normal(size=(4, 5))
    there, back = token_shares(a, b), token_shares(b, a)
    assert np.array_equal(there.a, back.b)
    assert np.array_equal(there.b, back.a)


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (np.zeros((0, 3)), np.ones((1, 3)), "n, m >= 1"),
        (np.ones((1, 3)), np.ones((1, 4)), "not \\(1, 3\\) and \\(1, 4\\)"),
        (np.ones(3), np.ones((1, 3)), "\\(n, h\\)"),
        (np.array([[1.0], [-1.0]]), np.ones((1, 1)), "zero"),
        (np.array([[np.nan]]), np.ones((1, 1)), "not finite"),
    ],
)
def test_what_has_no_cosine_is_refused(a: np.ndarray, b: np.ndarray, why: str) -> None:
    """No number is made up where there is none."""
    with pytest.raises(ValueError, match=why):
        token_shares(a, b)
