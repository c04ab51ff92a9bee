"""Models: what an entry says of vectors where its encoder has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites_support import suite_file

from harness.errors import InputError
from harness.suite.load import load_suite


@pytest.mark.parametrize(
    "said", ["store_dtype: float16", "search_precision: int8", "dimensions: 64", "precision: [float32, int8]"]
)
def test_an_encoder_without_vectors_is_told_nothing_of_them(tmp_path: Path, said: str) -> None:
    """BM25 has none to round, cut or compare; each is one problem at its own place."""
    with pytest.raises(InputError) as caught:
        load_suite(suite_file(tmp_path, f"models: [{{name: b, encoder: bm25, {said}}}]\n"))
    (problem,) = caught.value.problems
    key = said.partition(":")[0]
    assert problem.endswith(f"mine.yaml:3:35: {key}: encoder bm25 has no vectors; take it out")
