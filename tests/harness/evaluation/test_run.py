"""The loop: resume, failures, gaps, interruption, and several processes on one results folder."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cells_support import CONTEXT, HIDDEN, HashEncoder, save_tiny_model
from local_hub import write_hub
from weights_support import rewrite, without

from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.errors import EnvironmentGapError, ExitCode
from harness.evaluation import preflight
from harness.evaluation.events import Event, Finished, Remark, Started
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.evaluation.units import Unit
from harness.evaluation.worker import Worker
from harness.report.formats.csv import scores_csv
from harness.results.outcome import RunOutcome
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite
from harness.summary.build import summarise

TASKS = ("BIOSSES", "AskUbuntuDupQuestions", "Banking77Classification", "SciFact", "TwitterSemEval2015")
QUICK = ("BIOSSES", "AskUbuntuDupQuestions", "SummEvalSummarization.v2", "TwitterSemEval2015")
RESULT_LINE = re.compile(r"^\[(\d+)/(\d+)\] (\S+): (.*)(, found done| in [\d.]+ \w+| in \d+ min \d+ s), ETA")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny language model's folder."""
    return Path(save_tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keeps what `datasets` derives out of the user's cache."""
    import datasets

    folder = tmp_path_factory.mktemp("datasets-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        yield folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The invented hub; never changed."""
    return write_hub(tmp_path_factory.mktemp("hub"))


def suite_text(model: Path | str, tasks: Sequence[str]) -> dict[str, Any]:
    """Return a suite of one model."""
    return {
        "version": 1,
        "name": "small",
        "models": [{"name": "tiny", "encoder": "mean-pool", "model": str(model), "device": "cpu"}],
        "tasks": {"embedding": {"names": list(tasks)}},
    }


def run_in(
    results: Path, hub: Path, model: Path | str, tasks: Sequence[str] = QUICK, reporter: Any = None, **options: Any
) -> RunOutcome:
    """Run the tasks in this process."""
    suite = Suite.model_validate(suite_text(model, tasks))
    return run(suite, RunOptions(results=results, sources=Sources(hub=hub, offline=True), **options), reporter)


class Watching:
    """Remembers the cells that were started and finished."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    def report(self, event: Event) -> None:
        """Note the task."""
        if isinstance(event, Started):
            self.begun.append(event.cell.task.name)
        elif isinstance(event, Finished):
            self.ended.append(event.cell.task.name)


class RaisingIn(HashEncoder):
    """Raises while a certain task is running."""

    def __init__(self, watching: Watching, task: str, error: BaseException) -> None:
        super().__init__()
        self.watching, self.task, self.error = watching, task, error

    def encode(self, texts: Any, *, role: Any, prompt: Any) -> Any:
        """Raise in that task, encode in others."""
        if self.watching.begun[-1] == self.task:
            raise self.error
        return super().encode(texts, role=role, prompt=prompt)


def use(monkeypatch: pytest.MonkeyPatch, inner: Any) -> list[str]:
    """Have `loading.load` return `inner`; the list names what was loaded."""
    loaded: list[str] = []

    def load(candidate: Any, *, seed: int = 0, use_cache: bool = True) -> CheckedEncoder:
        loaded.append(candidate.name)
        return CheckedEncoder(inner, name=candidate.name)

    monkeypatch.setattr(loading, "load", load)
    return loaded


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, hub: Path, model: Path) -> tuple[Path, RunOutcome, Watching]:
    """A run of the quick tasks with the real tiny model, done once."""
    results, watching = tmp_path_factory.mktemp("results"), Watching()
    return results, run_in(results, hub, model, reporter=watching), watching


def test_a_run_scores_every_cell_in_order(finished: tuple[Path, RunOutcome, Watching]) -> None:
    """Each task has a score, the exit code is 0, tasks are run in the suite's order."""
    _, outcome, watching = finished
    assert outcome.exit_code is ExitCode.OK
    assert outcome.ran == len(QUICK)
    assert list(outcome.results) == [f"tiny/{name}" for name in QUICK]
    assert all(isinstance(one, Score) for one in outcome.results.values())
    assert watching.begun == watching.ended == list(QUICK)


def test_a_second_run_runs_nothing(
    finished: tuple[Path, RunOutcome, Watching], hub: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is done: no model is loaded, no cell started, no file changed, the results are the same."""
    results, first, _ = finished
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    loaded, watching = use(monkeypatch, HashEncoder()), Watching()
    again = run_in(results, hub, model, reporter=watching)
    assert (again.ran, again.exit_code) == (0, ExitCode.OK)
    assert (loaded, watching.begun) == ([], [])
    assert repr(again.results) == repr(first.results)  # NaN metrics are never equal
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()} == before


def test_a_run_with_nothing_to_do_asks_nobody(
    finished: tuple[Path, RunOutcome, Watching], hub: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the hub nor the preflight; without `offline` too."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("asked")

    for name in ("hub_problem", "HubClient", "make_plan", "withheld"):
        monkeypatch.setattr(preflight, name, refuse)
    suite = Suite.model_validate(suite_text(model, QUICK))
    assert run(suite, RunOptions(results=finished[0], sources=Sources(hub=hub))).ran == 0


def test_provenance_holds_all_that_made_the_score(
    finished: tuple[Path, RunOutcome, Watching], hub: Path, model: Path
) -> None:
    """Spec, fingerprint, prompts, data digest, versions, git, time, counts, hardware and memory are in the cell."""
    score = finished[1].results["tiny/AskUbuntuDupQuestions"]
    (candidate,) = finished[1].plan.candidates
    found = score.provenance
    assert found["cell"] == "tiny/AskUbuntuDupQuestions"
    assert found["spec"]["model"] == str(model)
    assert found["spec"]["encoder"] == "mean-pool"
    assert found["fingerprint"] == candidate.fingerprint()  # type: ignore[union-attr]
    assert found["prompts"] == {"query": None, "document": None}
    data = found["data"]["AskUbuntuDupQuestions"]
    assert re.fullmatch(r"[0-9a-f]{64}", data["identity"]["files_sha256"])
    assert data["vouched"] is None
    assert str(hub) in data["source"]
    assert found["weights"]["identity"].keys() == {"files_sha256"}
    assert found["resamples"] == 10_000
    assert found["versions"].keys() >= {"python", "mteb", "torch", "transformers", "datasets", "encoder-verdict"}
    assert found["git"] is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found["git"])
    assert (found["splits"], found["subsets"], found["limit"]) == (["test"], ["default"], None)
    assert found["encoder"] | {"device": "cpu", "dtype": "float32", "dimension": HIDDEN} == found["encoder"]
    assert found["encoder"]["max_text_tokens"] == CONTEXT
    assert found["encoder"]["similarity"] == "cosine"
    assert found["seconds"].keys() >= {"load_model", "evaluate", "encode"}
    assert 0 < found["seconds"]["encode"] <= found["seconds"]["evaluate"]
    assert found["counts"]["texts"] == 12 + 12 * 8
    assert found["counts"]["unique_texts"] == 12 + 12 * 7
    assert found["counts"]["tokens"] > found["counts"]["unique_texts"]
    assert found["hardware"].keys() >= {"processor", "cores", "threads", "memory_bytes", "gpus", "platform"}
    assert found["peak_memory_bytes"]["host"] > 50_000_000
    assert found["began"].endswith("+00:00")


def test_the_model_is_loaded_once_and_its_time_is_in_the_first_cell(
    finished: tuple[Path, RunOutcome, Watching],
) -> None:
    """Only the first cell paid for loading."""
    seconds = [one.provenance["seconds"]["load_model"] for one in finished[1].results.values()]
    assert seconds[0] > 0
    assert seconds[1:] == [0.0] * (len(QUICK) - 1)


def test_an_encoder_that_raises_gives_a_failure_and_is_retried(
    tmp_path: Path, hub: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are scored; the failed cell keeps type, message and traceback, ends with 3, and is run again alone."""
    watching = Watching()
    use(monkeypatch, RaisingIn(watching, "AskUbuntuDupQuestions", ZeroDivisionError("by design")))
    outcome = run_in(tmp_path, hub, model, reporter=watching)
    assert outcome.exit_code is ExitCode.CELLS_FAILED
    failure = outcome.results["tiny/AskUbuntuDupQuestions"]
    assert isinstance(failure, Failure)
    assert (failure.error, failure.message) == ("ZeroDivisionError", "by design")
    assert failure.traceback.startswith("Traceback (most recent call last)")
    assert "in encode" in failure.traceback
    assert failure.provenance["spec"]["model"] == str(model)
    assert sum(isinstance(one, Score) for one in outcome.results.values()) == len(QUICK) - 1

    use(monkeypatch, HashEncoder())
    retry = Watching()
    again = run_in(tmp_path, hub, model, reporter=retry)
    assert retry.begun == ["AskUbuntuDupQuestions"]
    assert (again.ran, again.exit_code) == (1, ExitCode.OK)
    assert isinstance(again.results["tiny/AskUbuntuDupQuestions"], Score)
    assert list(tmp_path.rglob("*.failure.json")) == []


def test_a_failure_of_loading_fails_every_cell_of_the_model(
    tmp_path: Path, hub: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that cannot be loaded are a failure of each cell, not the end of the run."""

    def load(candidate: Any, *, seed: int = 0, use_cache: bool = True) -> CheckedEncoder:
        raise OSError("torn weights")

    monkeypatch.setattr(loading, "load", load)
    outcome = run_in(tmp_path, hub, model)
    assert outcome.exit_code is ExitCode.CELLS_FAILED
    assert [one.message for one in outcome.results.values()] == ["torn weights"] * len(QUICK)  # type: ignore[union-attr]


def test_an_interrupt_keeps_the_finished_cells(
    tmp_path: Path, hub: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the third cell comes through; two scores are kept, the third is neither score nor failure."""
    watching = Watching()
    use(monkeypatch, RaisingIn(watching, QUICK[2], KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path, hub, model, reporter=watching)
    assert [one.task for one in Store(tmp_path).all_results()] == sorted(QUICK[:2])
    assert list(tmp_path.rglob("*.failure.json")) == []
    use(monkeypatch, HashEncoder())
    rest = Watching()
    assert run_in(tmp_path, hub, model, reporter=rest).exit_code is ExitCode.OK
    assert rest.begun == list(QUICK[2:])


def copy_of(hub: Path, folder: Path, *repositories: str) -> Path:
    """Return a hub with these repositories alone."""
    for repository in repositories:
        shutil.copytree(hub / "datasets/mteb" / repository, folder / "datasets/mteb" / repository)
    return folder


def test_all_gaps_are_listed_and_nothing_runs(tmp_path: Path, hub: Path, model: Path) -> None:
    """Two datasets and a model are missing: one error names all three, who wants them and the command; no cell ran."""
    partial = copy_of(hub, tmp_path / "hub", "biosses-sts")
    suite = suite_text(model, ("BIOSSES", "SciFact", "Banking77Classification"))
    suite["models"].append({"name": "far", "encoder": "mean-pool", "model": "some/model"})
    options = RunOptions(results=tmp_path / "results", sources=Sources(hub=partial, offline=True))
    with pytest.raises(EnvironmentGapError) as caught:
        run(Suite.model_validate(suite), options)
    said = str(caught.value)
    for what in ("mteb/scifact", "mteb/banking77", "some/model"):
        assert f"hf download {what}" in said
    assert "wanted by SciFact" in said
    assert "wanted by far" in said
    assert "3 thing(s)" in said
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert not (tmp_path / "results" / "cells").exists()


def test_available_runs_the_rest_and_still_ends_with_4(tmp_path: Path, hub: Path, model: Path) -> None:
    """What is there is scored; what is not is missing with its reason; the exit code is 4, the next time too."""
    partial = copy_of(hub, tmp_path / "hub", "biosses-sts")
    tasks = ("SciFact", "BIOSSES")
    outcome = run_in(tmp_path / "results", partial, model, tasks, available=True)
    assert outcome.exit_code is ExitCode.ENVIRONMENT
    assert outcome.ran == 1
    assert list(outcome.results) == ["tiny/BIOSSES"]
    states = {cell.task.name: cell.state for cell in outcome.plan.cells}
    assert states == {"SciFact": "missing", "BIOSSES": "to run"}
    again = run_in(tmp_path / "results", partial, model, tasks, available=True)
    assert (again.ran, again.exit_code) == (0, ExitCode.ENVIRONMENT)


def test_a_changed_byte_of_data_runs_the_cell_again(tmp_path: Path, hub: Path, model: Path) -> None:
    """One letter of one text changes that task's key alone; the old result stays beside the new one."""
    own = copy_of(hub, tmp_path / "hub", "biosses-sts", "summeval")
    tasks = ("BIOSSES", "SummEvalSummarization.v2")
    first = run_in(tmp_path / "results", own, model, tasks)
    (file,) = (own / "datasets/mteb/biosses-sts/default").glob("*.jsonl")
    content = bytearray(file.read_bytes())
    place = content.index(b'"sentence1": "') + len(b'"sentence1": "')
    content[place] ^= 1
    file.write_bytes(bytes(content))
    watching = Watching()
    second = run_in(tmp_path / "results", own, model, tasks, reporter=watching)
    assert watching.begun == ["BIOSSES"]
    keys = [{name: one.key for name, one in outcome.results.items()} for outcome in (first, second)]
    assert keys[0]["tiny/BIOSSES"] != keys[1]["tiny/BIOSSES"]
    assert keys[0]["tiny/SummEvalSummarization.v2"] == keys[1]["tiny/SummEvalSummarization.v2"]
    assert len(list((tmp_path / "results/cells/BIOSSES").glob("*.json"))) == 2


def test_limited_and_full_cells_never_mix(tmp_path: Path, hub: Path, model: Path) -> None:
    """A limit is another key: both results stay, each answers its own run."""
    limited = run_in(tmp_path, hub, model, ("BIOSSES",), limit=10).results["tiny/BIOSSES"]
    full = run_in(tmp_path, hub, model, ("BIOSSES",)).results["tiny/BIOSSES"]
    assert isinstance(limited, Score)
    assert isinstance(full, Score)
    assert limited.key != full.key
    assert (limited.n, limited.limit, full.n, full.limit) == (10, 10, 40, None)
    assert limited.provenance["limited_to"] == {"BIOSSES": {"test/default": {"of": 40, "kept": 10}}}
    assert run_in(tmp_path, hub, model, ("BIOSSES",), limit=10).ran == 0


def test_a_cell_another_process_finished_is_not_run_again(
    finished: tuple[Path, RunOutcome, Watching], tmp_path: Path, hub: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score that appears after planning is found once the cell is claimed, and the encoder is not even loaded."""
    results, outcome, _ = finished
    loaded, watching = use(monkeypatch, HashEncoder()), Watching()
    worker = Worker(plan=outcome.plan, store=Store(results), reporter=watching)
    for cell in outcome.plan.cells:
        assert worker.do(Unit(step="whole", cell=cell)).was_there
    assert loaded == []
    assert (watching.begun, watching.ended) == ([], list(QUICK))


class Command:
    """The real command over the tasks of `TASKS`."""

    def __init__(self, folder: Path, hub: Path, model: Path, cache: Path) -> None:
        import yaml

        self.folder, self.hub = folder, hub
        self.suite = folder / "small.yaml"
        self.suite.write_text(yaml.safe_dump(suite_text(model, TASKS)), encoding="utf-8")
        self.environment = os.environ | {
            "HF_DATASETS_CACHE": str(cache),
            "HARNESS_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, results: Path, out: str, *more: str) -> subprocess.Popen[str]:
        """Start a run; its standard error is a pipe."""
        command = [sys.executable, "-m", "harness.cli", "run", str(self.suite), "--hub", str(self.hub), "--offline"]
        command += ["--results", str(results), "--out", str(self.folder / out), *more]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment, cwd=self.folder
        )

    def scores(self, out: str) -> str:
        """Return the scores.csv that a run wrote."""
        return (self.folder / out / "scores.csv").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, hub: Path, model: Path, cache: Path) -> Command:
    """The command in a working directory of its own."""
    return Command(tmp_path_factory.mktemp("command"), hub, model, cache)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, hub: Path, model: Path) -> str:
    """The scores.csv of one run in this process."""
    outcome = run_in(tmp_path_factory.mktemp("undisturbed"), hub, model, TASKS)
    assert outcome.exit_code is ExitCode.OK
    return scores_csv(summarise(outcome.plan, outcome.results))


def wait_for_first_cell(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines up to the first finished cell."""
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if line.startswith("[1/"):
            return lines
    raise AssertionError("".join(lines))


def stored(results: Path) -> dict[str, int]:
    """Return task -> results on disk."""
    return dict(Counter(path.parent.name for path in (results / "cells").glob("*/*.json")))


def own_cells(lines: str) -> list[str]:
    """Return the cells that a process evaluated itself, without those that it found done."""
    found = [match for line in lines.splitlines() if (match := RESULT_LINE.match(line))]
    return [match[3] for match in found if match[5] != ", found done"]


def test_two_processes_share_one_results_folder(command: Command, undisturbed: str, tmp_path: Path) -> None:
    """Each cell has one result and was evaluated by one of them; both end with 0 and the undisturbed scores."""
    both = [command.start(tmp_path / "results", out) for out in ("first", "second")]
    ended = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert stored(tmp_path / "results") == dict.fromkeys(TASKS, 1)
    ran = [own_cells(err) for _, err in ended]
    assert sorted(ran[0] + ran[1]) == sorted(f"tiny/{name}" for name in TASKS), ended
    assert command.scores("first") == command.scores("second") == undisturbed


def test_a_killed_run_goes_on_where_it_was(
    command: Command, undisturbed: str, tmp_path: Path, hub: Path, model: Path
) -> None:
    """kill -9 after the first cell: the next run repeats no finished cell and ends with the undisturbed scores."""
    process = command.start(tmp_path, "killed")
    with process:
        wait_for_first_cell(process)
        process.kill()
    kept = stored(tmp_path)
    assert 1 <= sum(kept.values()) < len(TASKS)
    watching = Watching()
    outcome = run_in(tmp_path, hub, model, TASKS, reporter=watching)
    assert watching.begun == [name for name in TASKS if name not in kept]
    assert outcome.exit_code is ExitCode.OK
    assert scores_csv(summarise(outcome.plan, outcome.results)) == undisturbed
    assert stored(tmp_path) == dict.fromkeys(TASKS, 1)


def test_ctrl_c_ends_with_130_and_no_traceback(command: Command, tmp_path: Path) -> None:
    """SIGINT in the second cell: exit 130, a sentence on standard error, the finished cell kept."""
    process = command.start(tmp_path, "interrupted")
    with process:
        lines = wait_for_first_cell(process)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate()
    assert process.returncode == 130, rest
    said = "".join(lines) + rest
    assert "Traceback" not in said
    assert "interrupted: finished cells are kept" in rest
    assert stored(tmp_path)["BIOSSES"] == 1
    assert list(tmp_path.rglob("*.failure.json")) == []


def test_workers_share_the_cells(command: Command, undisturbed: str, tmp_path: Path) -> None:
    """`--workers 2` evaluates each cell once, reports each, and ends with the undisturbed scores."""
    process = command.start(tmp_path, "workers", "--workers", "2")
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert stored(tmp_path) == dict.fromkeys(TASKS, 1)
    assert sorted(own_cells(said)) == sorted(f"tiny/{name}" for name in TASKS), said
    assert command.scores("workers") == undisturbed
    rows = list(csv.DictReader(undisturbed.splitlines()))
    assert [row["status"] for row in rows] == ["ok"] * len(TASKS)


def test_weights_that_do_not_fit_are_said_before_anything_is_scored(model: Path, hub: Path, tmp_path: Path) -> None:
    """By name; those cells fail, the other model's are run, and the exit code is that of failed cells."""
    events: list[Event] = []
    broken = rewrite(Path(shutil.copytree(model, tmp_path / "broken")), without("layers.0.mlp"))
    plain = suite_text(model, ("BIOSSES",))
    plain["models"].append(plain["models"][0] | {"name": "broken", "model": str(broken)})
    reporter = SimpleNamespace(report=events.append)
    options = RunOptions(results=tmp_path / "results", sources=Sources(hub=hub, offline=True))
    outcome = run(Suite.model_validate(plain), options, reporter)
    said = [event.text for event in events if isinstance(event, Remark)]
    assert len(said) == 1
    assert said[0].startswith("model broken: its cells will fail: ")
    assert "3 of 21 tensors are missing: model.layers.0.mlp.down_proj.weight" in said[0]
    assert [type(event).__name__ for event in events[:3]] == ["RunBegins", "Remark", "Started"]
    by_model = {cell.model: outcome.results[str(cell)] for cell in outcome.plan.cells}
    assert isinstance(by_model["tiny"], Score)
    assert isinstance(by_model["broken"], Failure)
    assert by_model["broken"].error == "WeightsDoNotFitError"
    assert outcome.exit_code == ExitCode.CELLS_FAILED
