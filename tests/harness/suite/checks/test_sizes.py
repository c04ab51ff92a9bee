"""`dimensions` and `precision` of a model entry: what they make, and every mistake in them."""

from __future__ import annotations

from typing import Any

import pytest
from suites_support import loaded

from harness.errors import InputError
from harness.suite.schema import Suite

MODEL = "name: mini, encoder: sentence-transformers, model: some/mini"


def problems_of(folder: Any, body: str) -> list[str]:
    """Return what is said of a suite that must have problems."""
    with pytest.raises(InputError) as caught:
        loaded(folder, body)
    return caught.value.problems


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("dimensions: [64, 128]", ["mini", "mini@64", "mini@128"]),
        ("dimensions: 64", ["mini", "mini@64"]),
        ("precision: int8", ["mini", "mini@int8"]),
        ("precision: [float32, float16, binary]", ["mini", "mini@float16", "mini@binary"]),
        ("dimensions: [64, 8], precision: [int8]", ["mini", "mini@64-int8", "mini@8-int8"]),
        ("dimensions: [64], precision: [float32, int8]", ["mini", "mini@64", "mini@64-int8"]),
        ("precision: float32", ["mini"]),
        ("dimensions: []", ["mini"]),
    ],
)
def test_every_size_is_a_model_of_its_own_and_the_whole_vector_the_first(tmp_path, said, names):
    """Whatever is listed; of what is not listed there is all of it."""
    suite = loaded(tmp_path, f"models: [{{{MODEL}, {said}}}]").suite
    assert [one.name for one in suite.models] == names
    assert Suite.model_validate({"version": 1, "name": "again", "models": suite.models}).models == suite.models


def test_sizes_can_be_the_baseline_and_be_named_by_gates(tmp_path):
    """By the names that they have in the plan."""
    body = f"""
models: [{{{MODEL}, dimensions: [64], precision: [float32, int8]}}]
baseline: mini@64
tasks: {{embedding: {{names: [BIOSSES]}}}}
gates: [{{max_drop: 1, models: [mini@64-int8], against: mini}}]
"""
    assert loaded(tmp_path, body).suite.baseline_name() == "mini@64"
    found = problems_of(tmp_path, body.replace("baseline: mini@64", "baseline: mini@32").replace("[mini@64-int8]", "m"))
    assert any("baseline 'mini@32' is no model here; models: mini, mini@64, mini@64-int8" in one for one in found)
    assert any("'m' is no model here; models: mini, mini@64, mini@64-int8" in one for one in found)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("dimensions: [0]", "dimensions.0"),
        ("dimensions: [-4]", "dimensions.0"),
        ("dimensions: [8.5]", "dimensions.0"),
        ("dimensions: [true]", "dimensions"),
        ("dimensions: many", "dimensions"),
        ("dimensions: [64, 8, 64]", "dimensions: 64 is named twice; take one out"),
        ("precision: [int8, int8]", "precision: 'int8' is named twice; take one out"),
        ("precision: [int4]", "precision.0"),
        ("rescore: 50", "rescore: nothing is compared as binary"),
        ("rescore: 50, precision: int8", "rescore: nothing is compared as binary"),
        ("rescore: 0, precision: binary", "rescore"),
        ("precision: int8, search_precision: int8", "search_precision and precision exclude each other"),
    ],
)
def test_what_is_no_size_is_refused_with_its_place(tmp_path, said, problem):
    """With the line that it stands in."""
    found = problems_of(tmp_path, f"models: [{{{MODEL}, {said}}}]")
    assert any(problem in one and "mine.yaml:" in one for one in found), found


def test_all_mistakes_come_at_once(tmp_path):
    """Of sizes, of names that collide, and of an encoder that has no first dimensions."""
    found = problems_of(
        tmp_path,
        f"""
models:
  - {{{MODEL}, dimensions: [8, 8]}}
  - {{{MODEL.replace("mini,", "mini@8,")}}}
  - {{name: floor, encoder: tf-idf, dimensions: [256]}}
""",
    )
    found += problems_of(tmp_path, "models: [{name: words, encoder: bm25, precision: int8}]")
    assert len(found) == 4
    assert any("'mini@8' is a size of 'mini' and a model of its own; rename one" in one for one in found)
    assert any("features are hashed" in one for one in found)
