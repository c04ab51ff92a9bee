"""What is kept on this machine: folders of the user's cache, with their size."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.provision.caches import kept_here, size_of


def test_folders_are_named_with_what_is_in_them_largest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody knows is shown too; links count as nothing; no cache is no error."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    assert kept_here() == []
    for name, size in (("vectors", 10), ("wheels/a/b", 300), ("older", 20)):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "file").write_bytes(b"x" * size)
    (tmp_path / "cache" / "wheels" / "link").symlink_to(tmp_path / "cache" / "older" / "file")
    (tmp_path / "cache" / "a.lock").touch()
    assert [(one.path.name, one.bytes) for one in kept_here()] == [("wheels", 300), ("older", 20), ("vectors", 10)]
    assert [one.about for one in kept_here()][1:] == [
        "of another version",
        "rationales and their vectors by content (lmdb)",
    ]
    assert size_of(tmp_path / "none") == 0
