"""The scores of two models on a task, and what is no pair."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from golden_report import make_plan, make_results

from harness.comparison.pair import without_interval
from harness.summary.build import summarise
from harness.summary.matrix import Matrix


def matrix(**changes: Any) -> Matrix:
    """Return the cells of the golden report."""
    summary = summarise(make_plan(), make_results())
    made = Matrix(views=summary.cells, models=summary.models, baseline="base", compare=without_interval)
    return replace(made, **changes)


def test_a_difference_is_the_first_less_the_second() -> None:
    """36 and 30 differ by 6, by -6 the other way round."""
    both = matrix()
    pair = both.pair("other", "base", "SciFact")
    assert pair is not None
    assert (pair.own.score, pair.other.score) == (36.0, 30.0)
    there, back = both.difference("other", "base", "SciFact"), both.difference("base", "other", "SciFact")
    assert there is not None
    assert back is not None
    assert (there.value, back.value) == (6.0, -6.0)


def test_without_both_scores_there_is_no_pair() -> None:
    """A missing cell, a failed one, one that is not applicable: on either side."""
    both = matrix()
    for model, task in (("other", "STS13"), ("minilm", "SciFact"), ("minilm", "sums")):
        assert both.score(model, task) is None
        assert both.pair(model, "base", task) is None
        assert both.pair("base", model, task) is None
        assert both.difference(model, "base", task) is None


def test_another_part_of_a_task_is_no_pair() -> None:
    """`STS12` and `STS12[dev]` have one name and are two tasks."""
    views = dict(matrix().views)
    view = views["other", "STS12"]
    task = replace(view.cell.task, label="STS12[dev]", splits=("dev",), is_official_split=False)
    views["other", "STS12"] = replace(view, cell=replace(view.cell, task=task))
    assert views["other", "STS12"].cell.task.label != views["base", "STS12"].cell.task.label
    assert matrix(views=views).pair("other", "base", "STS12") is None
    assert matrix(views=views).pair("other", "base", "STS14") is not None
