"""`harness gate`: a crafted case for each rule, with the words, the exit code, the summary and the JUnit XML."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from stored_support import BODY, make_folder, noisy, put, spearman
from suites_support import Command, isolate, suite_file, write

from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.sources.places import Sources
from harness.suite.load import load_suite


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with three models and three tasks, all of them there, none of them run."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    return make_folder(tmp_path)


@pytest.fixture
def command(monkeypatch, capsys):
    """The command, run in this process."""
    return Command(monkeypatch, capsys)


def suite_with(folder: Path, *gates: str) -> None:
    """Write the suite with these gates."""
    suite_file(folder, BODY + "gates:\n" + "".join(f"  - {{{gate}}}\n" for gate in gates))


def gate(command: Command, folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run `harness gate --json` and return its exit code and its checks."""
    done = command("gate", "mine.yaml", "--offline", "--json", *arguments, cwd=folder)
    assert done.stderr == "", done.stderr
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    return done.returncode, document["checks"]


def stored_baseline(command: Command, folder: Path, *arguments: str) -> None:
    """Write baseline.json from what is stored."""
    done = command("gate", "mine.yaml", "--offline", "--baseline", "baseline.json", "--update", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr


def both_tasks(folder: Path, model: str, first: float, second: float, **changes: Any) -> None:
    """Store a model's score on both pair tasks."""
    put(folder, f"{model}/pairs-a", first, **changes)
    put(folder, f"{model}/pairs-b", second, **changes)


# --- a crafted case for each rule ---


@pytest.mark.parametrize(
    ("rule", "passes", "value", "said"),
    [
        ("type: STS, floor: 60", True, 60.0, "60.00, asked for at least 60.00"),
        ("type: STS, floor: 60.01", False, 60.0, "60.00, asked for at least 60.01"),
        ("task: pairs-b, floor: 65", True, 70.0, "70.00, asked for at least 65.00"),
        ("axis: embedding, min_gain: 5, against: base", True, 5.0, "60.00, +5.00 to base, asked for a gain of"),
        ("axis: embedding, min_gain: 5.5", False, 5.0, "60.00, +5.00 to base, asked for a gain of at least 5.50"),
        ("axis: embedding, max_drop: 0.5, against: base", True, 5.0, "asked for a drop of at most 0.50"),
        ("task: pairs-a, max_drop: 1.5, against: base", False, -2.0, "50.00, -2.00 to base, asked for a drop of"),
        ("task: pairs-a, max_drop: 2, against: base", True, -2.0, "asked for a drop of at most 2.00"),
        ("task: pairs-b, max_change: 11, against: base", False, 12.0, "+12.00 to base, asked for a change of"),
        ("task: pairs-b, max_change: 12, against: base", True, 12.0, "asked for a change of at most 12.00"),
    ],
)
def test_each_rule_passes_on_its_bound_and_fails_beyond_it(folder, command, rule, passes, value, said):
    """The mean over the tasks, or the one task; exit 0 or 1."""
    suite_with(folder, f"models: new, {rule}")
    both_tasks(folder, "base", 52, 58)
    both_tasks(folder, "new", 50, 70)
    code, (check,) = gate(command, folder)
    assert (code, check["passed"]) == ((0, True) if passes else (1, False))
    assert check["value"] == pytest.approx(value)
    assert said in check["said"]
    assert check["reasons"] == ([] if passes else [check["said"]])


def test_each_judges_every_task_on_its_own(folder, command):
    """A mean hides what `each` shows."""
    both_tasks_gate = "models: new, axis: embedding, floor: 55"
    suite_with(folder, both_tasks_gate, f"{both_tasks_gate}, each: true")
    both_tasks(folder, "new", 50, 70)
    code, checks = gate(command, folder)
    assert code == 1
    assert [(check["scope"], check["passed"]) for check in checks] == [
        ("mean over 2 task(s)", True),
        ("pairs-a", False),
        ("pairs-b", True),
    ]


def test_a_stored_baseline_is_written_and_held(folder, command):
    """--update writes it; the same results pass; a drop beyond the bound fails, one within passes, a gain passes."""
    suite_with(folder, "models: new, axis: embedding, each: true, max_drop: 0.5")
    for model in ("base", "new", "words"):
        both_tasks(folder, model, 50, 60)
    for model in ("base", "new"):
        put(folder, f"{model}/sums", 10)
    stored_baseline(command, folder)
    code, checks = gate(command, folder, "--baseline", "baseline.json")
    assert (code, [check["value"] for check in checks]) == (0, [0.0, 0.0])
    both_tasks(folder, "new", 49.6, 65)
    assert gate(command, folder, "--baseline", "baseline.json")[0] == 0
    both_tasks(folder, "new", 49.4, 65)
    code, checks = gate(command, folder, "--baseline", "baseline.json")
    assert (code, [check["passed"] for check in checks]) == (1, [False, True])
    assert checks[0]["said"] == "49.40, -0.60 to baseline.json, asked for a drop of at most 0.50"


def test_update_shows_what_changed(folder, command):
    """New, changed with its difference, and nothing; a filter keeps the other models' cells."""
    suite_with(folder, "models: new, axis: embedding, max_drop: 0.5")
    for model in ("base", "new", "words"):
        both_tasks(folder, model, 50, 60)
    for model in ("base", "new"):
        put(folder, f"{model}/sums", 10)
    update = ("gate", "mine.yaml", "--offline", "--baseline", "baseline.json", "--update")
    first = command(*update, cwd=folder)
    assert first.stdout.count("\nnew      ") == 7
    assert first.stdout.startswith("new      base/pairs-a: 50.00 cosine_spearman, n=2\n")
    assert command(*update, cwd=folder).stdout == "nothing changed\nbaseline: baseline.json, 8 cell(s)\n"
    both_tasks(folder, "new", 51.5, 60)
    put(folder, "base/pairs-b", 1)
    done = command(*update, "--models", "new", cwd=folder)
    assert done.stdout.splitlines() == [
        "changed  new/pairs-a: 50.0000 -> 51.5000 (+1.5000)",
        "baseline: baseline.json, 8 cell(s)",
    ]


def test_update_refuses_a_baseline_with_holes(folder, command):
    """A cell without a score would drop out of sight; nothing is written."""
    suite_with(folder, "models: new, axis: embedding, max_drop: 0.5")
    put(folder, "new/pairs-a", None)
    done = command("gate", "mine.yaml", "--offline", "--baseline", "b.json", "--update", "--models", "new", cwd=folder)
    assert done.returncode == 4
    assert "the baseline was not written: 3 cell(s) have no score" in done.stderr
    assert "new/pairs-a: error" in done.stderr
    assert not (folder / "b.json").exists()


def test_a_cell_that_left_the_suite_fails_the_gate(folder, command):
    """Deleting a task is no way past a stored baseline."""
    suite_with(folder, "models: words, axis: embedding, max_drop: 0.5")
    both_tasks(folder, "words", 50, 60)
    stored_baseline(command, folder, "--models", "words")
    text = (folder / "mine.yaml").read_text(encoding="utf-8")
    write(folder / "mine.yaml", text.replace("    - {name: pairs-b, type: STS, path: b.jsonl}\n", ""))
    code, checks = gate(command, folder, "--baseline", "baseline.json")
    assert code == 1
    assert checks[1]["reasons"] == [
        "words/pairs-b: in the baseline and no longer in the suite; `--update` takes it out"
    ]


# --- non-inferiority ---


@pytest.mark.parametrize(("margin", "passes"), [(0.2, False), (4.0, True)])
def test_non_inferiority_is_paired_where_items_are_at_hand(folder, command, margin, passes):
    """The whole interval must lie above the margin; it is that of the paired differences, by name."""
    suite_with(folder, f"models: new, task: pairs-a, max_drop: {margin}, test: non-inferiority, against: base")
    gold, cosine = noisy(1, 1.0)
    near = (gold, cosine + np.random.default_rng(9).normal(0, 0.1, len(gold)))
    put(folder, "base/pairs-a", spearman((gold, cosine)), items=(gold, cosine), n=200, stderr=2.0)
    put(folder, "new/pairs-a", spearman(near), items=near, n=200, stderr=2.0)
    code, (check,) = gate(command, folder)
    assert (code, check["rule"]) == (0 if passes else 1, "non-inferiority")
    assert "(paired over items), the 95% interval begins at -" in check["said"]


def test_non_inferiority_against_a_file_is_unpaired_and_says_so(folder, command):
    """The file has standard errors alone: 60 +- 3 against 60 +- 4 reaches 1.96 x 5 = 9.80 below."""
    suite_with(folder, *(f"models: new, task: pairs-a, max_drop: {m}, test: non-inferiority" for m in (9.7, 9.9)))
    score = put(folder, "new/pairs-a", 60.0, stderr=4.0)
    cell = {"metric": "cosine_spearman", "score": 60.0, "stderr": 3.0, "n": 2, "limit": None, "key": "0" * 20}
    write(folder / "b.json", json.dumps({"version": 1, "cells": {"new/pairs-a": cell}}))
    code, checks = gate(command, folder, "--baseline", "b.json")
    assert (code, [check["passed"] for check in checks]) == (1, [False, True])
    assert "unpaired, from both standard errors" in checks[0]["said"]
    assert "begins at -9.80, asked for above -9.70" in checks[0]["said"]
    put(folder, "new/pairs-a", 60.0, stderr=None)
    _, checks = gate(command, folder, "--baseline", "b.json")
    assert checks[1]["reasons"] == ["60.00, +0.00 to b.json (no interval): no 95% interval, so no test"]
    assert score is not None
    write(folder / "b.json", json.dumps({"version": 1, "cells": {"new/pairs-a": cell | {"key": score.key}}}))
    _, checks = gate(command, folder, "--baseline", "b.json")
    assert "(the very same cell)" in checks[0]["said"]


def test_non_inferiority_against_another_results_folder_is_paired(folder, command):
    """Items are read from both folders, though the cells have one key."""
    suite_with(folder, "models: new, task: pairs-a, max_drop: 5, test: non-inferiority")
    before, after = noisy(1, 1.0), noisy(1, 1.05)
    put(folder, "new/pairs-a", spearman(before), items=before, n=200, results="old")
    put(folder, "new/pairs-a", spearman(after), items=after, n=200)
    code, (check,) = gate(command, folder, "--baseline", "old")
    assert "(paired over items)" in check["said"], check
    assert code == 0
    assert check["value"] == pytest.approx(spearman(after) - spearman(before))


def test_the_mean_of_several_tasks_has_one_interval(folder, command):
    """Two tasks with standard errors 3 and 4 on both sides: half the root of 2 x 9 + 2 x 16, times 1.96."""
    suite_with(folder, "models: new, axis: embedding, max_drop: 7, test: non-inferiority")
    put(folder, "new/pairs-a", 60.0, stderr=3.0)
    put(folder, "new/pairs-b", 70.0, stderr=4.0)
    cell = {"metric": "cosine_spearman", "n": 2, "limit": None, "key": "0" * 20}
    cells = {"new/pairs-a": cell | {"score": 60.0, "stderr": 3.0}, "new/pairs-b": cell | {"score": 70.0, "stderr": 4.0}}
    write(folder / "b.json", json.dumps({"version": 1, "cells": cells}))
    code, (check,) = gate(command, folder, "--baseline", "b.json")
    assert f"begins at {-1.959964 * math.sqrt(50) / 2:+.2f}, asked for above -7.00" in check["said"]
    assert code == 0


# --- cells that no gate may pass over ---


@pytest.mark.parametrize(
    ("prepare", "gates", "reason", "code"),
    [
        (lambda f: None, "task: pairs-a", "new/pairs-a: missing: not run yet", 1),
        (lambda f: put(f, "new/pairs-a", None), "task: pairs-a", "new/pairs-a: failed: ValueError: a NaN vector", 3),
        (lambda f: put(f, "new/pairs-a", math.nan), "task: pairs-a", "new/pairs-a: the score is nan", 1),
        (
            lambda f: put(f, "new/pairs-a", 90.0, limit=50),
            "task: pairs-a",
            "new/pairs-a: limited to 50 item(s); a gate wants whole tasks, or `allow_limited: true`",
            1,
        ),
        (lambda f: put(f, "new/pairs-a", 90.0), "type: STS", "new/pairs-b: missing: not run yet", 1),
        (
            lambda f: None,
            "models: words, axis: ability",
            "words/sums: n/a: no language model; `models:` in the gate says whom it is for",
            1,
        ),
    ],
)
def test_a_cell_without_a_full_finite_score_fails_its_gate(folder, command, prepare, gates, reason, code):
    """With its reason; a failed cell's exit code 3 goes before the gate's 1."""
    suite_with(folder, f"{'' if 'models' in gates else 'models: new, '}{gates}, floor: 1")
    prepare(folder)
    done, (check,) = gate(command, folder)
    assert (done, check["passed"], check["value"], check["reasons"]) == (code, False, None, [reason])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n": 3}, "n 2, there 3"),
        ({"limit": 40}, "limit None, there 40"),
        ({"metric": "cosine_pearson"}, "metric cosine_spearman, there cosine_pearson"),
    ],
)
def test_another_task_than_the_baselines_fails(folder, command, changes, reason):
    """Other items, another limit or metric are no drop, and no gain either."""
    suite_with(folder, "models: new, task: pairs-a, max_drop: 50")
    put(folder, "new/pairs-a", 90.0)
    cell = {"metric": "cosine_spearman", "score": 60.0, "stderr": 3.0, "n": 2, "limit": None, "key": "0" * 20}
    write(folder / "b.json", json.dumps({"version": 1, "cells": {"new/pairs-a": cell | changes}}))
    code, (check,) = gate(command, folder, "--baseline", "b.json")
    assert (code, check["reasons"]) == (1, [f"new/pairs-a: not the task of the baseline: {reason}"])


def test_a_cell_the_baseline_does_not_have_fails(folder, command):
    """And so does a reference model's cell that failed."""
    suite_with(folder, "models: new, task: pairs-a, max_drop: 50", "models: new, task: pairs-a, min_gain: 1")
    put(folder, "new/pairs-a", 90.0)
    put(folder, "base/pairs-a", None)
    write(folder / "b.json", json.dumps({"version": 1, "cells": {}}))
    _, checks = gate(command, folder, "--baseline", "b.json")
    assert [check["reasons"] for check in checks] == [
        ["new/pairs-a: not in the baseline b.json"],
        ["base/pairs-a: failed: ValueError: a NaN vector"],
    ]


# --- decisions ---


def test_flips_are_counted_against_the_file(folder, command):
    """Two answers of four are others: the score may be the same, the gate counts them; digests are in the file."""
    suite_with(folder, "models: new, task: sums, max_flips: 1", "models: new, axis: ability, max_flips: 2")
    for model in ("base", "new", "words"):
        both_tasks(folder, model, 50, 60)
    put(folder, "base/sums", 50.0)
    put(folder, "new/sums", 50.0, n=4, filtered=["1", "2", "3", "4"])
    stored_baseline(command, folder)
    made = json.loads((folder / "baseline.json").read_text("utf-8"))["cells"]["new/sums"]["decisions"]
    assert (made["kind"], len(made["values"]), [len(one.split()) for one in made["made"]]) == ("answers", 4, [4])
    assert gate(command, folder, "--baseline", "baseline.json")[0] == 0
    put(folder, "new/sums", 50.0, n=4, filtered=["2", "1", "3", "4"])
    code, checks = gate(command, folder, "--baseline", "baseline.json")
    assert (code, [(check["passed"], check["value"], check["rule"]) for check in checks]) == (
        1,
        [(False, 2, "max_flips"), (True, 2, "max_flips")],
    )
    said = "2 of 4 decision(s) other than in baseline.json (50.00, +0.00), asked for at most"
    assert [check["said"] for check in checks] == [f"{said} 1", f"{said} 2"]


def test_flips_are_counted_against_another_results_folder_and_model(folder, command):
    """There the decisions are in the cells' own items."""
    suite_with(folder, "models: new, task: sums, max_flips: 0", "models: new, task: sums, max_flips: 0, against: base")
    put(folder, "base/sums", 50.0, n=4, filtered=["1", "2", "3", "4"])
    put(folder, "new/sums", 50.0, n=4, filtered=["1", "2", "3", "5"])
    put(folder, "new/sums", 75.0, n=4, filtered=["1", "2", "4", "6"], results="before")
    code, checks = gate(command, folder, "--baseline", "before")
    assert (code, [check["value"] for check in checks]) == (1, [2, 1])


def test_flips_that_cannot_be_counted_fail(folder, command):
    """A correlation is not made of decisions; a file of before has none; other items are other decisions."""
    suite_with(folder, "models: new, max_flips: 9, axis: ability", "models: new, max_flips: 9, task: pairs-a")
    put(folder, "new/sums", 50.0, n=2, filtered=["1", "2"])
    put(folder, "new/pairs-a", 50.0)
    cell = {"score": 50.0, "stderr": 3.0, "n": 2, "limit": None, "key": "0" * 20}
    cells = {"new/sums": cell | {"metric": "acc"}, "new/pairs-a": cell | {"metric": "cosine_spearman"}}
    write(folder / "b.json", json.dumps({"version": 1, "cells": cells}))
    _, checks = gate(command, folder, "--baseline", "b.json")
    assert [check["reasons"] for check in checks] == [
        ["no decisions are at hand for b.json; `--update` writes them"],
        ["cosine_spearman is not made of decisions; use `max_change`"],
    ]
    cells["new/sums"]["decisions"] = {"kind": "answers", "values": ["x"], "made": ["0 0 0"]}
    write(folder / "b.json", json.dumps({"version": 1, "cells": cells}))
    _, checks = gate(command, folder, "--baseline", "b.json")
    assert checks[0]["reasons"] == ["not the decisions of b.json: on other items, or of another kind"]
    cells["new/sums"]["decisions"] = {"kind": "answers", "values": ["x"], "made": ["0 1"]}
    write(folder / "b.json", json.dumps({"version": 1, "cells": cells}))
    done = command("gate", "mine.yaml", "--offline", "--baseline", "b.json", cwd=folder)
    assert (done.returncode, "b.json: not a baseline file: IndexError" in done.stderr) == (2, True)


def test_limited_cells_are_judged_where_the_gate_says_so(folder, command):
    """For a quick check on every push."""
    suite_with(folder, "models: new, task: pairs-a, floor: 50, allow_limited: true")
    put(folder, "new/pairs-a", 90.0, limit=50)
    assert gate(command, folder)[0] == 0


def test_without_models_every_model_is_judged_but_the_one_compared_with(folder, command):
    """`min_gain` is over the baseline, which cannot gain over itself."""
    suite_with(folder, "task: pairs-a, min_gain: 1", "task: pairs-a, floor: 1")
    for model, score in (("base", 50), ("new", 52), ("words", 20)):
        put(folder, f"{model}/pairs-a", score)
    code, checks = gate(command, folder)
    assert code == 1
    assert [(check["model"], check["passed"]) for check in checks] == [
        ("new", True),
        ("words", False),
        ("base", True),
        ("new", True),
        ("words", True),
    ]
    assert [check["model"] for check in gate(command, folder, "--models", "new")[1]] == ["new", "new"]


# --- what it writes ---

ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id"},
    "testcase": {"name", "assertions", "time", "classname", "status"},
    "failure": {"type", "message"},
    "system-out": set(),
}
"""Elements and attributes of the schema that Jenkins, GitLab and GitHub's actions read."""
CHILDREN = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "system-out"}}


def test_the_summary_and_the_junit_file(folder, command):
    """Both name what failed and why; the XML keeps to the usual schema, and its counts are those of its elements."""
    suite_with(
        folder, 'name: "a <b> & \\x07 | c", models: new, task: pairs-a, floor: 95', "models: new, floor: 1, type: STS"
    )
    both_tasks(folder, "new", 90, 80)
    done = command("gate", "mine.yaml", "--offline", "--summary", "ci/s.md", "--junit", "ci/j.xml", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.endswith("gate of mine: 1 of 2 check(s) failed\n")
    text = (folder / "ci/s.md").read_text(encoding="utf-8")
    assert text.startswith("## Gate of mine: 1 of 2 check(s) failed\n\n### Failed\n")
    assert "| new | pairs-a | 90.00, asked for at least 95.00 |" in text
    assert "\\| c" in text
    root = ElementTree.fromstring((folder / "ci/j.xml").read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ALLOWED[element.tag]
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(sum(case.find("failure") is not None for case in cases))
    first, second = root
    assert [first.get("name"), second.get("name")] == ["a <b> & \N{REPLACEMENT CHARACTER} | c", "STS: floor 1"]
    (failure,) = root.iter("failure")
    assert failure.attrib == {"type": "floor", "message": "90.00, asked for at least 95.00"}


# --- mistakes ---


@pytest.mark.parametrize(
    ("gates", "arguments", "message"),
    [
        (None, [], "mine.yaml has no gates; write some, such as `gates: [{axis: embedding, floor: 50}]`"),
        ("max_drop: 1", [], "mine.yaml has gates against a baseline: give --baseline FILE"),
        ("max_drop: 1", ["--baseline", "no.json"], "--baseline no.json: no such file; `harness gate SUITE --update`"),
        ("max_drop: 1", ["--baseline", "a.jsonl"], "--baseline a.jsonl: not a baseline file: "),
        ("max_drop: 1", ["--baseline", "old.json"], "--baseline old.json: not a baseline file of version 1"),
        ("max_drop: 1", ["--baseline", "holes.json"], "--baseline holes.json: not a baseline file: KeyError('stderr')"),
        ("max_drop: 1", ["--baseline", "weights"], "--baseline weights: a folder without results"),
        ("floor: 1", ["--update"], "--update needs --baseline FILE: the file to write"),
        ("floor: 1", ["--models", "nwe"], "--models nwe: no such model in the suite; there are: base, new, words; did"),
        ("floor: 1, models: new", ["--models", "base"], "--models base: no gate of mine.yaml is for these models"),
        ("floor: 1", ["--junit", "a.jsonl/x.xml"], "--junit a.jsonl/x.xml: cannot be written (not a folder)"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_2(folder, command, gates, arguments, message):
    """And says what to do, without a traceback."""
    suite_file(folder, BODY + (f"gates: [{{{gates}}}]\n" if gates else ""))
    write(folder / "old.json", "{}")
    write(folder / "holes.json", json.dumps({"version": 1, "cells": {"new/pairs-a": {"key": "x", "score": 1.0}}}))
    done = command("gate", "mine.yaml", "--offline", *arguments, cwd=folder)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith(message)


def test_every_mistake_in_gates_is_named_at_once(folder):
    """With file, line, column, and the nearest right word."""
    suite_with(
        folder,
        "axis: embedding",
        "floor: 1, max_drop: 2",
        "floor: 1, test: non-inferiority",
        "floor: .inf, against: base",
        "max_drop: -1, against: bas",
        "type: Sts, floor: 1, models: [nwe]",
        "task: pairs-c, floor: 1",
        "axis: ability, type: STS, floor: 1",
        "axis: embeddings, floor: 1, flor: 2",
        "name: one, floor: 1",
        "name: one, floor: 2",
        "max_drop: 1, test: noninferiority",
    )
    with pytest.raises(InputError) as caught:
        load_suite(folder / "mine.yaml")
    problems = [line.removeprefix("mine.yaml:") for line in caught.value.problems]
    rules = "floor, max_drop, max_change, max_flips, min_gain"
    assert problems == [
        f"13:5: a gate needs exactly one of {rules}; this one has none",
        f"14:5: a gate needs exactly one of {rules}; this one has floor and max_drop",
        "15:22: test: 'non-inferiority' goes with max_drop: it says by how much a model may be worse",
        "16:13: gates.3.floor: expected a finite number, got .inf",
        "16:19: against: a floor is compared with nothing; take it out",
        "17:16: gates.4.max_drop: expected 0 or more, got -1",
        "17:29: against: 'bas' is no model here; models: base, new, words; did you mean 'base'?",
        "18:12: type: this suite has no type 'Sts'; it has: STS, Own; did you mean 'STS'?",
        "18:36: models: 'nwe' is no model here; models: base, new, words; did you mean 'new'?",
        "19:12: task: this suite has no task 'pairs-c'; it has: pairs-a, pairs-b, sums; did you mean 'pairs-b'?",
        "20:5: no task of this suite is what this gate asks for: it could only fail",
        "21:12: gates.8.axis: 'embeddings' is not one of embedding, ability; did you mean 'embedding'?",
        "21:34: unknown key 'flor'; valid: name, axis, type, task, models, each, floor, max_drop, max_change, "
        "max_flips, min_gain, against, test, allow_limited; did you mean 'floor'?",
        "23:12: gate 'one' is named twice; the first is at mine.yaml:22:12",
        "24:25: gates.11.test: 'noninferiority' is not one of non-inferiority; did you mean 'non-inferiority'?",
    ]


def test_gates_see_the_tasks_of_a_benchmark(tmp_path, monkeypatch):
    """Whole benchmarks and types of one count as named."""
    monkeypatch.chdir(tmp_path)
    body = "models: [{name: a, encoder: tf-idf}]\ntasks: {embedding: {types: [STS]}}\n"
    suite_file(tmp_path, body + "gates: [{task: STS12, floor: 1}, {type: STS, floor: 1}]\n")
    assert [one.task for one in load_suite(tmp_path / "mine.yaml").suite.gates] == ["STS12", None]
    suite_file(tmp_path, body + "gates: [{task: SciFact, floor: 1}]\n")
    with pytest.raises(InputError, match="has no task 'SciFact'"):
        load_suite(tmp_path / "mine.yaml")


def test_changed_gates_change_no_key(folder):
    """A gate is read after the scores were made."""
    suite_file(folder, BODY)
    before = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    suite_with(folder, "floor: 1")
    after = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    assert [cell.key for cell in before.cells] == [cell.key for cell in after.cells]
    assert replace(before, suite=after.suite).suite.gates
