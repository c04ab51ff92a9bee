"""The `harness` command as a user meets it: real processes, exit codes, standard output and standard error."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from suites_support import Command, biosses, harness, isolate, suite_file, weights

from harness.plan.planner import make_plan
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.schema import Suite
from harness.tasks.catalogue import catalogue

BODY = """\
models:
  - {name: minilm, encoder: sentence-transformers, model: weights}
  - {name: base, encoder: mean-pool, model: weights}
  - {name: new, candidate: runs/new, config: new.yaml}
tasks:
  embedding: {names: [BIOSSES, STS12]}
  ability: [gsm8k]
"""
CELLS = [f"{model}/{task}" for model in ("minilm", "base", "new") for task in ("BIOSSES", "STS12", "gsm8k")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a small suite, its weights, and a hub that holds one of its two datasets."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    suite_file(tmp_path, BODY)
    weights(tmp_path / "weights")
    biosses(tmp_path / "hub")
    return tmp_path


@pytest.fixture
def command(monkeypatch, capsys):
    """The command, run in this process."""
    return Command(monkeypatch, capsys)


def key_of(folder: Path, cell: str) -> str:
    """Return the key of a cell of the small suite."""
    plan = make_plan(load_suite(folder / "mine.yaml").suite, Sources(hub=folder / "hub", offline=True))
    (key,) = (one.key for one in plan.cells if str(one) == cell)
    assert key is not None
    return key


def stored(folder: Path, model: str, score: float | None) -> str:
    """Store a score, or with None a failure, for BIOSSES; return its key."""
    store, key = Store(folder / "results"), key_of(folder, f"{model}/BIOSSES")
    common = {"key": key, "model": model, "axis": "embedding", "type": "STS", "task": "BIOSSES"}
    if score is None:
        store.put_failure(Failure(**common, error="ValueError", message="no", traceback="Traceback: no\n"))
    else:
        rest = {"metric": "cosine_spearman", "stderr": None, "ci_low": None, "ci_high": None, "n": 100, "limit": None}
        store.put_score(Score(**common, **rest, score=score, items_missing="made by hand"), None, "pair")
    return key


# --- the command itself ---


def test_help_names_every_command(tmp_path):
    """On standard output, with exit code 0."""
    done = harness("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("run", "report", "plan", "validate", "ls", "inspect", "schema"):
        assert f"\n  {command} " in done.stdout


def test_help_of_a_command_names_its_flags(tmp_path, command):
    """The common ones of the design."""
    done = command("run", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for flag in ("results", "out", "hub", "offline", "models", "tasks", "limit", "available", "workers", "json"):
        assert f" --{flag} " in done.stdout
    assert " -o KEY=VALUE " in done.stdout


def test_no_command_shows_the_help(tmp_path, command):
    """And is wrong usage."""
    done = command(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: " in done.stdout + done.stderr


def test_version_is_the_distributions(tmp_path):
    """One line."""
    done = harness("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{version('encoder-verdict')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plann"], "No such command 'plann'. Did you mean 'plan'?"),
        (["run"], "Missing argument 'SUITE'."),
        (["plan", "full", "--nope"], "No such option: --nope"),
        (["ls", "--tsks"], "No such option: --tsks (Possible options: --tasks)"),
        (["plan", "full", "--limit", "0"], "Invalid value for '--limit': Input should be greater than or equal to 1"),
        (["plan", "full", "--limit", "many"], "Invalid value for '--limit': "),
    ],
)
def test_wrong_usage_ends_with_2_and_no_traceback(tmp_path, arguments, message, command):
    """What is wrong, and where help is."""
    done = command(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert f"Error: {message}" in done.stderr
    assert "--help' for help." in done.stderr


@pytest.mark.parametrize("name", ["run", "plan", "report"])
def test_a_hub_that_is_no_folder_ends_with_2(folder, name, command):
    """Before anything else is looked at."""
    done = command(name, "mine.yaml", "--hub", "nowhere", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("--hub nowhere: no such folder; expected datasets/ORG/NAME and models/ORG/NAME below it\n")


@pytest.mark.parametrize("name", ["run", "plan", "report", "ls", "validate"])
def test_a_suite_that_is_not_there_ends_with_2(tmp_path, name, command):
    """Every command that takes one says the same."""
    done = command(name, "gone.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "gone.yaml: no such file\n")


# --- validate and schema ---


def test_validate_says_what_each_suite_has(folder, command):
    """Shipped ones by name, own ones by path."""
    done = command("validate", "mteb-eng-v1", "mine.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "mteb-eng-v1: ok, 0 model(s) x 56 task(s)\nmine.yaml: ok, 3 model(s) x 3 task(s)\n"


def test_validate_says_what_own_data_are_like(folder, command):
    """Under the suite's line, task by task, before anything is scored."""
    rows = "".join(f'{{"sentence1": "a{n % 3}", "sentence2": "b", "score": {n % 3}}}\n' for n in range(4))
    (folder / "pairs.jsonl").write_text(rows, encoding="utf-8")
    suite_file(folder, "tasks: {custom: [{name: own, type: STS, path: pairs.jsonl}]}\n", name="own")
    done = command("validate", "own.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    said = "  remark: own: 1 of 4 pairs are there before, with the same score, and count again\n"
    assert done.stdout == f"own.yaml: ok, 0 model(s) x 1 task(s)\n{said}"


def test_validate_takes_overrides(folder, command):
    """A value that only the command line spoils is named as such."""
    done = command("validate", "mine.yaml", "-o", "limit=none", "-o", "seed=x", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "-o limit=none: limit: expected a whole number, got 'none'",
        "-o seed=x: seed: expected a whole number, got 'x'",
    ]


def test_schema_prints_the_json_schema_of_suites(tmp_path, command):
    """One JSON document, that of the code."""
    done = command("schema", cwd=tmp_path)
    printed = json.loads(done.stdout)
    assert printed.pop("$schema") == "https://json-schema.org/draft/2020-12/schema"
    assert printed == Suite.model_json_schema()


# --- ls ---


def test_ls_lists_the_shipped_suites(tmp_path, command):
    """Each with its number of tasks and its description."""
    lines = command("ls", cwd=tmp_path).stdout.splitlines()
    counts = {line.split()[0]: int(line.split()[1]) for line in lines}
    assert counts.items() >= {"mteb-eng-v1": 56, "mteb-eng-v2": 41, "grace-subset": 16}.items()
    rows = json.loads(command("ls", "--json", cwd=tmp_path).stdout)
    assert {row["suite"]: row["tasks"] for row in rows} == counts


def test_ls_tasks_lists_every_task_that_can_be_named(tmp_path, command):
    """Both axes, with type, metric and splits."""
    lines = command("ls", "--tasks", cwd=tmp_path).stdout.splitlines()
    assert {line.split()[0] for line in lines} == set(catalogue().tasks)
    (line,) = (line for line in lines if line.startswith("MSMARCO "))
    assert line.split() == ["MSMARCO", "Retrieval", "ndcg_at_10", "dev"]
    assert {row["task"] for row in json.loads(command("ls", "--tasks", "--json", cwd=tmp_path).stdout)} == set(
        catalogue().tasks
    )


def test_ls_of_a_suite_lists_its_cells_with_their_state(folder, command):
    """Key where there is one, reason where there is none, and the score once there is one."""
    key = stored(folder, "base", 81.25)
    done = command("ls", "mine.yaml", "--hub", "hub", "--offline", cwd=folder)
    lines = done.stdout.splitlines()
    assert (done.returncode, [line.split()[0] for line in lines]) == (0, CELLS)
    rows = {line.split()[0]: line for line in lines}
    assert rows["base/BIOSSES"].split() == ["base/BIOSSES", "ok", "81.25", key]
    assert " to run " in rows["minilm/BIOSSES"]
    assert " missing " in rows["base/STS12"]
    assert rows["minilm/gsm8k"].split() == ["minilm/gsm8k", "n/a", "-", "no", "language", "model"]
    assert rows["new/BIOSSES"].endswith("grace train new.yaml --out runs/new")


def test_ls_of_an_unknown_cell_suggests_a_near_one(folder, command):
    """And ends with 2."""
    done = command("ls", "mine.yaml", "base/BIOSES", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "no cell 'base/BIOSES' in mine.yaml; did you mean 'base/BIOSSES'?\n"


# --- plan ---


def test_plan_json_is_one_document_with_the_contracts_keys(folder, command):
    """Standard output holds JSON and nothing else; each cell says what it is."""
    done = command("plan", "mine.yaml", "--hub", "hub", "--offline", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    plan = json.loads(done.stdout)
    assert {"cells", "totals"} <= set(plan)
    contract = {"model", "axis", "type", "task", "engine", "key", "status", "items"}
    assert all(contract <= set(cell) for cell in plan["cells"])
    assert [f"{cell['model']}/{cell['task']}" for cell in plan["cells"]] == CELLS
    first = plan["cells"][0]
    assert {name: first[name] for name in ("axis", "type", "engine", "status", "items")} == {
        "axis": "embedding",
        "type": "STS",
        "engine": "mteb",
        "status": "to run",
        "items": 100,
    }
    assert [cell["key"] for cell in plan["cells"] if cell["model"] == "new"] == [None] * 3
    assert plan["totals"]["cells"] == 9
    assert sum(plan["totals"]["by_status"].values()) == sum(plan["totals"]["by_type"].values()) == 9
    assert {gap["command"] for gap in plan["gaps"]} >= {"grace train new.yaml --out runs/new"}


def test_plan_of_full_has_the_benchmarks_cells(tmp_path, command):
    """56 embedding cells a model, 15/4/11/3/12/10/1 by type, without hub or network."""
    plan = json.loads(command("plan", "full", "--offline", "--json", cwd=tmp_path).stdout)
    assert plan["totals"]["cells"] == len(plan["cells"]) == 7 * (56 + len(load_suite("ability").suite.tasks.ability))
    of_base = [cell["type"] for cell in plan["cells"] if cell["model"] == "base" and cell["axis"] == "embedding"]
    types = ("Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization")
    assert [of_base.count(kind) for kind in types] == [15, 4, 11, 3, 12, 10, 1]


def test_plan_for_people_says_what_is_there_and_how_to_get_the_rest(folder, command):
    """One line a task, and a command for each gap."""
    done = command("plan", "mine.yaml", "--hub", "hub", "--offline", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.startswith("mine.yaml: 3 model(s) x 3 task(s) = 9 cell(s)\n")
    assert "get it: grace train new.yaml --out runs/new" in done.stdout
    assert "get it: hf download mteb/sts12-sts --repo-type dataset --revision " in done.stdout


def test_plan_takes_limit_and_filters(folder, command):
    """--models, --tasks, --limit and -o narrow the matrix; a limited cell has another key."""
    options = ["--hub", "hub", "--offline", "--json", "--models", "base, minilm", "--tasks", "BIOSSES"]
    whole = json.loads(command("plan", "mine.yaml", *options, cwd=folder).stdout)["cells"]
    limited = json.loads(command("plan", "mine.yaml", *options, "--limit", "10", cwd=folder).stdout)["cells"]
    by_override = json.loads(command("plan", "mine.yaml", *options, "-o", "limit=10", cwd=folder).stdout)["cells"]
    assert [(cell["model"], cell["items"]) for cell in whole] == [("minilm", 100), ("base", 100)]
    assert [(cell["items"], cell["limit"]) for cell in limited] == [(10, 10), (10, 10)]
    assert limited == by_override
    assert len({cell["key"] for cell in whole + limited}) == 4


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (
            ["--models", "bas"],
            "--models bas: no such model in the suite; there are: minilm, base, new; did you mean 'base'?",
        ),
        (
            ["--tasks", "STS1"],
            "--tasks STS1: no such task in the suite; there are: BIOSSES, STS12, gsm8k; did you mean 'STS12'?",
        ),
    ],
)
def test_a_filter_that_names_nothing_ends_with_2(folder, flag, message, command):
    """With the names there are."""
    done = command("plan", "mine.yaml", *flag, cwd=folder)
    assert (done.returncode, done.stderr) == (2, f"{message}\n")


def test_plan_imports_no_engine(folder):
    """It stays a matter of milliseconds."""
    done = harness("plan", "mine.yaml", "--hub", "hub", "--offline", cwd=folder, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "pydantic" in imported
    assert imported.isdisjoint({"mteb", "lm_eval", "torch", "transformers", "datasets", "pandas", "scipy"})


# --- inspect ---


def test_inspect_shows_the_record_of_a_cell(folder, command):
    """By model and task, and by the beginning of its key."""
    key = stored(folder, "base", 50.0)
    by_name = command("inspect", "base/BIOSSES", cwd=folder)
    by_key = command("inspect", key[:8], cwd=folder)
    assert by_name.returncode == by_key.returncode == 0
    assert by_name.stdout == by_key.stdout
    assert json.loads(by_name.stdout)["key"] == key


def test_inspect_shows_the_traceback_of_a_failed_cell(folder, command):
    """On standard error, the record on standard output."""
    stored(folder, "base", None)
    done = command("inspect", "base/BIOSSES", cwd=folder)
    assert json.loads(done.stdout)["error"] == "ValueError"
    assert done.stderr == "Traceback: no\n"


def test_inspect_of_an_unknown_cell_suggests_a_near_one(folder, command):
    """What is stored is listed."""
    stored(folder, "base", 50.0)
    done = command("inspect", "base/BIOSES", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "no cell 'base/BIOSES' in results; there are: base/BIOSSES; did you mean 'base/BIOSSES'?\n"


def test_inspect_without_results_says_so(tmp_path, command):
    """An empty results folder holds no cell."""
    done = command("inspect", "base/BIOSSES", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "no cell 'base/BIOSSES' in results; there are: none\n"


# --- report and run ---


def test_report_is_written_from_what_is_stored(folder, command):
    """The files of the contract, in the folder of the suite; nothing is run."""
    stored(folder, "base", 81.25)
    done = command("report", "mine.yaml", "--hub", "hub", "--offline", cwd=folder)
    assert "Traceback" not in done.stderr
    written = {path.name for path in (folder / "reports" / "out" / "mine").iterdir()}
    assert written >= {"report.md", "index.html", "scores.csv", "metrics.csv"}
    scores = (folder / "reports/out/mine/scores.csv").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("base,embedding,STS,BIOSSES,cosine_spearman,81.25,") for line in scores)


def test_report_json_is_one_document(folder, command):
    """With a status for every cell of the suite."""
    key = stored(folder, "base", 81.25)
    done = command("report", "mine.yaml", "--hub", "hub", "--offline", "--json", "--out", "there", cwd=folder)
    report = json.loads(done.stdout)
    cells = {cell["cell"]: cell for cell in report["cells"]}
    assert list(cells) == CELLS
    assert (cells["base/BIOSSES"]["status"], cells["base/BIOSSES"]["key"]) == ("ok", key)
    assert cells["minilm/gsm8k"]["status"] == "n/a"
    assert cells["new/BIOSSES"]["status"] == "missing"
    assert (folder / "there" / "report.md").is_file()


def test_run_lists_all_that_is_lacking_and_runs_nothing(folder):
    """Exit code 4: a dataset and a candidate, both with their commands; no report is written."""
    done = harness(
        "run", "mine.yaml", "--hub", "hub", "--offline", "--models", "base,new", "--tasks", "BIOSSES,STS12", cwd=folder
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "Traceback" not in done.stderr
    assert "nothing was run" in done.stderr
    assert "hf download mteb/sts12-sts" in done.stderr
    assert "grace train new.yaml --out runs/new" in done.stderr
    assert not (folder / "reports").exists()
    assert not (folder / "results" / "cells").exists()


def test_run_of_a_suite_without_models_says_what_to_write(folder):
    """A shipped benchmark is no evaluation yet; the message says how it becomes one."""
    suite_file(folder, "extends: grace-subset\n", "none")
    done = harness("run", "none.yaml", "--offline", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "suite 'none' names no models: write a suite with `extends: [none.yaml]` and `models:`\n"
