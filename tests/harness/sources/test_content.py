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
    assert content_of(folder, "anything").sha256() == sha256_files(folder, visible_files(folder))
    assert content_of(folder / "a.jsonl", "anything").sha256() == sha256_files(folder, [folder / "a.jsonl"])


def test_what_is_as_it_was_has_no_changes(folder):
    """Hidden files are none of them, and neither are the neighbours of a single file."""
    whole, one, named = (
        content_of(folder, "rows"),
        content_of(folder / "a.jsonl", "rows"),
        content_of_files([folder / "sub/b.jsonl"]),
    )
    write(folder / ".git/other", "x")
    assert [each.changes() for each in (whole, one, named)] == [[], [], []]
    write(folder / "new.jsonl", "3")
    assert [each.changes() for each in (one, named)] == [[], []]
    assert whole.changes() == [f"{folder}/new.jsonl is new"]


def test_every_change_is_named(folder):
    """An edited file of the same length, a removed one, a new one."""
    whole, named = content_of(folder, "weights"), content_of_files(visible_files(folder))
    write(folder / "a.jsonl", "9")
    (folder / "sub/b.jsonl").unlink()
    write(folder / "c.jsonl", "3")
    said = [f"{folder}/a.jsonl has another content", f"{folder}/sub/b.jsonl is gone"]
    assert named.changes() == said
    assert whole.changes() == [said[0], f"{folder}/c.jsonl is new", said[1]]


CARD = (
    "---\nconfigs:\n- config_name: default\n  data_files: [{split: test, path: a.jsonl}]\nlicense: mit\n---\nWords.\n"
)


@pytest.mark.parametrize(
    "name", ["README.md", "readme.txt", "LICENSE", "docs/figure.png", "CITATION.cff", "license.txt", "NOTICE"]
)
def test_what_is_written_for_people_is_no_part_of_weights(folder, name):
    """A model card is edited, a licence added: the weights are what they were."""
    before = content_of(folder, "weights")
    write(folder / name, "x")
    assert (before.changes(), content_of(folder, "weights")) == ([], before)


@pytest.mark.parametrize("name", ["license_head.py", "vocab.txt", "prompt.txt", "readme.json", "notice.safetensors"])
def test_what_a_loader_may_read_is_part_of_weights(folder, name):
    """The beginning of a name alone makes no licence of it."""
    before = content_of(folder, "weights")
    write(folder / name, "x")
    assert before.changes() == [f"{folder}/{name} is new"]
    assert content_of(folder, "weights").sha256() != before.sha256()


@pytest.mark.parametrize(
    ("old", "new", "is_input"),
    [
        ("Words.", "Other words.", False),
        ("license: mit", "license: apache-2.0", False),
        ("a.jsonl", "sub/b.jsonl", True),
        ("test", "train", True),
        ("license: mit", "dataset_info: {features: [{name: q, dtype: string}]}", True),
        ("configs:", "configs: [", True),
    ],
)
def test_of_a_datasets_readme_its_configs_are_input(folder, old, new, is_input):
    """They say which files are which split; the rest is for people."""
    write(folder / "README.md", CARD)
    before = content_of(folder, "rows")
    write(folder / "README.md", CARD.replace(old, new, 1))
    assert bool(before.changes()) == (content_of(folder, "rows") != before) == is_input


@pytest.mark.parametrize("name", [".huggingface.yaml", "LICENSE.txt", "new.jsonl"])
def test_what_the_datasets_library_may_read_is_part_of_rows(folder, name):
    """A hidden file with configs, and any text file, which is rows to it."""
    before = content_of(folder, "rows")
    write(folder / name, "x")
    assert before.changes() == [f"{folder}/{name} is new"]


def test_a_picture_beside_rows_is_none_of_them(folder):
    """Nor a second document, nor a README that says nothing of configs."""
    before = content_of(folder, "rows")
    write(folder / "README.md", "---\nlicense: mit\n---\n")
    write(folder / "figure.png", "x")
    write(folder / "docs/HOWTO.md", "x")
    assert (before.changes(), content_of(folder, "rows")) == ([], before)
