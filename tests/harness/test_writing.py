"""Places that cannot be written, as root meets them too: something in the way, /proc, long names, circles, errnos."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.errors import EnvironmentGapError, InputError
from harness.writing import refuse, saying, saying_cache, why_not_file, why_not_folder


def test_a_folder_that_can_be_made_leaves_nothing(tmp_path: Path) -> None:
    """Not even the folders above it; what was there stays."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "kept").write_text("x", encoding="utf-8")
    assert why_not_folder(tmp_path / "there" / "a" / "b") is None
    assert why_not_file(tmp_path / "there" / "kept") is None
    assert why_not_file(tmp_path / "new" / "report.md") is None
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["kept", "there"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file", "not a folder"),
        ("file/below", "not a folder"),
        ("loop/below", "symbolic links that go round in a circle"),
        ("x" * 300, "the name is too long"),
        ("/proc/results", "no file or folder can be made there"),
        ("/dev/null/results", "not a folder"),
    ],
)
def test_a_folder_that_cannot_is_said_in_words(tmp_path: Path, place: str, why: str) -> None:
    """Whatever stands in the way."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert why_not_folder(tmp_path / place) == why


def test_a_file_that_is_a_folder_is_said(tmp_path: Path) -> None:
    """The other way round."""
    assert why_not_file(tmp_path) == "a folder, and a file is wanted"


ERRNOS = [
    (errno.EROFS, "the file system is read-only"),
    (errno.ENOSPC, "the disk is full"),
    (errno.EDQUOT, "the quota is used up"),
    (errno.EACCES, "no permission"),
    (errno.EIO, os.strerror(errno.EIO)),
]


@pytest.mark.parametrize(("number", "why"), ERRNOS)
def test_what_a_file_system_answers_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    """A full disk may take the name and refuse the content."""

    def refuses(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuses)
    assert why_not_folder(tmp_path / "new") == why
    assert list(tmp_path.iterdir()) == []


def test_all_places_are_refused_at_once(tmp_path: Path) -> None:
    """A line each; what was not asked for is none."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        refuse({"--results": tmp_path / "file", "--out": None, "--hub": tmp_path}, {"--summary": tmp_path})
    assert caught.value.problems == [
        f"--results {tmp_path}/file: cannot be written (not a folder); give another",
        f"--summary {tmp_path}: cannot be written (a folder, and a file is wanted); give another",
    ]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, EnvironmentGapError), (errno.EROFS, EnvironmentGapError), (errno.EACCES, InputError)],
)
def test_an_error_amid_writing_is_one_sentence(number: int, kind: type[Exception]) -> None:
    """Of the machine, or of the place that was named."""
    with pytest.raises(kind, match=r"--out x: cannot be written \(.*\); do this"), saying("--out x", step="do this"):
        raise OSError(number, "whatever")


def test_a_cache_without_which_nothing_goes_names_its_variable(tmp_path: Path) -> None:
    """Where weights are converted to, wheels unpacked."""
    with pytest.raises(EnvironmentGapError, match="set HARNESS_CACHE"), saying_cache(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
