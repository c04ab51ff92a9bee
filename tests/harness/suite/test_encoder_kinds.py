"""The table of encoder kinds against everything that follows from it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from suites_support import suite_file, write

from harness.candidates.candidate_file import OF_WEIGHTS, read_candidate_file
from harness.errors import InputError
from harness.suite.encoder_kinds import KINDS, has_language_model, known_encoders
from harness.suite.load import load_suite
from harness.suite.model_entries import BUILT_IN_ENCODERS, CandidateSpec, Generation, LoadedModel, ModelSpec
from harness.suite.task_entries import AbilitySettings
from harness.suite.validation import KEYS_AT


def tags() -> dict[str, type[BaseModel]]:
    """Return the tags of the union of model entries, and the class under each."""
    union, _discriminator = get_args(ModelSpec)
    return {get_args(one)[1].tag: get_args(one)[0] for one in get_args(union)}


def test_the_union_of_model_entries_has_a_tag_for_each_kind() -> None:
    """A row without its tag would be taken for another package's encoder, and the other way round."""
    assert tuple(KINDS) == BUILT_IN_ENCODERS
    assert {name: kind.entry for name, kind in KINDS.items()} == {
        tag: entry for tag, entry in tags().items() if tag not in ("candidate", "other")
    }
    for name, kind in KINDS.items():
        assert get_args(kind.entry.model_fields["encoder"].annotation) == (name,)


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_names_a_class_that_makes_an_encoder_of_a_candidate(kind: str) -> None:
    """Misspelt, it would be found when a model is loaded and no sooner."""
    module, _, name = KINDS[kind].encoder.partition(":")
    assert callable(getattr(import_module(module), name).from_candidate)


def test_kinds_with_a_language_model_are_those_whose_entries_speak_of_ability() -> None:
    """And those that a candidate's weights can be read by; another package's encoder is none of them."""
    with_model = [name for name in KINDS if has_language_model(name)]
    assert with_model == [name for name, kind in KINDS.items() if "ability" in kind.entry.model_fields]
    read_by, _none = get_args(CandidateSpec.model_fields["kind"].annotation)
    assert list(get_args(read_by)) == with_model
    assert not has_language_model("theirs")


def test_known_encoders_are_ours_first() -> None:
    """Which is the order in which a message lists them."""
    assert known_encoders()[: len(KINDS)] == list(KINDS)


def test_seeds_are_for_kinds_that_generate(tmp_path: Path) -> None:
    """Any other kind is refused with seeds, because every run of it would be the same."""
    assert [name for name, kind in KINDS.items() if kind.draws_random_numbers] == ["rationale"]
    for name, kind in KINDS.items():
        model = ", model: some/model" if issubclass(kind.entry, LoadedModel) else ""
        entry = f"{{name: m, encoder: {name}, seeds: 2{model}}}"
        with pytest.raises(InputError) as refused:
            load_suite(suite_file(tmp_path, f"models: [{entry}]\n"))
        assert ("draws no random numbers" in str(refused.value)) != kind.draws_random_numbers


def test_valid_keys_are_known_wherever_a_model_entry_has_a_mapping() -> None:
    """Entries themselves, how something is generated, and what is said of ability tasks."""
    places = dict(KEYS_AT)
    for tag, entry in tags().items():
        assert places["models", "*", tag] is entry
        if "generation" in entry.model_fields:
            assert places["models", "*", tag, "generation"] is Generation
        if "ability" in entry.model_fields:
            assert places["models", "*", tag, "ability", "*"] is AbilitySettings
    assert ("models", "*", "candidate", "generation") in places


def test_an_unknown_key_in_a_candidates_generation_is_told_the_valid_ones(tmp_path: Path) -> None:
    """As it is in the entry of a rationale encoder."""
    entry = "{name: m, candidate: runs/x, generation: {max_tokens: 3}}"
    with pytest.raises(InputError, match="valid: max_new_tokens, temperature, engine; did you mean"):
        load_suite(suite_file(tmp_path, f"models: [{entry}]\n"))


def test_a_candidate_directory_is_of_a_kind_that_loads_weights(tmp_path: Path) -> None:
    """What it may be follows from the table, and the message lists it."""
    assert OF_WEIGHTS == ("sentence-transformers", "mean-pool", "rationale")
    text = "version: 1\nkind: tf-idf\nbase: {model: m}\n"
    expected = "kind: Input should be 'sentence-transformers', 'mean-pool' or 'rationale'"
    with pytest.raises(InputError, match=expected):
        read_candidate_file(write(tmp_path / "candidate.yaml", text))
