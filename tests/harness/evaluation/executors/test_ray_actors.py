"""A Ray cluster of two nodes on one host: equal scores, and whatever dies is replaced or said; nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cells_support
import pytest
import ray_support
from cells_support import save_tiny_model
from local_hub import write_hub
from ray_support import ActingRayWorker, processes_with
from suites_support import planned
from told import Told

from harness import environment
from harness.errors import EnvironmentGapError, ExitCode, ResultsNotWrittenError
from harness.evaluation.dispatch import Dispatch
from harness.evaluation.events import Event, Finished, Phase, Remark, ShardMade, Started
from harness.evaluation.executors import ray_actors, ray_cluster
from harness.evaluation.executors.ray_actor import Place, Token
from harness.evaluation.executors.ray_actors import Crew, Hand
from harness.evaluation.executors.ray_cluster import Node, Wanted, environment_of, wanted
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.cells import Plan
from harness.report.formats.csv import scores_csv
from harness.results.outcome import RunOutcome
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite
from harness.summary.build import summarise

pytest.importorskip("ray", reason="the extra `ray` is not installed")
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
TASKS = ("BIOSSES", "SciFact")
ENDED_SECONDS = 30.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        made = Cluster(initialize_head=True, head_node_args=SMALL)
        made.add_node(**SMALL)
        made.wait_for_nodes()
        patch.setenv("RAY_ADDRESS", made.address)
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The tiny model and the invented hub; what `datasets` derives is kept out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets-cache")))
        folder = tmp_path_factory.mktemp("places")
        yield Path(save_tiny_model(folder / "tiny")), write_hub(folder / "hub")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """Where the workers are that have begun."""
    found: list[Place] = []
    begins = Crew._begins

    def note(crew: Crew, hand: Hand, place: Place) -> None:
        found.append(place)
        begins(crew, hand, place)

    monkeypatch.setattr(Crew, "_begins", note)
    return found


def cut_run(results: Path, places: tuple[Path, Path], told: Any = None, **options: Any) -> RunOutcome:
    """Run two tasks that are cut into shards."""
    model, hub = places
    suite = {
        "version": 1,
        "name": "small",
        "shards": {"max_texts": 12},
        "models": [{"name": "tiny", "encoder": "mean-pool", "model": str(model), "device": "cpu"}],
        "tasks": {"embedding": {"names": list(TASKS)}},
    }
    plain = {"results": results, "sources": Sources(hub=hub, offline=True)}
    return run(Suite.model_validate(suite), RunOptions(**plain, **options), told)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, places: tuple[Path, Path]) -> RunOutcome:
    """The run of one local process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return cut_run(tmp_path_factory.mktemp("local"), places)
    finally:
        torch.set_num_threads(before)


def csv_of(outcome: RunOutcome) -> bytes:
    """Return its scores.csv."""
    return scores_csv(summarise(outcome.plan, outcome.results)).encode()


def items_of(outcome: RunOutcome) -> list[str]:
    """Return the digests of its per-item results."""
    scores = [one for one in outcome.results.values() if isinstance(one, Score)]
    return [one.items.sha256 for one in scores if one.items is not None]


def acting(
    folder: Path, told: Told, *tasks: str, asked: Wanted | None = None, token: str | None = None, **options: Any
) -> dict[str, Any]:
    """Have cells worked on by actors without engines; returns what is stored of each."""
    import ray

    plan = plan_of(folder, *tasks)
    chosen = RunOptions(results=folder / "results", executor="ray", workers=2, **options)
    for module in (ray_support, cells_support):  # which no worker can import
        ray.cloudpickle.register_pickle_by_value(module)
    dispatch = Dispatch.of(plan, plan.cells, chosen, told, longest_first=True)
    with ray_cluster.connected(2), ray_actors._token(chosen.results) as real:
        crew = Crew(
            dispatch=dispatch,
            plan=plan,
            options=chosen,
            wanted=asked or Wanted(actors=2, threads=1, gpus=0),
            token=Token(path=real.path, text=token or real.text, seconds=1.0),
            kind=ActingRayWorker,
        )
        try:
            while not dispatch.schedule.is_over:
                crew.step()
        finally:
            crew.dismiss()
    return {cell.task.name: Store(chosen.results).get(cell.task.name, cell.key) for cell in plan.cells}


def plan_of(folder: Path, *tasks: str) -> Plan:
    """Return the plan of one model over tasks of these names."""
    rows = [f'{{"sentence1": "a {n}", "sentence2": "b", "score": {n % 3}}}\n' for n in range(6)]
    (folder / "pairs.jsonl").write_text("".join(rows), encoding="utf-8")
    custom = ", ".join(f"{{name: {name}, type: STS, path: pairs.jsonl}}" for name in tasks)
    return planned(folder, f"models: [{{name: words, encoder: tf-idf}}]\ntasks: {{custom: [{custom}]}}\n")


def test_a_worker_that_is_killed_costs_no_score(
    tmp_path: Path,
    cluster: Any,
    places: tuple[Path, Path],
    local: RunOutcome,
    hands: list[Place],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SIGKILL amid the shards: another takes its place; scores.csv and items are those of one local process."""

    def kill(event: Event) -> None:
        if isinstance(event, ShardMade) and len(hands) == 2 and not killed:
            killed.append(hands[0].pid)
            os.kill(hands[0].pid, signal.SIGKILL)

    killed: list[int] = []
    told = Told(kill)
    outcome = cut_run(tmp_path / "results", places, told, executor="ray")
    assert outcome.exit_code == ExitCode.OK, told.remarks()
    assert killed
    assert len({one.node for one in hands[:2]}) == 2  # unless said otherwise one a node
    assert csv_of(outcome) == csv_of(local)
    assert items_of(outcome) == items_of(local)
    assert {one.provenance["hardware"]["threads"] for one in outcome.results.values()} == {1}
    assert any("worker" in one and "was killed or crashed" in one for one in told.remarks())
    made = [event for event in told.events if isinstance(event, ShardMade)]
    assert len({(event.cell.task.name, event.made) for event in made}) == len(made)
    assert capsys.readouterr().out == ""
    assert not list((tmp_path / "results" / "logs").glob("*.token"))


def test_a_node_that_is_lost_costs_no_score(
    tmp_path: Path, cluster: Any, places: tuple[Path, Path], local: RunOutcome, hands: list[Place]
) -> None:
    """The other node goes on."""

    def remove(event: Event) -> None:
        if isinstance(event, ShardMade) and len(hands) == 2 and not removed:
            (lost,) = [one for one in cluster.list_all_nodes() if one is not cluster.head_node]
            removed.append(lost.node_id)
            cluster.remove_node(lost)

    removed: list[str] = []
    told = Told(remove)
    try:
        outcome = cut_run(tmp_path / "results", places, told, executor="ray")
    finally:
        if removed:
            cluster.add_node(**SMALL)
    assert removed
    assert outcome.exit_code == ExitCode.OK, told.remarks()
    assert (csv_of(outcome), items_of(outcome)) == (csv_of(local), items_of(local))
    assert any("was lost with its node" in one for one in told.remarks())


def test_what_dies_of_a_cell_is_said_with_worker_and_node(tmp_path: Path, cluster: Any) -> None:
    """A cell that is run as one piece is tried once; a hang is ended; the others are scored; events come in order."""
    told = Told()
    found = acting(tmp_path, told, "one", "killed", "hangs", "broken", "two", cell_timeout=4.0)
    assert {name: type(one) for name, one in found.items()} == {
        "one": Score,
        "two": Score,
        "killed": Failure,
        "hangs": Failure,
        "broken": Failure,
    }
    assert "was killed or crashed, perhaps out of memory" in found["killed"].message
    assert "worked on it for more than 4.0 s (--cell-timeout), and was ended" in found["hangs"].message
    assert "ended with TypeError: a mistake of ours while it was at this cell" in found["broken"].message
    assert all(found[name].error == "CellLostError" for name in ("killed", "hangs", "broken"))
    of_one = [type(event) for event in told.events if not isinstance(event, Remark) and event.cell.task.name == "one"]
    assert of_one == [Started, Phase, Finished]


def test_an_error_that_ends_the_run_comes_as_itself(tmp_path: Path, cluster: Any) -> None:
    """Not as one of Ray's."""
    with pytest.raises(ResultsNotWrittenError, match="no room\nmake some") as caught:
        acting(tmp_path, Told(), "full")
    assert type(caught.value) is ResultsNotWrittenError


def test_a_node_that_does_not_see_the_results_is_not_used(tmp_path: Path, cluster: Any, hands: list[Place]) -> None:
    """A third node, over whose results folder lies another: said, and all cells are scored by the others."""
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    results = tmp_path / "results"
    results.mkdir()
    blind = subprocess.Popen(
        [*_BWRAP, "--tmpfs", str(results), *_ray_start(cluster.address)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_nodes(3)
        told = Told(lambda event: (results / "go").touch() if isinstance(event, Remark) else None)
        found = acting(tmp_path, told, "waits", "waits-too", "one", "two", asked=Wanted(actors=3, threads=1, gpus=0))
    finally:
        blind.kill()
        blind.wait()
        _wait_for_nodes(2)
    assert {type(one) for one in found.values()} == {Score}
    (said,) = [one for one in told.remarks() if "does not see the results folder" in one]
    assert str(results) in said
    assert [one.sees_results for one in hands].count(False) == 1


_BWRAP = ["bwrap", "--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"]
"""All that it starts ends with it."""


def _ray_start(address: str) -> list[str]:
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--num-cpus=1", "--block"]
    return [*start, f"--object-store-memory={SMALL['object_store_memory']}"]


def _wait_for_nodes(count: int) -> None:
    until = time.monotonic() + ENDED_SECONDS
    with ray_cluster.connected(None):
        while len(ray_cluster.nodes()) != count:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_where_no_node_sees_the_results_the_run_ends(tmp_path: Path, cluster: Any) -> None:
    """With each node's name and the way out."""
    with pytest.raises(EnvironmentGapError) as caught:
        acting(tmp_path, Told(), "one", "two", token="of another folder")
    *nodes, way_out = caught.value.gaps
    assert nodes
    assert all("does not see the results folder" in one for one in nodes)
    assert "on a shared disk" in way_out
    assert "harness merge" in way_out


def test_workers_for_which_there_is_no_place_end_the_run(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was asked for and what there is."""
    monkeypatch.setattr(ray_actors, "PLACE_SECONDS", 1.0)
    with pytest.raises(EnvironmentGapError) as caught:
        acting(tmp_path, Told(), "one", asked=Wanted(actors=1, threads=64, gpus=0))
    assert "asked for 1 worker(s) of 64 CPU each; the cluster has 2 CPU (" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "RAY_ADDRESS=127.0.0.1:1: nobody answers there"),
        ("ray://127.0.0.1:10001", "expected host:port"),
        ("nonsense", "expected host:port"),
    ],
)
def test_an_address_where_nobody_answers_is_said(
    address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(EnvironmentGapError) as caught:
        acting(tmp_path, Told(), "one")
    assert said in str(caught.value)
    assert address in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_driver_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C ends the workers and the cluster that was started for them; so does the driver's sudden death."""
    plan_of(tmp_path, "one", "two")
    mark = f"OF_THIS_TEST={uuid.uuid4().hex}"
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    driver = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "run", "mine.yaml", "--executor", "ray", "--workers", "2", "--json"],
        cwd=tmp_path,
        env=kept | {"PYTHONPATH": os.pathsep.join(sys.path)} | dict([mark.split("=")]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until(lambda: any(_is_worker(one) for one in processes_with(mark)))
        driver.send_signal(number)
        out, said = driver.communicate(timeout=ENDED_SECONDS)
        assert driver.returncode == (ExitCode.INTERRUPTED if number == signal.SIGINT else -number), said
        _wait_until(lambda: not any(_is_worker(one) for one in processes_with(mark)))
        if number == signal.SIGINT:
            assert out == ""
            assert "Traceback" not in said
            _wait_until(lambda: not processes_with(mark))
    finally:
        driver.kill()
        for one in processes_with(mark):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)


def _is_worker(process: int) -> bool:
    with suppress(OSError):
        return b"RayWorker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 2 * ENDED_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_which_actors_are_asked_for() -> None:
    """One a GPU; without GPUs one a node; or so many as the user says, with the threads that let all be placed."""
    of_cpus = [Node(id="a", cpus=8, gpus=0), Node(id="b", cpus=4, gpus=0), Node(id="head", cpus=0, gpus=0)]
    of_gpus = [Node(id="a", cpus=16, gpus=4), Node(id="b", cpus=16, gpus=0)]
    assert wanted(of_cpus, None, most_threads=None) == Wanted(actors=2, threads=4, gpus=0)
    assert wanted(of_cpus, 3, most_threads=None) == Wanted(actors=3, threads=4, gpus=0)
    assert wanted(of_cpus, 4, most_threads=None) == Wanted(actors=4, threads=2, gpus=0)
    assert wanted(of_cpus, 4, most_threads=1) == Wanted(actors=4, threads=1, gpus=0)
    assert wanted(of_cpus, 99, most_threads=None) == Wanted(actors=99, threads=1, gpus=0)
    assert wanted(of_gpus, None, most_threads=None) == Wanted(actors=4, threads=4, gpus=1)


def test_an_actor_has_the_settings_of_the_run_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray shows them to whoever looks at the cluster."""
    monkeypatch.setenv("HARNESS_HUB", "/data/hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    for secret in ("HF_TOKEN", "HARNESS_API_KEY", "HF_TOKEN_PATH"):
        monkeypatch.setenv(secret, "hf_secret")
    sent = environment_of(3)
    assert (sent["HARNESS_HUB"], sent["HF_HUB_OFFLINE"], sent["OMP_NUM_THREADS"]) == ("/data/hub", "1", "3")
    assert sent["TOKENIZERS_PARALLELISM"] == "false"
    assert "hf_secret" not in sent.values()


@pytest.mark.parametrize(
    ("name", "is_used"), [("mteb", False), ("lm-eval", False), ("encoder-verdict", False), ("torch", True)]
)
def test_a_node_that_scores_by_another_version_is_not_used(tmp_path: Path, name: str, is_used: bool) -> None:
    """Its score would be kept under a key that names the version here."""
    versions = environment.versions() | {name: "0.0.1"}
    place = Place(node="n", name="there", pid=1, sees_results=True, has_folder=True, versions=versions)
    told = Told()
    plan = plan_of(tmp_path, "one")
    options = RunOptions(results=tmp_path)
    crew = Crew(
        dispatch=Dispatch.of(plan, plan.cells, options, told, longest_first=True),
        plan=plan,
        options=options,
        wanted=Wanted(actors=1, threads=1, gpus=0),
        token=Token(path=tmp_path, text=""),
    )
    why = crew._why_unfit(place)
    assert (why is None) == is_used
    assert is_used or f"{name} 0.0.1" in str(why)
