"""`harness compare`: two models on the same items; what is compared, what is left out, and every way it is written."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored_support import BODY, make_folder, noisy, put, spearman
from suites_support import Command, isolate, suite_file

import harness
from harness.comparison.compare import Comparison, compare
from harness.errors import InputError
from harness.report import comparison_files
from harness.report.formats import latex
from harness.results.records import Score
from harness.results.store import Store

PLACE = {"source": "own data", "vouched": "own data, keyed by content", "revision": None}
MADE = {"encoder": {"device": "cpu", "dtype": "float32", "batch_tokens": 4096}, "hardware": {"threads": 2}}
MADE |= {"versions": {"torch": "2.13.0"}, "data": {"pairs": PLACE | {"identity": {"sha256": "a" * 64}}}}


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


def put_pair(folder: Path, cell: str, seed: int, noise: float, **changes: Any) -> Score:
    """Store a cell with 200 pairs, its score that of its items."""
    items = noisy(seed, noise)
    made = {"cell": cell} | MADE | changes.pop("made", {})
    score = put(folder, cell, spearman(items), items=items, n=200, provenance=made, **changes)
    assert score is not None
    return score


def both(folder: Path) -> None:
    """Store two models on both pair tasks: the first much better on the first, both alike on the second."""
    for task, own, other in (("pairs-a", 0.5, 3.0), ("pairs-b", 1.0, 1.0)):
        put_pair(folder, f"new/{task}", 1, own)
        put_pair(folder, f"base/{task}", 2, other)


def test_tasks_types_and_axis_are_compared_on_the_same_items(folder):
    """Values by hand, intervals that hold them, Benjamini-Hochberg over the two tasks: the larger p stays."""
    both(folder)
    found = compare("new", "base")
    first, second = found.of("task")
    (kind,), (tasks, types) = found.of("type"), found.of("axis")
    assert [row.name for row in found.rows] == [
        "pairs-a",
        "pairs-b",
        "mean over tasks",
        "mean over tasks",
        "mean over types",
    ]
    for row in (first, second):
        assert row.difference.value == pytest.approx(row.a - row.b)
        assert row.difference.low < row.difference.value < row.difference.high
        assert (row.difference.wins + row.difference.ties + row.difference.losses, row.n) == (200, 200)
    assert first.difference.is_gain
    assert not second.difference.is_clear
    assert first.difference.q_value == pytest.approx(2 * first.difference.p_value)
    assert second.difference.q_value == pytest.approx(second.difference.p_value)
    mean = (first.difference.value + second.difference.value) / 2
    assert [row.difference.value for row in (kind, tasks, types)] == pytest.approx([mean] * 3)
    assert (tasks.n, types.n, tasks.a) == (2, 1, pytest.approx((first.a + second.a) / 2))
    assert dict(found.units) == {"STS": "pair"}


def test_turned_round_the_signs_turn_and_nothing_else(folder):
    """Wins become losses, and the limits change places; the bootstrap draws the same samples."""
    both(folder)
    there, back = compare("new", "base").of("task")[0], compare("base", "new").of("task")[0]
    assert back.difference.value == pytest.approx(-there.difference.value)
    assert (back.difference.low, back.difference.high) == pytest.approx((-there.difference.high, -there.difference.low))
    assert (back.difference.wins, back.difference.losses) == (there.difference.losses, there.difference.wins)


def test_what_cannot_be_compared_is_named(folder, command):
    """Missing, n/a, failed, other limits: each with its reason; a failed cell ends with 3."""
    put_pair(folder, "new/pairs-a", 1, 1.0)
    put_pair(folder, "words/pairs-a", 2, 1.0)
    put(folder, "new/pairs-b", None)
    put(folder, "words/pairs-b", 50.0)
    found = compare("new", "words", suite="mine.yaml")
    assert found.left_out == (("pairs-b", "new failed: ValueError"), ("sums", "new: not run yet"))
    assert found.failed
    done = command("compare", "new", "words", cwd=folder)
    assert done.returncode == 3
    assert "Left out: pairs-b: new failed: ValueError.\n" in done.stdout
    put(folder, "new/sums", 50.0)
    assert ("sums", "words: n/a: no language model") in compare("new", "words", suite="mine.yaml").left_out
    put(folder, "new/pairs-b", 50.0, limit=50)
    assert compare("new", "words").left_out[0] == ("pairs-b", "limited to 50 for one and to nothing for the other")


def test_two_scores_over_other_items_are_not_compared(folder):
    """Nor where they are as many: each model is named with what it lacks and why."""
    both(folder)
    for cell, item in (("new/pairs-a", 3), ("base/pairs-a", 5)):
        one = {"items": [item], "of": 200, "unit": "pair", "why": "all similarities equal"}
        put(folder, cell, 50.0, n=199, provenance={"cell": cell, "left_out": {"pairs-a test/default": one}})
    reason = dict(compare("new", "base").left_out)["pairs-a"]
    assert reason == (
        "new lacks pair 3 of pairs-a test/default, counted from 0 (all similarities equal); "
        "base lacks pair 5 of pairs-a test/default, counted from 0 (all similarities equal)"
    )


def test_differences_in_the_making_are_named(folder):
    """Batch, device, dtype, threads, versions, data: with both values, and on which tasks."""
    both(folder)
    found = compare("new", "base")
    assert found.unlike == ()
    assert "Both were made with the same batch, device, dtype" in comparison_files.text(found)
    made = {"encoder": {"device": "cuda", "dtype": "bfloat16", "batch_tokens": 64}, "hardware": {"threads": 1}}
    made |= {"versions": {"torch": "2.14.0"}, "data": {"pairs": PLACE | {"identity": {"sha256": "b" * 64}}}}
    put_pair(folder, "base/pairs-b", 2, 1.0, made=made)
    assert list(compare("new", "base").unlike) == [
        "device: cpu for new, cuda for base (1 task(s): pairs-b)",
        "dtype: float32 for new, bfloat16 for base (1 task(s): pairs-b)",
        "batch, in padded tokens: 4096 for new, 64 for base (1 task(s): pairs-b)",
        "threads: 2 for new, 1 for base (1 task(s): pairs-b)",
        "version of torch: 2.13.0 for new, 2.14.0 for base (1 task(s): pairs-b)",
        "data of pairs: sha256 aaaaaaaaaaaa for new, sha256 bbbbbbbbbbbb for base (1 task(s): pairs-b)",
    ]


def test_one_model_in_two_folders(folder, command):
    """`FOLDER:MODEL`, items from both; the sides are called as they were typed."""
    put_pair(folder, "new/pairs-a", 1, 1.0)
    put_pair(folder, "new/pairs-a", 3, 2.0, results="before")
    (row,) = compare("new", "before:new").of("task")
    assert row.difference.low is not None
    assert row.difference.value == pytest.approx(spearman(noisy(1, 1.0)) - spearman(noisy(3, 2.0)))
    done = command("compare", "results:new", "before:new", "--suite", "mine.yaml", "--offline", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("results:new against before:new\n")


def test_from_python_it_is_a_function_of_the_package(folder):
    """`harness.compare(a, b)`, beside the module of that name."""
    both(folder)
    assert isinstance(harness.compare("new", "base"), Comparison)
    from harness.comparison.pair import difference

    assert callable(difference)


def test_the_formats_say_the_same(folder, command):
    """Table, Markdown, CSV, LaTeX and JSON hold the same differences."""
    both(folder)
    found = compare("new", "base")
    shown = [f"{row.difference.value:+.2f}" for row in comparison_files.shown_rows(found)]
    for form in ("table", "markdown", "latex"):
        text = command("compare", "new", "base", "--format", form, cwd=folder).stdout
        assert [one for one in re.findall(r"(?<![\w.])[+-]\d+\.\d\d(?![\d\]])", text) if one in shown] == shown, form
        assert "pair" in text
    rows = list(csv.DictReader(io.StringIO(command("compare", "new", "base", "--format", "csv", cwd=folder).stdout)))
    assert [float(row["difference"]) for row in rows] == pytest.approx(
        [float(r.difference.value) for r in found.rows], abs=0.005
    )
    document = json.loads(command("compare", "new", "base", "--json", cwd=folder).stdout)
    assert [row["difference"]["value"] for row in document["rows"]] == [row.difference.value for row in found.rows]
    assert document["units"] == {"STS": "pair"}
    command("compare", "new", "base", "--format", "csv", "--out", "there/c.csv", cwd=folder)
    assert (folder / "there/c.csv").read_text(encoding="utf-8") == comparison_files.as_csv(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("new", "bas"), "no model 'bas' in results; there are: base, new; did you mean 'base'?"),
        (("new", "new"), "new and new are the same model in the same results"),
        (("new", "gone:base"), "gone: no results there; expected cells/TASK/KEY.json below it (--results DIR)"),
        (("new", ":base"), "':base': expected MODEL, or FOLDER:MODEL"),
        (("new", "base", "--tasks", "pairs-c"), "--tasks pairs-c: new has no such task; did you mean 'pairs-"),
        (("new", "base", "--limit", "5"), "--limit and -o change what a suite asks for: name one with --suite"),
        (("new", "bas", "--suite", "mine.yaml"), "'bas' is no model of mine.yaml; there are: base, new, words; did"),
        (("new", "base", "--suite", "mine.yaml", "--limit", "5"), "new and base have no task in common that can be"),
    ],
)
def test_a_mistake_ends_with_2_and_says_what_to_do(folder, command, arguments, message):
    """No traceback, nothing on standard output."""
    both(folder)
    done = command("compare", *arguments, "--offline", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_several_scores_of_one_name_need_a_suite(folder):
    """Which of two is meant is not guessed."""
    both(folder)
    twice = replace(put_pair(folder, "new/pairs-a", 1, 0.5), key="f" * 20, items=None)
    Store(folder / "results").put_score(twice, None, "pair")
    with pytest.raises(InputError, match=r"new/pairs-a was scored 2 times .*--suite says which is meant"):
        compare("new", "base")
    assert len(compare("new", "base", suite="mine.yaml").of("task")) == 2


# --- LaTeX ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b & 50%", r"a\_b \& 50\%"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("$x^2$ #1 ~", r"\$x\textasciicircum{}2\$ \#1 \textasciitilde{}"),
        ("a -- b\nc\x07", "a -{}- b c "),
        ("<i>|é", r"\textless{}i\textgreater{}\textbar{}é"),
    ],
)
def test_latex_shows_text_as_it_is(text, shown):
    """Nothing in a name is read as a command."""
    assert latex.escape(text) == shown


def test_latex_tables_have_as_many_cells_as_columns(folder, command):
    """Of a comparison and of a report: braces and environments close, booktabs' rules alone."""
    suite_file(folder, BODY.replace("name: new", "name: new_50@x"))
    for task in ("pairs-a", "pairs-b"):
        put_pair(folder, f"new_50@x/{task}", 1, 1.0)
        put_pair(folder, f"base/{task}", 2, 2.0)
    compared = command("compare", "new_50@x", "base", "--format", "latex", cwd=folder).stdout
    done = command("report", "mine.yaml", "--offline", "--out", "there", "--format", "latex", cwd=folder)
    assert done.returncode == 0, done.stderr
    report = (folder / "there/report.tex").read_text(encoding="utf-8")
    assert report.count(r"\begin{table}") == 2
    for text in (compared, report):
        assert r"new\_50@x" in text
        assert re.findall(r"(?<!\\)[{}]", text).count("{") == re.findall(r"(?<!\\)[{}]", text).count("}")
        assert not re.findall(r"(?<!\\)[_#^~]", text)
        for columns, body in re.findall(r"\\begin{tabular}{@{}(\w+)@{}}(.*?)\\end{tabular}", text, re.DOTALL):
            lines = [line for line in body.strip().splitlines() if line.endswith(r"\\")]
            assert len(lines) >= 2
            assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}
            rest = {line for line in body.strip().splitlines() if not line.endswith(r"\\")}
            assert rest == {r"\toprule", r"\midrule", r"\bottomrule"}


def test_flips_show_the_items_that_moved(folder, command):
    """As text, Markdown and JSON: counts of all, so many items as are asked for."""
    both(folder)
    done = command("compare", "new", "base", "--flips", "-n", "1", "--tasks", "pairs-a", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("new against base: the items that moved most\n\npairs-a (STS, cosine_spearman)\n")
    assert done.stdout.count("     gold score") == 1
    assert "2. item" not in done.stdout
    document = json.loads(command("compare", "new", "base", "--flips", "--json", cwd=folder).stdout)
    (task,) = (one for one in document["tasks"] if one["task"] == "pairs-a")
    assert task["n"] == 200
    assert len(task["items"]) == 5
    moved = [abs(one["change"]) for one in task["items"]]
    assert moved == sorted(moved, reverse=True)
    assert document["a"] == "new"
    said = command("compare", "new", "base", "--flips", "--format", "markdown", cwd=folder).stdout
    assert "## pairs-a (STS, cosine_spearman)" in said


def test_options_of_flips_that_would_do_nothing_are_refused(folder, command):
    """All at once, before anything is read."""
    both(folder)
    done = command("compare", "new", "base", "-n", "3", "--no-texts", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.count("add --flips") == 2
    done = command("compare", "new", "base", "--flips", "--format", "csv", cwd=folder)
    assert done.returncode == 2
    assert "expected table, markdown, --json" in done.stderr
