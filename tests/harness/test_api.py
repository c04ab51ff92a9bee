"""The same from Python: `harness.load(spec).encode(texts)` and `harness.run(suite)`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cells_support import save_tiny_model

import harness
from harness.errors import EnvironmentGapError, InputError
from harness.evaluation.options import RunOptions
from harness.results.records import Score


def test_load_gives_an_encoder(tmp_path: Path) -> None:
    """A model entry without a name is loaded and encodes in order."""
    save_tiny_model(tmp_path)
    encoder = harness.load({"encoder": "mean-pool", "model": str(tmp_path), "device": "cpu"}, offline=True)
    vectors = encoder.encode(["a cat", "rain", "a cat"])
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


def test_load_names_every_problem() -> None:
    """A wrong entry is refused with all its problems."""
    with pytest.raises(InputError) as caught:
        harness.load({"encoder": "mean-pool", "modle": "x", "dtype": "float8"})
    assert len(caught.value.problems) == 3


def test_load_says_what_is_missing() -> None:
    """Weights that are nowhere are a gap with the command that gets them."""
    with pytest.raises(EnvironmentGapError, match="hf download acme/none"):
        harness.load({"encoder": "mean-pool", "model": "acme/none"}, offline=True)


def test_run_takes_a_file(tmp_path: Path) -> None:
    """`harness.run(path)` runs a suite; the module of that name still holds its contents."""
    rows = ["a cat,a dog,3", "rain,sun,1", "a cat,the cat,5", "chess,rain,0"]
    (tmp_path / "pairs.csv").write_text("sentence1,sentence2,score\n" + "\n".join(rows) + "\n", encoding="utf-8")
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "version: 1\nname: mine\nmodels: [{name: floor, encoder: tf-idf}]\n"
        "tasks: {custom: [{name: pairs, type: STS, path: pairs.csv}]}\n",
        encoding="utf-8",
    )
    outcome = harness.run(suite, RunOptions(results=tmp_path / "results"))
    assert isinstance(outcome.results["floor/pairs"], Score)


def test_importing_harness_imports_nothing_heavy() -> None:
    """`import harness` loads neither pydantic nor numpy nor an engine."""
    code = "import harness, sys; print(sorted({'numpy', 'pydantic', 'torch', 'mteb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
