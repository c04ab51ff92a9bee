"""What a user types for a model: the three forms, overrides, and what is said of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites_support import isolate, suite_file, weights

from harness.candidates.named import named_candidate
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec
from harness.suite.size import Size


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with weights, a suite over them, and a candidate directory."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    weights(tmp_path / "weights")
    suite_file(tmp_path, "models: [{name: base-3.2, encoder: mean-pool, model: weights, max_text_tokens: 9}]\n")
    run = tmp_path / "runs" / "My run"
    run.mkdir(parents=True)
    (run / "candidate.yaml").write_text("version: 1\nkind: mean-pool\nbase: {model: weights}\n", encoding="utf-8")


def test_three_forms_name_the_same_model() -> None:
    """A suite's model, an entry in braces and a candidate directory give candidates of one fingerprint."""
    of_suite = named_candidate("mine.yaml:base-3.2", Sources(), ["max_text_tokens="])
    inline = named_candidate("{encoder: mean-pool, model: weights}", Sources())
    directory = named_candidate("runs/My run", Sources())
    assert of_suite.fingerprint() == inline.fingerprint() == directory.fingerprint()
    assert (of_suite.name, inline.name, directory.name) == ("base-3.2", "model", "My-run")


def test_suites_values_are_kept_and_overrides_win() -> None:
    """What the suite says holds, an override replaces it, and a nested value is reached by dots."""
    found = named_candidate("mine.yaml:base-3.2", Sources())
    assert isinstance(found.spec, MeanPoolSpec)
    assert found.spec.max_text_tokens == 9
    changed = named_candidate("mine.yaml:base-3.2", Sources(), ["encoder=rationale", "generation.max_new_tokens=8"])
    assert isinstance(changed.spec, RationaleSpec)
    assert changed.spec.generation.max_new_tokens == 8
    assert changed.spec.max_text_tokens == 9


def test_an_override_of_one_nested_value_leaves_the_others_as_the_candidate_has_them(tmp_path: Path) -> None:
    """By `-o`, and by a suite's entry: also where what it says is the default, which the candidate's own is not."""
    own = "kind: rationale\nencoder: {generation: {max_new_tokens: 6, temperature: 1.0, engine: vllm}}\n"
    base = "base: {model: weights}\n"
    (tmp_path / "runs" / "My run" / "candidate.yaml").write_text(f"version: 1\n{base}{own}", encoding="utf-8")
    entry = "{name: drawn, candidate: runs/My run, generation: {engine: transformers}}"
    suite_file(tmp_path, f"models: [{entry}]\n")
    for reference, overrides, expected in (
        ("runs/My run", ["generation.max_new_tokens=32"], (32, 1.0, "vllm")),
        ("runs/My run", ["generation={temperature: 0.5}"], (6, 0.5, "vllm")),
        ("mine.yaml:drawn", [], (6, 1.0, "transformers")),
        ("mine.yaml:drawn", ["generation.temperature=0"], (6, 0.0, "transformers")),
    ):
        spec = named_candidate(reference, Sources(), overrides).spec
        assert isinstance(spec, RationaleSpec)
        assert (spec.generation.max_new_tokens, spec.generation.temperature, spec.generation.engine) == expected


SIZES = (
    "models: [{name: mini, encoder: mean-pool, model: weights, dimensions: [4, 8], precision: [float32, int8]},"
    " {name: other, encoder: mean-pool, model: weights, prompts: {query: 'q: ', variants: ['x: ', {query: 'y: '}]}}]\n"
)


def test_models_of_a_suite_that_names_sizes_and_prompts_can_be_named(tmp_path: Path) -> None:
    """The one with sizes is itself, whole; the one beside it too, and overrides reach both."""
    suite_file(tmp_path, SIZES)
    whole = named_candidate("mine.yaml:mini", Sources())
    assert (whole.name, whole.size) == ("mini", Size(of="mini"))
    assert whole.fingerprint() == named_candidate("{encoder: mean-pool, model: weights}", Sources()).fingerprint()
    other = named_candidate("mine.yaml:other", Sources(), ["max_text_tokens=9"])
    assert isinstance(other.spec, MeanPoolSpec)
    assert (other.spec.prompts, other.spec.prompt_variants) == ({"query": "q: "}, ["x: ", {"query": "y: "}])
    assert other.spec.max_text_tokens == 9


def test_a_size_of_a_model_is_no_model_to_load(tmp_path: Path) -> None:
    """Its vectors are cut by what scores them: the model itself is to be named."""
    suite_file(tmp_path, SIZES)
    with pytest.raises(InputError, match=r"'mini@4-int8' is a size of 'mini'.*; name mine\.yaml:mini"):
        named_candidate("mine.yaml:mini@4-int8", Sources())


@pytest.mark.parametrize(
    ("reference", "override", "words"),
    [
        ("mine.yaml:base", [], "no model 'base'; did you mean 'base-3.2'?"),
        ("nine:base", [], "neither a file nor a shipped suite"),
        ("weights", [], "holds no candidate.yaml"),
        ("runs/none", [], "no such directory"),
        ("org/name", [], "'{encoder: mean-pool, model: org/name}'"),
        ("wheel:a==1/b", [], "'{encoder: mean-pool, model: wheel:a==1/b}'"),
        ("{encoder: mean-pol, model: weights}", [], "did you mean 'mean-pool'"),
        ("{encoder: mean-pool", [], "CANDIDATE:1:"),
        ("mine.yaml:base-3.2", ["max_text_token=3"], "did you mean 'max_text_tokens'"),
        ("mine.yaml:base-3.2", ["dtype"], "expected key=value"),
    ],
)
def test_mistakes_say_what_to_type(reference: str, override: list[str], words: str) -> None:
    """Each mistake names the value and what is valid."""
    with pytest.raises(InputError) as caught:
        named_candidate(reference, Sources(), override)
    assert words in str(caught.value)


def test_weights_that_are_not_there_are_a_gap() -> None:
    """A path that does not exist is the environment's lack, exit code 4."""
    with pytest.raises(EnvironmentGapError, match="no such folder"):
        named_candidate("{encoder: mean-pool, model: ./nowhere/x}", Sources())
