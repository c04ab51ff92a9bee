"""Mean pooling by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.encoders.pooling import mean_pool


def ints(*values: int) -> torch.Tensor:
    """A (b,) int64 tensor."""
    return torch.tensor(values)


def test_the_mean_is_over_start_to_end() -> None:
    """Of states 1 2 3 4 the mean over places 1 and 2 is 2.5, over all 2.5, over the last 4."""
    states = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]).repeat(3, 1, 1)  # (3, 4, 1)
    assert mean_pool(states, ints(1, 0, 3), ints(3, 4, 4)).tolist() == [[2.5], [2.5], [4.0]]


def test_dimensions_are_kept_apart() -> None:
    """Each dimension has its own mean."""
    states = torch.tensor([[[1.0, 10.0], [3.0, 30.0]]])
    assert mean_pool(states, ints(0), ints(2)).tolist() == [[2.0, 20.0]]


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), 1e30])
def test_padding_of_any_value_takes_no_part(junk: float) -> None:
    """NaN, infinity or huge values before the start and after the end leave the mean as it is, on either side."""
    states = torch.tensor([[[junk], [1.0], [2.0], [junk]], [[1.0], [2.0], [junk], [junk]]])
    assert mean_pool(states, ints(1, 0), ints(3, 2)).tolist() == [[1.5], [1.5]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    """4096 times 1.5 and one 2048 have their exact mean: a float16 sum would stop growing at 2048."""
    states = torch.full((1, 4096, 1), 1.5, dtype=dtype)
    states[0, 0, 0] = 2048.0
    found = mean_pool(states, ints(0), ints(4096))
    assert found.dtype == torch.float32
    assert found.item() == (4095 * 1.5 + 2048.0) / 4096


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 4), st.integers(0, 1000))
def test_the_side_of_the_padding_is_no_matter(length: int, left: int, right: int, seed: int) -> None:
    """A text padded on the left, on the right or on both sides has the same mean as alone."""
    text = torch.randn(1, length, 3, generator=torch.Generator().manual_seed(seed))
    padded = torch.cat([torch.full((1, left, 3), float("nan")), text, torch.full((1, right, 3), float("nan"))], dim=1)
    found = mean_pool(padded, ints(left), ints(left + length))
    assert torch.allclose(found, text.mean(dim=1), atol=1e-6)
