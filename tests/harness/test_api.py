"""The same from Python: `harness.load(spec).encode(texts)`, `harness.run(suite)`; and what users may import."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells_support import save_tiny_model

import grace
import harness
from grace.training.train import train
from harness.comparison.compare import compare
from harness.errors import EnvironmentGapError, InputError
from harness.evaluation.run import run
from harness.results.records import Score

PUBLIC = {
    "harness": "CheckedEncoder Comparison Reporter RunOptions RunOutcome Sources Suite compare load run",
    "grace": "Progress TrainConfig Trained train",
    "harness.encoders.base": "CausalLM Counters DetailedEncoder Encoder FittedEncoder RoleEncoder Vectors",
    "harness.evaluation.events": (
        "Event Finished Phase Progress Remark Reporter RunBegins RunEnds ShardMade SilentReporter Started told"
    ),
    "harness.results.facts": (
        "AbilityFacts Facts HardwareFacts KEYS LeftOut PlaceFacts SearchFacts ShardFacts facts_of left_out_said "
        "machines name_of off_count_said"
    ),
    "harness.results.records": (
        "Failure ItemsFile Metric PromptedScore RECORD_VERSION Result Score SeededScore Unit from_json to_json"
    ),
    "harness.sandbox": "Limits Outcome available run_program run_programs version",
}
"""What others may rely on: a name that goes, or comes, is a decision."""
BEHIND = {"harness": {"run": run, "compare": compare}, "grace": {"train": train}}
"""Public function -> the one it passes its arguments to."""


def defined(module: str) -> set[str]:
    """Return the public names of a module: those of `__all__`, or else those it defines itself."""
    found = import_module(module)
    if hasattr(found, "__all__"):
        return set(found.__all__)
    names: list[str] = []
    for node in ast.parse(Path(str(found.__file__)).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("module", PUBLIC)
def test_what_users_may_import_is_listed(module: str) -> None:
    """Name by name, and each of them is there."""
    assert defined(module) == set(PUBLIC[module].split())
    assert all(getattr(import_module(module), name) is not None for name in defined(module))


@pytest.mark.parametrize(
    "function", [harness.load, harness.run, harness.compare, grace.train], ids=lambda one: str(one.__name__)
)
def test_public_functions_are_plain_and_their_types_public(function: Callable[..., Any]) -> None:
    """No module that can be called; what they take and return is importable beside them."""
    assert inspect.isfunction(function)
    signature = inspect.signature(function)
    said = [str(one.annotation) for one in signature.parameters.values()] + [str(signature.return_annotation)]
    own = set(re.findall(r"[A-Z]\w+", " ".join(said))) - {"Any", "Mapping", "None", "Path", "Sequence"}
    package = import_module(function.__module__)
    assert own <= {*package.__all__, *harness.__all__}


@pytest.mark.parametrize(("package", "name"), [(package, name) for package in BEHIND for name in BEHIND[package]])
def test_a_public_function_takes_what_the_one_behind_it_takes(package: str, name: str) -> None:
    """In the same order, with the same defaults and types."""
    assert inspect.signature(getattr(import_module(package), name)) == inspect.signature(BEHIND[package][name])


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
    outcome = harness.run(suite, harness.RunOptions(results=tmp_path / "results"))
    assert isinstance(outcome.results["floor/pairs"], Score)


def test_importing_harness_imports_nothing_heavy() -> None:
    """`import harness` loads neither pydantic nor numpy nor an engine."""
    code = "import harness, sys; print(sorted({'numpy', 'pydantic', 'torch', 'mteb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
