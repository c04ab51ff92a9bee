"""sha256 of files and folders, remembered; and writing that a crash cannot tear."""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from pathlib import Path

import pytest
from suites_support import isolate, write

from harness import digests
from harness.digests import sha256_file, sha256_files, sha256_text, user_cache, visible_files, write_atomically


@pytest.fixture(autouse=True)
def _caches(tmp_path, monkeypatch):
    """Remember digests in a folder of the test's own."""
    isolate(monkeypatch, tmp_path / "caches")


def big(path: Path, letter: bytes = b"a") -> Path:
    """Write a file that is large enough to be remembered."""
    path.write_bytes(letter * (digests.REMEMBER_ABOVE_BYTES + 1))
    return path


def later(monkeypatch, seconds: float = digests.SETTLED_SECONDS + 1) -> None:
    """Set the clock forward, so that files written just now are old."""
    now = time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + int(seconds * 10**9))


def remembered() -> list[Path]:
    """Return the digests that are remembered."""
    return [path for path in (user_cache() / "digests").rglob("*") if path.is_file()]


def test_a_files_digest_is_its_sha256(tmp_path):
    """For small files, large ones, and large ones seen before."""
    (tmp_path / "small").write_bytes(b"abc")
    assert sha256_file(tmp_path / "small") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    large = big(tmp_path / "large")
    wanted = hashlib.sha256(large.read_bytes()).hexdigest()
    assert [sha256_file(large), sha256_file(large)] == [wanted, wanted]


def test_only_large_files_are_remembered(tmp_path, monkeypatch):
    """Hashing a small one is as fast as looking it up."""
    later(monkeypatch)
    (tmp_path / "small").write_bytes(b"a" * digests.REMEMBER_ABOVE_BYTES)
    sha256_file(tmp_path / "small")
    assert remembered() == []
    sha256_file(big(tmp_path / "large"))
    assert len(remembered()) == 1


def test_a_remembered_digest_is_used(tmp_path, monkeypatch):
    """The second look does not read the file: what was noted down is returned."""
    later(monkeypatch)
    large = big(tmp_path / "large")
    sha256_file(large)
    (entry,) = remembered()
    entry.write_text("f" * 64, encoding="ascii")
    assert sha256_file(large) == "f" * 64


def test_a_torn_memory_is_not_used(tmp_path, monkeypatch):
    """An entry that is no digest is hashed anew and mended."""
    later(monkeypatch)
    large = big(tmp_path / "large")
    wanted = sha256_file(large)
    (entry,) = remembered()
    entry.write_text(wanted[:40], encoding="ascii")
    assert sha256_file(large) == wanted
    assert entry.read_text(encoding="ascii") == wanted


@pytest.mark.parametrize("change", ["content", "size", "replaced"])
def test_changed_content_is_hashed_anew(tmp_path, monkeypatch, change):
    """Another modification time, another size, or another file under the name."""
    later(monkeypatch)
    large = big(tmp_path / "large")
    before, stat = sha256_file(large), large.stat()
    if change == "content":
        big(large, b"b")
        os.utime(large, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    elif change == "size":
        large.write_bytes(b"a" * (stat.st_size + 1))
        os.utime(large, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        other = big(tmp_path / "other", b"b")
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        other.replace(large)
    assert sha256_file(large) == hashlib.sha256(large.read_bytes()).hexdigest() != before


def written(path: Path) -> None:
    """Write other bytes of the same number into a file."""
    with path.open("r+b") as file:
        file.write(b"b")


def mapped(path: Path) -> None:
    """Change a byte through a mapping of the file."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:1] = b"b"


def behind_a_link(path: Path) -> None:
    """Change the file that the link leads to."""
    written(path.resolve())


@pytest.mark.parametrize("change", [written, mapped, behind_a_link], ids=lambda one: one.__name__)
def test_a_change_in_place_with_the_old_time_set_back_is_seen(tmp_path, monkeypatch, change):
    """Same size, same modification time, same inode: what unpacking an archive with fixed times over a file leaves."""
    later(monkeypatch)
    target = big(tmp_path / "blob")
    large = tmp_path / "large"
    large.symlink_to(target)
    before, stat = sha256_file(large), target.stat()
    assert len(remembered()) == 1
    change(large)
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    now = target.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    assert sha256_file(large) == hashlib.sha256(large.read_bytes()).hexdigest() != before


@pytest.mark.parametrize(("seconds", "is_remembered"), [(0, False), (digests.SETTLED_SECONDS + 1, True)])
def test_a_file_that_was_changed_just_now_is_not_remembered(tmp_path, monkeypatch, seconds, is_remembered):
    """It may change again within the same tick of the clock; a file whose times lie ahead is not trusted either."""
    later(monkeypatch, seconds)
    sha256_file(big(tmp_path / "large"))
    assert bool(remembered()) == is_remembered
    ahead = big(tmp_path / "ahead")
    os.utime(ahead, (time.time() + 1e6, time.time() + 1e6))
    sha256_file(ahead)
    assert len(remembered()) == int(is_remembered)


def test_a_folders_digest_is_over_names_and_contents(tmp_path):
    """By hand: one line a file, the name, a NUL, the file's sha256."""
    write(tmp_path / "data/b.txt", "two")
    write(tmp_path / "data/sub/a.txt", "one")
    lines = [
        f"{name}\0{hashlib.sha256(text).hexdigest()}\n" for name, text in (("b.txt", b"two"), ("sub/a.txt", b"one"))
    ]
    wanted = hashlib.sha256("".join(lines).encode()).hexdigest()
    found = visible_files(tmp_path / "data")
    assert sha256_files(tmp_path / "data", found) == wanted
    assert sha256_files(tmp_path / "data", reversed(found)) == wanted


def test_files_that_swap_contents_are_another_folder(tmp_path):
    """The names are part of the digest."""
    for one, other in (("x", "y"), ("y", "x")):
        write(tmp_path / one / "a", one)
        write(tmp_path / one / "b", other)
    digest = {name: sha256_files(tmp_path / name, visible_files(tmp_path / name)) for name in ("x", "y")}
    assert digest["x"] != digest["y"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    """Also where the folder itself lies below a hidden one."""
    root = tmp_path / ".cache" / "model"
    for name in ("a.json", ".hidden", ".git/config", "sub/b.json", "sub/.cache/c"):
        write(root / name, "x")
    assert [path.relative_to(root).as_posix() for path in visible_files(root)] == ["a.json", "sub/b.json"]


def test_folders_behind_links_are_read_and_circles_are_not(tmp_path):
    """The datasets library follows a link to a folder, so its files are among those that are hashed."""
    write(tmp_path / "elsewhere/rows.jsonl", "x")
    root = tmp_path / "data"
    write(root / "a.jsonl", "x")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked" / "back").symlink_to(root)
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    assert [path.relative_to(root).as_posix() for path in visible_files(root)] == ["a.jsonl", "linked/rows.jsonl"]


def test_texts_that_are_no_utf8_have_digests_too():
    """Lone surrogates are kept apart from each other and from their replacement."""
    texts = ["\ud800", "\udfff", "?", "\ufffd"]
    assert len({sha256_text(text) for text in texts}) == 4
    assert sha256_text("é") == hashlib.sha256("é".encode()).hexdigest()


def test_writing_makes_folders_and_leaves_one_file(tmp_path):
    """No temporary name stays behind, and the old content is gone."""
    path = tmp_path / "deep" / "er" / "x.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_have_the_rights_of_the_umask(tmp_path, umask, rights):
    """A report on a shared machine can be read by those who may read any other file of the user."""
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "x", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == rights


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch, step):
    """A full disk, or a kill between writing and renaming."""
    path = tmp_path / "x.json"
    write_atomically(path, b"old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((digests.os, "fsync", fail) if step == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_renamed_before_it_is_on_the_disk(tmp_path, monkeypatch):
    """fsync of the content, then the rename, then fsync of the folder."""
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(digests.os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (steps.append("rename"), replace(self, target))[1])
    write_atomically(tmp_path / "x", b"content")
    assert steps == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HARNESS_CACHE": "/mine", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/mine"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/encoder-verdict"),
        ({"HOME": "/home/me"}, "/home/me/.cache/encoder-verdict"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, environment, folder):
    """HARNESS_CACHE, else the desktop's cache folder, else the home folder's."""
    for name in ("HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert user_cache() == Path(folder)
