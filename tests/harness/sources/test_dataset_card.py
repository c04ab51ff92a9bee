"""Which files of a repository are needed."""

from __future__ import annotations

import pytest

from harness.provision.model_files import needed_model_files
from harness.sources.dataset_card import configs_of, matches, needed_files

CARD = """---
license: mit
configs:
- config_name: en
  data_files: en/*.parquet
- config_name: en-qrels
  data_files: {test: qrels/en.tsv}
- config_name: en-ext
  data_files: [{split: test, path: [ext/a.jsonl, ext/b.jsonl]}]
- config_name: de
  data_dir: german
- config_name: corpus
  data_files: ["shared/**"]
---
# text
"""
PATHS = ["README.md", "en/1.parquet", "qrels/en.tsv", "ext/a.jsonl", "german/x/1.csv", "shared/y/2.csv", "loose.csv"]


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("data/test-*", "data/test-0.parquet", True),
        ("data/*", "data/deep/test.parquet", False),
        ("data/**", "data/deep/test.parquet", True),
        ("**/test.*", "test.csv", True),
        ("a.b", "axb", False),
        ("./x/[ab].csv", "x/a.csv", True),
        ("x/?.csv", "x/ab.csv", False),
    ],
)
def test_patterns_match_as_globs(pattern: str, path: str, is_match: bool) -> None:
    """A star stays within a folder; two do not."""
    assert matches(pattern, path) is is_match


def test_every_form_of_data_files_is_read() -> None:
    """A pattern, a mapping, a list of splits, a folder, a list of patterns."""
    configs = configs_of(CARD)
    assert list(configs) == ["en", "en-qrels", "en-ext", "de", "corpus"]
    assert configs["en-ext"].patterns == ("ext/a.jsonl", "ext/b.jsonl")
    assert configs["en-ext"].splits == ("test",)
    assert configs["de"].reads("german/x/1.csv")


@pytest.mark.parametrize("text", ["", "# no head\n", "---\n[1, 2\n---\n", "---\nconfigs: 3\n---\n", "---\n- 1\n---\n"])
def test_a_card_that_says_nothing_declares_nothing(text: str) -> None:
    """No head, a broken one, or one without configs: then all files are needed."""
    assert configs_of(text) == {}
    assert needed_files(PATHS, configs_of(text), ["en"], ["en", "de"]) == PATHS


def test_only_files_of_unwanted_subsets_are_left_out() -> None:
    """`en-qrels` goes with en, `en-ext` is a subset of its own, and what belongs to no subset is kept."""
    known = ["en", "en-ext", "de"]
    kept = needed_files(PATHS, configs_of(CARD), ["en"], known)
    assert kept == ["README.md", "en/1.parquet", "qrels/en.tsv", "shared/y/2.csv", "loose.csv"]
    assert needed_files(PATHS, configs_of(CARD), None, known) == PATHS


def test_a_model_is_fetched_once() -> None:
    """Safetensors rather than pickles beside them, no other runtimes; a pickle alone is kept."""
    paths = ["config.json", "model.safetensors", "pytorch_model.bin", "model.Q4.gguf", "onnx/model.onnx", "tf_model.h5"]
    paths += ["pytorch_model.bin.index.json", "original/params.json", "2_Dense/pytorch_model.bin", "vocab.txt"]
    kept = ["config.json", "model.safetensors", "2_Dense/pytorch_model.bin", "vocab.txt"]
    assert needed_model_files(paths) == kept
    assert needed_model_files(["a.Q4.gguf", "README.md"]) == ["a.Q4.gguf", "README.md"]
