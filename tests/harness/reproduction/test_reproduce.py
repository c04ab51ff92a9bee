"""Published rows that plain mteb wrote: told equal, or apart and by what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from published_support import MODEL, REVISION, publish, tiny_model, write_pairs
from suites_support import Command, suite_file

from harness.results.records import Metric, Score
from harness.results.store import Store

HEADS = {"prompts": {"STS": "find what this is about : "}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the data, the model, and published rows: right ones, and two that were made otherwise."""
    import datasets

    folder = tmp_path_factory.mktemp("reproduce")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets-cache")
        patch.setenv("HF_HUB_OFFLINE", "1")
        hub = write_pairs(folder / "hub")
        model, other = tiny_model(folder / "mean"), tiny_model(folder / "cls", "cls")
        publish(folder / "right", hub, model, ["BIOSSES", "SICK-R"])
        publish(folder / "spoilt", hub, model, ["BIOSSES"], prompts={"STS": "query: "})
        publish(folder / "spoilt", hub, other, ["SICK-R"])
        yield folder


def put_own(results: Path) -> None:
    """Store a score of BIOSSES, as an earlier run would."""
    metrics = (Metric(name="main_score", value=50.0, split="test", subset="default"),)
    score = Score(
        key="a", model="model", axis="embedding", type="STS", task="BIOSSES", metric="cosine_spearman", score=50.0,
        stderr=None, ci_low=None, ci_high=None, n=40, limit=None, metrics=metrics,
    )  # fmt: skip
    Store(results).put_score(score, None, "pair")


def reproduced(command: Command, place: Path, source: str, *more: str, code: int) -> dict:
    """Run the command and return its JSON."""
    entry = f"{{encoder: sentence-transformers, model: {place / 'mean' / 'whole'}, device: cpu}}"
    done = command(
        "reproduce",
        entry,
        "--published",
        source,
        "--hub",
        "hub",
        "--offline",
        "--same-data",
        "--json",
        *more,
        cwd=place,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process."""
    return Command(monkeypatch, capsys)


def test_rows_that_plain_mteb_wrote_are_equal(place: Path, command: Command) -> None:
    """To the two decimals that are printed; nothing is tried."""
    found = reproduced(command, place, "right", code=0)
    assert [(one["task"], one["verdict"]) for one in found["rows"]] == [("BIOSSES", "equal"), ("SICK-R", "equal")]
    assert (found["published"]["model"], found["published"]["revision"]) == (MODEL.replace("__", "/"), REVISION)
    assert (found["explanations"], found["tolerance"], found["digits"]) == ([], 0.1, 2)


def test_an_entrys_variants_and_sizes_are_not_run_beside_a_row(place: Path, command: Command) -> None:
    """Neither of an entry in braces nor of a suite's model: the row is of whole vectors and of one prompt."""
    several = "prompts: {STS: '', variants: ['q: ', 'r: ']}, dimensions: 4, precision: [float32, binary], rescore: 5"
    entry = f"{{name: many, encoder: sentence-transformers, model: {place / 'mean' / 'whole'}, device: cpu, {several}}}"
    suite_file(place, f"models: [{entry}]\n")
    for number, model in enumerate((entry, "mine.yaml:many")):
        named = ("--tasks", "BIOSSES", "--hub", "hub", "--offline", "--same-data", "--results", f"many-{number}")
        done = command("reproduce", model, "--published", "right", *named, cwd=place)
        assert done.returncode == 0, done.stderr
        assert len(list((place / f"many-{number}" / "cells").rglob("*.json"))) == 1


def test_a_wrong_prompt_and_a_wrong_pooling_are_named(place: Path, command: Command) -> None:
    """Each row that was spoilt is apart, and explained by the one thing that was spoilt."""
    found = reproduced(command, place, "spoilt", code=1)
    assert [one["verdict"] for one in found["rows"]] == ["apart", "apart"]
    prompt, pooling = found["explanations"]
    assert (prompt["row"], prompt["explained_by"]) == ("BIOSSES@test[default]", "prompt")
    assert "'query: '" in prompt["says"]
    assert (pooling["row"], pooling["explained_by"]) == ("SICK-R@test[default]", "pooling")
    assert pooling["says"] == "pooling cls (here: mean)"
    for one, row in zip(found["explanations"], found["rows"], strict=True):
        assert one["tried"][-1]["verdict"] == "equal"
        assert one["tried"][-1]["here"] == pytest.approx(row["published"], abs=0.005)
        assert all(at["verdict"] == "apart" for at in one["tried"][:-1])


def test_a_trial_of_ones_own_comes_first_and_a_cap_is_kept(place: Path, command: Command) -> None:
    """The prompt that was used, given by hand, is found at once; with --explain 0 nothing is run again."""
    own = ("--tasks", "BIOSSES", "--try", "prompts.STS='query: '")
    (found,) = reproduced(command, place, "spoilt", *own, "--explain", "1", code=1)["explanations"]
    assert (found["explained_by"], len(found["tried"])) == ("prompts.STS", 1)
    (none,) = reproduced(command, place, "spoilt", "--tasks", "BIOSSES", "--explain", "0", code=1)["explanations"]
    assert (none["explained_by"], none["tried"]) == (None, [])
    waiting = [line.split(":")[0] for line in none["not_tried"]]
    assert {"version", "revision", "prompt", "pooling", "window", "dtype", "batch"} <= set(waiting)


@pytest.mark.parametrize(("model", "is_said"), [("org/another", True), (f"else/{MODEL.partition('__')[2]}", False)])
def test_rows_of_another_model_are_said_to_be(place: Path, command: Command, model: str, is_said: bool) -> None:
    """The only model of a source is taken whatever it is called; here the weights are lacking, which ends it."""
    entry = f"{{encoder: sentence-transformers, model: {model}}}"
    done = command("reproduce", entry, "--published", "right", "--hub", "hub", "--offline", cwd=place)
    assert done.returncode == 4
    said = f"is org/another, and the only model there is {MODEL.replace('__', '/')}: its rows are compared"
    assert (said in done.stderr) == is_said


def test_other_items_are_not_compared_and_nothing_compared_is_no_success(place: Path, command: Command) -> None:
    """40 pairs are not the 100 of MTEB's own data, until the user says that the rows are over them."""
    entry = f"{{encoder: sentence-transformers, model: {place / 'mean' / 'whole'}, device: cpu}}"
    done = command(
        "reproduce", entry, "--published", "right", "--tasks", "BIOSSES", "--hub", "hub", "--offline", cwd=place
    )
    assert done.returncode == 2
    assert "not compared: other items: 40 here, 100 in MTEB's own data" in done.stdout
    assert done.stderr.endswith("no row could be compared; see the reasons beside each\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--published", "nowhere"), "nowhere: no such file or folder; expected a clone of mteb's results repository"),
        (("--published", "right", "--tasks", "STS13"), "no published row in right"),
        (("--published", "own", "--results", "own"), "whose cells are not run again; give another --results"),
        (("--published", "right", "--try", "poolin=cls"), "--try poolin=cls: "),
        (("--published", "right", "--try", "cls"), "--try cls: expected key=value"),
    ],
)
def test_a_mistake_is_said_before_anything_is_run(place: Path, command: Command, arguments: tuple, said: str) -> None:
    """Exit 2, in words."""
    put_own(place / "own")
    entry = f"{{encoder: sentence-transformers, model: {place / 'mean' / 'whole'}}}"
    done = command("reproduce", entry, *arguments, "--hub", "hub", "--offline", cwd=place)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
