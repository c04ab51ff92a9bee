"""Caches of the engines, for a user whose home cannot be written or is not there."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from harness import digests
from harness.encoders.cache import ContentCache, Entry
from harness.environment import cache_folders, settle_caches

VARIABLES = ("MTEB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this machine is looked at, and all are put back."""
    for name in (*VARIABLES, "HF_HOME", "XDG_CACHE_HOME", "HARNESS_CACHE"):
        monkeypatch.setenv(name, "")  # so that what is set below is undone
        monkeypatch.delenv(name)


@pytest.mark.parametrize("home", ["/proc/nohome", "/dev/null"])
def test_caches_that_cannot_be_written_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, home: str
) -> None:
    """Each with its variable named in the log."""
    monkeypatch.setenv("HOME", home)
    with caplog.at_level(logging.WARNING):
        settle_caches(tmp_path)
    assert [os.environ[name] for name in VARIABLES] == [str(tmp_path / name.lower()) for name in VARIABLES]
    assert [name in line for name, line in zip(VARIABLES, caplog.messages, strict=True)] == [True] * 3


def test_caches_that_can_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set, nothing is made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settle_caches(tmp_path / "instead")
    assert not any(name in os.environ for name in VARIABLES)
    assert list(tmp_path.iterdir()) == []
    assert cache_folders()["HF_DATASETS_CACHE"] == tmp_path / ".cache" / "huggingface" / "datasets"


def test_a_user_without_a_name_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container under a number of its own: torch asks for one."""
    import getpass

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    settle_caches(tmp_path)
    assert getpass.getuser() == f"user-{os.getuid()}"


def test_a_digest_is_found_where_none_can_be_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, and no error."""
    monkeypatch.setenv("HARNESS_CACHE", "/proc/cache")
    monkeypatch.setattr(digests, "SETTLED_SECONDS", -60)  # as of a file that was written long ago
    digests._remark.cache_clear()
    file = tmp_path / "weights"
    file.write_bytes(b"\0" * (digests.REMEMBER_ABOVE_BYTES + 1))
    with caplog.at_level(logging.WARNING):
        found = {digests.sha256_file(file), digests.sha256_file(file)}
    assert found == {"2cb74edba754a81d121c9db6833704a8e7d417e5b13d1a19f4a52f007d644264"}
    assert ["/proc/cache" in one and "HARNESS_CACHE" in one for one in caplog.messages] == [True]


def test_a_user_without_a_home_has_a_cache_that_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no folder named `~` in the working directory."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert not digests.keep(digests.user_cache() / "x", b"")


@pytest.mark.parametrize("place", ["/proc/cache", "/dev/null/cache"])
def test_vectors_are_computed_where_none_can_be_kept(place: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is found, nothing fails."""
    import numpy as np

    cache = ContentCache(Path(place))
    key = cache.key("f", None, "text")
    cache.put({key: Entry(np.zeros(3, np.float32), {})})
    assert (cache.get([key]), cache.size()) == ([None], (0, 0))
    assert "HARNESS_CACHE" in caplog.text


def test_a_cache_that_fills_up_is_gone_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not asked any more either."""
    import lmdb
    import numpy as np

    cache = ContentCache(tmp_path)
    key = cache.key("f", None, "text")

    class Full:
        def begin(self, **_: object) -> object:
            raise lmdb.DiskError("mdb_txn_commit: No space left on device")

    monkeypatch.setattr(cache, "_environment", Full())
    cache.put({key: Entry(np.zeros(3, np.float32), {})})
    assert cache.get([key]) == [None]
