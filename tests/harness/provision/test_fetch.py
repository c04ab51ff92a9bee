"""`harness fetch` with the real hub client against a loopback server: kills, cuts, refusals, and what they leave."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fetch_support import (
    ABILITY_COMMIT,
    MODEL_COMMIT,
    environment,
    fill,
    harness,
    pinned,
    tiny_model,
    tiny_weights,
    write_suite,
)
from hub_server import HubServer, hub_server

from harness.provision import fetch as provision
from harness.provision.progress import FetchProgress
from harness.provision.wanted import Needs, Wanted
from harness.sources import lock

PATIENCE = ("--timeout", "1", "--retries", "1")
MODEL_SUITE = """
version: 1
name: one-model
models: [{name: tiny, encoder: sentence-transformers, model: acme/tiny-encoder}]
tasks: {embedding: {names: [STS12]}}
"""
MODEL = Path("models/acme/tiny-encoder")
WEIGHTS = "model.safetensors"


class Place:
    """A server, a suite and a local hub to fill."""

    def __init__(self, server: HubServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.hub = folder / "hub"
        self.suite = write_suite(folder)
        self.env = environment(server.endpoint, folder)

    def fetch(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run fetch to its end."""
        return harness("fetch", str(self.suite), "--hub", str(self.hub), *more, env=self.env)

    def lock(self) -> dict[str, dict[str, object]]:
        """Return the repositories of the lock file; none where there is no such file."""
        path = self.hub / "harness.lock.json"
        found: dict[str, dict[str, object]] = {}
        return json.loads(path.read_text(encoding="utf-8"))["repositories"] if path.exists() else found

    def only_model(self) -> None:
        """Take a suite of one task and one model."""
        self.suite.write_text(MODEL_SUITE, encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a place whose server has every repository of the suite."""
    with hub_server() as server:
        fill(server)
        yield Place(server, tmp_path)


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a failed fetch said; it ended with 4 and no traceback."""
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "next: " in done.stderr
    return done.stderr


def test_fetch_brings_what_the_suite_reads_and_nothing_else(place: Place) -> None:
    """Pinned commits, one language of two, weights once, no hidden files, no other runtimes; paged trees are whole."""
    place.server.page_size = 2
    done = place.fetch("--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["complete"] is True
    assert {one["repo"]: one["revision"] for one in report["repositories"]} == {
        "mteb/sts12-sts": pinned("STS12"),
        "mteb/sts17-crosslingual-sts": pinned("STS17"),
        "mteb/scifact": pinned("SciFact"),
        "openai/gsm8k": ABILITY_COMMIT,
        "acme/tiny-encoder": MODEL_COMMIT,
    }
    files = sorted(path.relative_to(place.hub).as_posix() for path in place.hub.rglob("*") if path.is_file())
    assert files == [
        "datasets/mteb/scifact/README.md",
        "datasets/mteb/scifact/corpus/corpus.parquet",
        "datasets/mteb/scifact/default/test.parquet",
        "datasets/mteb/scifact/queries/queries.parquet",
        "datasets/mteb/sts12-sts/README.md",
        "datasets/mteb/sts12-sts/data/test-00000-of-00001.parquet",
        "datasets/mteb/sts17-crosslingual-sts/README.md",
        "datasets/mteb/sts17-crosslingual-sts/en-en/test.parquet",
        "datasets/openai/gsm8k/README.md",
        "datasets/openai/gsm8k/main/test.parquet",
        "datasets/openai/gsm8k/main/train.parquet",
        "harness.lock.json",
        "models/acme/tiny-encoder/README.md",
        "models/acme/tiny-encoder/config.json",
        "models/acme/tiny-encoder/model.safetensors",
        "models/acme/tiny-encoder/tokenizer.json",
        "models/acme/tiny-encoder/tokenizer_config.json",
    ]


def test_a_second_fetch_asks_for_nothing(place: Place) -> None:
    """What the lock vouches for needs no server; a branch that moved is not followed unless told to."""
    assert place.fetch().returncode == 0
    before = (place.hub / "harness.lock.json").read_bytes()
    repo = place.server.repos["models", "acme/tiny-encoder"]
    repo.commit, repo.files["config.json"] = "f" * 40, b'{"model_type": "bert"}'
    place.server.requests.clear()
    assert place.fetch().returncode == 0
    assert not [path for _, path, _ in place.server.requests if "acme" in path or "mteb" in path or "openai" in path]
    assert (place.hub / "harness.lock.json").read_bytes() == before
    assert place.fetch("--update").returncode == 0
    entries = place.lock()
    assert entries[f"{MODEL}@{'f' * 40}"]["asked"] == "main"
    assert entries[str(MODEL)]["asked"] == MODEL_COMMIT


def kill_when(place: Place, is_time: Callable[[], bool]) -> None:
    """Start a fetch and kill it, with SIGKILL, as soon as `is_time` says so."""
    command = [sys.executable, "-m", "harness.cli", "fetch", str(place.suite), "--hub", str(place.hub)]
    running = subprocess.Popen(
        command, env=place.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    limit = time.monotonic() + 60
    while not is_time():
        assert running.poll() is None, "it ended before the kill"
        assert time.monotonic() < limit
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL


def assert_nothing_half_done(place: Place) -> None:
    """Every folder outside staging is whole, and every locked one is as locked."""
    for (kind, name), repo in place.server.repos.items():
        folder = place.hub / kind / name
        for path in folder.rglob("*") if folder.exists() else []:
            assert path.is_dir() or path.read_bytes() == repo.files[path.relative_to(folder).as_posix()]
        if folder.exists():
            assert (folder / "README.md").is_file()
    for folder_name, entry in place.lock().items():
        files = entry["files"]
        assert isinstance(files, dict)
        for path_name, file in files.items():
            assert (place.hub / folder_name / path_name).stat().st_size == file["size"]


def test_three_kills_lose_nothing_and_leave_nothing_half_done(place: Place) -> None:
    """SIGKILL among the datasets, in the weights, further on in the weights; then to the end, and doctor agrees."""
    weights = place.server.add(tiny_model(400_000)).files[WEIGHTS]
    place.server.faults.piece_seconds = 0.01
    part = place.hub / f".harness-fetch/models/acme/tiny-encoder@{MODEL_COMMIT}/{WEIGHTS}.part"

    def size() -> int:
        return part.stat().st_size if part.exists() else 0

    kill_when(place, lambda: len(place.lock()) >= 2)
    assert_nothing_half_done(place)
    kill_when(place, lambda: size() > 0)
    assert_nothing_half_done(place)
    assert len(place.lock()) == 4
    at_second = size()
    kill_when(place, lambda: size() > at_second)
    assert_nothing_half_done(place)
    at_third = size()
    assert at_second < at_third < len(weights)
    assert not (place.hub / MODEL).exists()
    place.server.faults.piece_seconds = 0.0
    place.server.requests.clear()
    assert place.fetch().returncode == 0
    assert (place.hub / MODEL / WEIGHTS).read_bytes() == weights
    ranges = [asked for _, _, asked in place.server.requests if asked]
    assert ranges
    assert ranges[0] == f"bytes={at_third}-"
    doctor = harness("doctor", str(place.suite), "--hub", str(place.hub), "--offline", env=place.env)
    assert doctor.returncode == 0, doctor.stdout
    assert "complete: all" in doctor.stdout
    plan = ["plan", str(place.suite), "--hub", str(place.hub), "--offline", "--json"]
    planned = json.loads(harness(*plan, env=place.env).stdout)
    assert planned["gaps"] == []
    assert all(cell["key"] for cell in planned["cells"] if cell["axis"] == "embedding")


def test_a_kill_between_the_files_and_the_lock_costs_no_download(place: Place) -> None:
    """A whole folder that the lock does not name yet is checked against the server and entered."""
    assert place.fetch().returncode == 0
    before = place.lock()
    (place.hub / "harness.lock.json").unlink()
    place.server.requests.clear()
    assert place.fetch().returncode == 0
    assert place.server.downloads() == []
    assert place.lock() == before


def test_a_changed_file_is_fetched_again_and_no_other(place: Place) -> None:
    """A locked folder is mended in place."""
    assert place.fetch().returncode == 0
    path = place.hub / MODEL / WEIGHTS
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"\0")
    place.server.requests.clear()
    assert place.fetch().returncode == 0
    assert path.read_bytes() == good
    assert [one.rpartition("/")[2] for one in place.server.downloads()] == [WEIGHTS]


def test_a_folder_of_somebody_else_is_left_alone(place: Place) -> None:
    """Data that are not this revision's stay as they are; the revision goes beside them and is the one used."""
    own = place.hub / "datasets/mteb/sts12-sts/mine.csv"
    own.parent.mkdir(parents=True)
    own.write_text("mine", encoding="utf-8")
    assert place.fetch().returncode == 0
    assert [path.name for path in own.parent.iterdir()] == ["mine.csv"]
    assert f"datasets/mteb/sts12-sts@{pinned('STS12')}" in place.lock()


def test_more_subsets_are_added_to_what_is_there(place: Place) -> None:
    """A suite that reads another language downloads that one alone."""
    assert place.fetch().returncode == 0
    text = place.suite.read_text(encoding="utf-8").replace("STS17,", "{name: STS17, subsets: [es-es]},")
    place.suite.write_text(text, encoding="utf-8")
    place.server.requests.clear()
    assert place.fetch().returncode == 0
    assert [one.partition(pinned("STS17"))[2] for one in place.server.downloads()] == ["/es-es/test.parquet"]
    assert place.lock()["datasets/mteb/sts17-crosslingual-sts"]["subsets"] == ["en-en", "es-es"]


@pytest.mark.parametrize(
    ("no_ranges", "after", "cuts"), [(False, 50_000, 3), (True, 120_000, 1)], ids=["ranges", "no ranges"]
)
def test_a_cut_connection_is_taken_up_again(place: Place, no_ranges: bool, after: int, cuts: int) -> None:
    """With one retry: as often as each try gets further, and once where the server always starts over."""
    place.only_model()
    content = place.server.add(tiny_model(200_000)).files[WEIGHTS]
    faults = place.server.faults
    faults.cut_after[WEIGHTS], faults.no_ranges = after, no_ranges
    faults.cuts_left[WEIGHTS] = cuts
    done = place.fetch(*PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "trying again" in done.stderr
    assert (place.hub / MODEL / WEIGHTS).read_bytes() == content


def test_a_connection_that_is_always_cut_ends_in_words(place: Place) -> None:
    """No progress in so many tries: said once, and nothing is left that looks whole."""
    place.only_model()
    place.server.faults.cut_after[WEIGHTS] = 0
    said = failure(place.fetch(*PATIENCE))
    assert "breaks the connection" in said
    assert "goes on where it stopped" in said
    assert not (place.hub / MODEL).exists()
    assert list(place.lock()) == ["datasets/mteb/sts12-sts"]


@pytest.mark.parametrize("where", ["api", WEIGHTS])
def test_a_silent_server_is_not_waited_for(place: Place, where: str) -> None:
    """Neither a listing nor a file hangs for ever."""
    place.only_model()
    place.server.faults.silent_seconds[where] = 20.0
    begin = time.monotonic()
    said = failure(place.fetch("--timeout", "0.5", "--retries", "0", "--models", "tiny"))
    assert "does not answer in time" in said
    assert "--timeout SECONDS waits longer" in said
    assert time.monotonic() - begin < 60


def test_a_listing_that_hangs_is_asked_for_again(place: Place) -> None:
    """The client lists trees without a timeout of its own; ours reaches it."""
    place.only_model()
    place.server.faults.silent_seconds["tree"] = 90.0
    place.server.faults.silences_left["tree"] = 1
    begin = time.monotonic()
    assert place.fetch("--timeout", "0.5", "--models", "tiny").returncode == 0
    assert time.monotonic() - begin < 60


def test_an_overloaded_server_is_asked_again(place: Place) -> None:
    """503 and 429 pass."""
    place.only_model()
    place.server.faults.statuses |= {"api": [503], WEIGHTS: [429]}
    assert place.fetch().returncode == 0


def test_a_server_that_is_not_there_is_named_once(place: Place) -> None:
    """After the first repository no other is tried; all are named."""
    place.server.stop()
    place.server._http.server_close()
    begin = time.monotonic()
    said = failure(place.fetch("--timeout", "1", "--retries", "0"))
    assert "cannot be reached" in said
    assert said.count("not tried after the failure above") == 4
    assert time.monotonic() - begin < 60


def test_all_refusals_are_told_at_once_and_the_rest_is_fetched(place: Place) -> None:
    """A missing repository, a missing revision, a gated one, a refused token: each with its own next step."""
    place.server.repos.pop(("datasets", "mteb/sts12-sts"))
    place.server.repos["datasets", "mteb/scifact"].commit = "9" * 40
    place.server.repos["datasets", "openai/gsm8k"].gated = True
    place.server.repos["models", "acme/tiny-encoder"].refuse_token = True
    done = place.fetch("--json")
    said = failure(done)
    assert "no such dataset repository" in said
    assert f"no revision '{pinned('SciFact')}'" in said
    assert f"accept the licence at {place.server.endpoint}/datasets/openai/gsm8k" in said
    assert "hf auth login" in said
    assert "refuses (HTTP 403)" in said
    assert list(place.lock()) == ["datasets/mteb/sts17-crosslingual-sts"]
    report = json.loads(done.stdout)
    assert [one["status"] for one in report["repositories"]].count("failed") == 4


def test_gated_files_of_a_listed_repository_are_told_as_gated(place: Place) -> None:
    """The listing is open and the files are not; nothing is left that looks whole."""
    place.only_model()
    place.server.repos["models", "acme/tiny-encoder"].gated_files = True
    said = failure(place.fetch())
    assert f"accept the licence at {place.server.endpoint}/acme/tiny-encoder" in said
    assert not (place.hub / MODEL).exists()


@pytest.mark.parametrize(("times", "code"), [(1, 0), (2, 4)])
@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
def test_a_corrupted_file_is_refused(place: Place, path: str, times: int, code: int) -> None:
    """Once: thrown away and fetched again. Twice: refused. Large files by sha256, small ones by git's hash."""
    place.only_model()
    place.server.faults.corrupt[path] = times
    done = place.fetch("--models", "tiny", *PATIENCE)
    assert done.returncode == code, done.stderr
    assert "does not match the server's hash" in done.stderr
    assert (place.hub / MODEL / path).exists() is (code == 0)
    if code:
        assert "downloaded twice" in failure(done)
        assert not list(place.hub.rglob(f"{path}*"))


def test_a_part_that_was_damaged_on_disk_is_not_continued_for_ever(place: Place) -> None:
    """A resumed file with a wrong beginning fails its hash and is fetched whole."""
    place.only_model()
    content = place.server.repos["models", "acme/tiny-encoder"].files[WEIGHTS]
    part = place.hub / f".harness-fetch/models/acme/tiny-encoder@{MODEL_COMMIT}/{WEIGHTS}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 10)
    assert place.fetch().returncode == 0
    assert (place.hub / MODEL / WEIGHTS).read_bytes() == content


def test_a_server_cannot_write_outside_the_folder(place: Place) -> None:
    """A listed path that leaves the repository's folder is refused."""
    place.only_model()
    place.server.repos["models", "acme/tiny-encoder"].files["../../escaped.txt"] = b"x"
    assert "outside the folder" in failure(place.fetch())
    assert not list(place.folder.rglob("escaped.txt"))


def test_a_full_disk_is_told_before_and_while_writing(place: Place) -> None:
    """Too little room is seen before the download; a disk that fills up meanwhile is no traceback either."""
    place.only_model()
    code = """
import errno, shutil, sys
from harness.sources import hub_client
from harness.cli.app import app
from harness.cli.shell import run_app
if sys.argv.pop(1) == "before":
    shutil.disk_usage = lambda path: type("Usage", (), {"free": 1000})
else:
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    hub_client.os.fsync = full
sys.exit(run_app(app))
"""
    for when, words in (("before", "needs"), ("while", "the disk is full")):
        command = [sys.executable, "-c", code, when, "fetch", str(place.suite), "--hub", str(place.hub)]
        done = subprocess.run(command, env=place.env, capture_output=True, text=True, check=False)
        assert words in failure(done)
        assert "make room" in done.stderr
        shutil.rmtree(place.hub)


def test_a_token_goes_to_the_hub_and_no_further(place: Place) -> None:
    """The host that a large file is redirected to does not see it."""
    place.only_model()
    place.env["HF_TOKEN"] = "hf_invented"
    assert place.fetch().returncode == 0
    assert any("/resolve/" in path for path in place.server.authorized)
    assert any(path.startswith("/cdn/") for _, path, _ in place.server.requests)
    assert not any(path.startswith("/cdn/") for path in place.server.authorized)


def test_offline_mode_is_said(place: Place) -> None:
    """HF_HUB_OFFLINE in the environment is named, not run into."""
    place.env["HF_HUB_OFFLINE"] = "1"
    assert "unset HF_HUB_OFFLINE" in failure(place.fetch())


def test_two_fetches_do_not_write_at_once(place: Place) -> None:
    """The second is told to wait."""
    from filelock import FileLock

    (place.hub / ".harness-fetch").mkdir(parents=True)
    with FileLock(place.hub / ".harness-fetch/lock"):
        done = place.fetch()
    assert done.returncode == 4
    assert "another harness fetch" in done.stderr


def test_the_wrong_flags_are_the_users(place: Place) -> None:
    """No --hub, and a suite that does not load, end with 2."""
    assert harness("fetch", str(place.suite), env=place.env).returncode == 2
    place.suite.write_text("version: 1\nname: x\nmodel: []\n", encoding="utf-8")
    assert place.fetch().returncode == 2


def test_the_server_satisfies_the_clients_own_download(place: Place) -> None:
    """What the tests fetch from is hub enough for snapshot_download, which this project does not use."""
    place.server.add(tiny_model(5000))
    code = (
        "import sys; from huggingface_hub import snapshot_download;"
        "print(snapshot_download('acme/tiny-encoder', local_dir=sys.argv[1]))"
    )
    target = place.folder / "snapshot"
    subprocess.run([sys.executable, "-c", code, str(target)], env=place.env, check=True, capture_output=True)
    assert (target / WEIGHTS).read_bytes() == tiny_weights(5000)


def test_the_lock_file_is_read_once(tmp_path, monkeypatch):
    """However many repositories there are: the fetch alone writes to it, and each later one sees what it wrote."""
    reads: list[Path] = []
    read = lock.read

    def counted(hub: Path) -> lock.Lock:
        reads.append(hub)
        return read(hub)

    def brought(hub: Path, staging: Path, wanted: Wanted) -> lock.Entry:
        (hub / "wheels" / wanted.repo[-1]).mkdir(parents=True)
        return lock.Entry(
            kind="wheels", repo=wanted.repo, revision="0" * 64, asked="main", folder=f"wheels/{wanted.repo[-1]}"
        )

    monkeypatch.setattr(lock, "read", counted)
    monkeypatch.setattr(provision, "bring_wheel", brought)
    names = ("wheel:one==1/a", "wheel:two==1/b", "wheel:one==1/a")
    wheels = tuple(Wanted(kind="wheels", repo=name, revision=None) for name in names)
    needs = Needs(repositories=wheels, own_models=(), gaps=(), notes=())
    found = provision.fetch(needs, provision.FetchOptions(hub=tmp_path), FetchProgress(io.StringIO()))
    assert [one.error for one in found] == [None] * 3
    assert reads == [tmp_path]
    assert set(read(tmp_path).entries) == {"wheels/a", "wheels/b"}
