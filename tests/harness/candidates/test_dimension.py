"""How long vectors are, by configurations as they are saved, and what is too long for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites_support import loaded

from harness.candidates.candidate import Candidate
from harness.candidates.dimension import NOT_TRAINED_FOR_IT, dimension_of
from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.sources.places import Sources


def candidates_of(folder: Path, more: str = "", *, encoder: str = "sentence-transformers") -> list[Candidate]:
    """Return the candidates of the model in `folder`."""
    body = f"models: [{{name: m, encoder: {encoder}, model: {folder / 'm'}{more}}}]"
    found = make_plan(loaded(folder, body).suite, Sources(offline=True)).candidates
    return [one for one in found if isinstance(one, Candidate)]


def saved(folder: Path, files: dict[str, object]) -> Path:
    """Save JSON files of a model."""
    for name, content in files.items():
        path = folder / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def modules(*kinds: str) -> list[dict[str, str]]:
    """Return modules.json of these kinds, each in a folder of its name, the first in the model's own."""
    return [{"type": f"sentence_transformers.models.{kind}", "path": kind if n else ""} for n, kind in enumerate(kinds)]


MEAN_AND_CLS = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
POOLING = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config.json": {"hidden_size": 96}}, 96),
        ({"config.json": {"d_model": 64}}, 64),
        ({"config.json": {"text_config": {"hidden_size": 48}}}, 48),
        ({"config.json": {}}, None),
        ({"modules.json": modules("Transformer", "Pooling", "Normalize"), "Pooling/config.json": POOLING}, 384),
        ({"modules.json": modules("Transformer", "Pooling"), "Pooling/config.json": MEAN_AND_CLS}, 768),
        ({"modules.json": modules("Transformer", "Pooling", "Dense"), "Dense/config.json": {"out_features": 128}}, 128),
        ({"modules.json": modules("Transformer", "Mystery"), "config.json": {"hidden_size": 96}}, None),
    ],
)
def test_the_dimension_is_what_the_configuration_says(tmp_path, files, expected):
    """Of the last module that has one; None where nobody can tell without loading."""
    assert dimension_of(candidates_of(saved(tmp_path, files))[0]) == expected


def test_the_dimension_is_that_of_a_model_that_the_library_saves(tmp_path):
    """A tiny one, in the form of the installed version."""
    from cells_support import HIDDEN, save_tiny_sentence_transformer

    (save_tiny_sentence_transformer(tmp_path / "st")).rename(tmp_path / "m")
    assert dimension_of(candidates_of(tmp_path)[0]) == HIDDEN


def test_more_dimensions_than_there_are_are_refused_before_anything_loads(tmp_path):
    """All of them at once, with what there is."""
    saved(tmp_path, {"config.json": {"hidden_size": 96}})
    with pytest.raises(InputError) as caught:
        candidates_of(tmp_path, ", dimensions: [8, 97, 200]", encoder="mean-pool")
    said = "model 'm': dimensions: {} is more than the 96 that its vectors have; take it out"
    assert caught.value.problems == [said.format(97), said.format(200)]


@pytest.mark.parametrize(
    ("name", "content", "is_known"),
    [
        ("config.json", {"hidden_size": 96, "matryoshka_dimensions": [32]}, True),
        ("config_sentence_transformers.json", {"Matryoshka": True}, True),
        ("README.md", "tags:\n- loss:MatryoshkaLoss\n", True),
        ("README.md", "no word of it", False),
        ("vocab.json", {"matryoshka": 5}, False),
    ],
)
def test_a_model_is_trained_for_truncation_where_it_says_so(tmp_path, name, content, is_known):
    """In a configuration or by its card; the whole vector needs no training for it."""
    saved(tmp_path, {"config.json": {"hidden_size": 96}} | {name: content})
    notes = {one.name: one.note for one in candidates_of(tmp_path, ", dimensions: [8, 96]", encoder="mean-pool")}
    assert notes == {"m": None, "m@8": None if is_known else NOT_TRAINED_FOR_IT, "m@96": None}
