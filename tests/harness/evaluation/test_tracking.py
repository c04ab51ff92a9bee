"""What a tracker is told of a run: each finished cell, as it finishes."""

from __future__ import annotations

import pytest
from golden_report import make_plan, make_results
from told import Told
from tracked import stand_in

from harness.evaluation.events import Finished, Remark, RunBegins, RunEnds, Started
from harness.evaluation.tracking import TrackingReporter
from harness.results.records import Score


def test_each_finished_cell_is_tracked_with_its_interval_and_key(monkeypatch) -> None:
    """Under model/task, the step being how many have finished; the display is told everything besides."""
    kept = stand_in(monkeypatch, "trackio")
    plan, results = make_plan(), make_results()
    scored = [cell for cell in plan.cells if str(cell) in results or cell.key in results]
    shown = Told()
    reporter = TrackingReporter(shown, "trackio", name="mine", config={"suite": "mine"})
    found = [results.get(str(cell), results.get(str(cell.key))) for cell in scored]
    events = [RunBegins(cells=tuple(scored), done=0), Started(cell=scored[0])]
    events += [Finished(cell=cell, result=one, seconds=1.0) for cell, one in zip(scored, found, strict=True)]
    events += [Finished(cell=scored[0], result=None, seconds=0.0), RunEnds()]
    for event in events:
        reporter.report(event)
    assert shown.events == events
    rows = [given for call, given in kept.calls if call == "log"]
    assert [named["step"] for _, named in rows] == list(range(1, len(scored) + 1))
    for cell, result, (row, _) in zip(scored, found, rows, strict=True):
        own = {name.removeprefix(f"{cell}/"): value for name, value in row.items()}
        if isinstance(result, Score):
            asked = ("score", "ci_low", "ci_high", "stderr", "n", "metric", "unit", "key")
            assert own == {name: getattr(result, name) for name in asked if getattr(result, name) is not None}
        else:
            assert own == {"error": result.error, "key": result.key}
    assert any(isinstance(one, Score) for one in found)
    assert any(not isinstance(one, Score) for one in found)


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_a_failing_tracker_is_a_remark_before_the_display_closes(monkeypatch, call: str) -> None:
    """And the run's own events all come through."""
    stand_in(monkeypatch, "wandb", fails_at=call)
    plan, results = make_plan(), make_results()
    cell, result = plan.cells[0], next(iter(results.values()))
    shown = Told()
    reporter = TrackingReporter(shown, "wandb", name="mine", config={})
    for event in (RunBegins(cells=(cell,), done=0), Finished(cell=cell, result=result, seconds=1.0), RunEnds()):
        reporter.report(event)
    assert len(shown.of(Remark)) == 1
    assert "no route to host" in shown.remarks()[0]
    assert isinstance(shown.events[-1], RunEnds)
