"""The files of an identity, and what is said where they are no longer what they were."""

from __future__ import annotations

import pytest
from suites_support import isolate, write

from harness.digests import sha256_files, visible_files
from harness.sources.content import content_of, content_of_files


@pytest.fixture(autouse=True)
def _caches(tmp_path, monkeypatch):
    isolate(monkeypatch, tmp_path / "caches")


@pytest.fixture
def folder(tmp_path):
    """A folder with two files, one of them hidden in a subfolder of its own."""
    write(tmp_path / "data/a.jsonl", "1")
    write(tmp_path / "data/sub/b.jsonl", "2")
    write(tmp_path / "data/.git/config", "x")
    return tmp_path / "data"


def test_a_folders_sha256_is_over_names_and_contents(folder):
    """As everywhere else; of one file it is over its name without the folder's."""
    assert content_of(folder).sha256() == sha256_files(folder, visible_files(folder))
    assert content_of(folder / "a.jsonl").sha256() == sha256_files(folder, [folder / "a.jsonl"])


def test_what_is_as_it_was_has_no_changes(folder):
    """Hidden files are none of them, and neither are the neighbours of a single file."""
    whole, one, named = content_of(folder), content_of(folder / "a.jsonl"), content_of_files([folder / "sub/b.jsonl"])
    write(folder / ".git/other", "x")
    assert [each.changes() for each in (whole, one, named)] == [[], [], []]
    write(folder / "new.jsonl", "3")
    assert [each.changes() for each in (one, named)] == [[], []]
    assert whole.changes() == [f"{folder}/new.jsonl is new"]


def test_every_change_is_named(folder):
    """An edited file of the same length, a removed one, a new one."""
    whole, named = content_of(folder), content_of_files(visible_files(folder))
    write(folder / "a.jsonl", "9")
    (folder / "sub/b.jsonl").unlink()
    write(folder / "c.jsonl", "3")
    said = [f"{folder}/a.jsonl has another content", f"{folder}/sub/b.jsonl is gone"]
    assert named.changes() == said
    assert whole.changes() == [said[0], f"{folder}/c.jsonl is new", said[1]]
