"""What is wanted before a run, and from where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.candidates.candidate import Candidate
from harness.errors import EnvironmentGapError
from harness.evaluation import preflight
from harness.evaluation.options import RunOptions
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite

COMMIT = "a" * 40


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A model and a task that are on the hub alone."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    model = {"name": "far", "encoder": "mean-pool", "model": "some/model", "revision": COMMIT}
    suite = {"version": 1, "name": "mine", "models": [model], "tasks": {"embedding": {"names": ["BIOSSES"]}}}
    return make_plan(Suite.model_validate(suite), Sources())


def reworded(plan: Plan) -> Plan:
    """Return the plan with every place described in other words."""
    candidates = [one for one in plan.candidates if isinstance(one, Candidate) and one.weights is not None]
    return replace(
        plan,
        candidates=tuple(replace(one, weights=replace(one.weights, source="elsewhere")) for one in candidates),
        datasets={name: replace(place, source="elsewhere") for name, place in plan.datasets.items()},
    )


def test_what_is_asked_of_the_hub_does_not_hang_on_words(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places described otherwise are wanted all the same: without an answer from the hub, nothing runs."""
    monkeypatch.setattr(preflight, "hub_problem", lambda: "the hub does not answer")
    with pytest.raises(EnvironmentGapError) as caught:
        preflight.ready(reworded(plan), RunOptions(results=tmp_path), Store(tmp_path))
    said = str(caught.value)
    assert "some/model (wanted by far): in no local hub or cache, and the hub does not answer" in said
    assert "mteb/biosses-sts (wanted by BIOSSES): in no local hub or cache, and the hub does not answer" in said
