"""A model's own Python runs where the user's entry allows it, and nobody is asked at the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candidates_support import GraceCommand, candidate_directory, chat_model
from cells_support import save_tiny_sentence_transformer
from suites_support import isolate

import harness
from harness.errors import EnvironmentGapError

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({flag!r}).touch()


class OwnConfig(LlamaConfig):
    model_type = "own"


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""
TEXTS = ["the cat sat", "rain fell on the roof"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory, caches of its own, and a terminal that must not be asked."""

    def asked(*_: Any) -> str:
        pytest.fail("asked at the terminal")

    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("builtins.input", asked)


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """Return the file that the model's code makes when it runs."""
    return tmp_path / "ran"


@pytest.fixture
def own(tmp_path: Path, flag: Path) -> Path:
    """Return a model that is a Llama, by its own code."""
    folder = chat_model(tmp_path / "own")
    (folder / "own.py").write_text(CODE.format(flag=str(flag)), encoding="utf-8")
    change(
        folder / "config.json",
        model_type="own",
        architectures=["OwnForCausalLM"],
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"},
    )
    return folder


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("encoder", ["mean-pool", "rationale", "sentence-transformers"])
def test_code_that_nobody_allowed_does_not_run(own: Path, flag: Path, encoder: str) -> None:
    """Refused with the model's name and the line that allows it."""
    with pytest.raises(EnvironmentGapError, match=r"(?s)'mine' wants to run code of its own.*trust_remote_code: true"):
        harness.load({"name": "mine", "encoder": encoder, "model": str(own), "device": "cpu"})
    assert not flag.exists()


def test_a_tokenizers_code_does_not_run_either(tmp_path: Path, flag: Path) -> None:
    """It has an `auto_map` of its own."""
    folder = chat_model(tmp_path / "plain")
    (folder / "own.py").write_text(CODE.format(flag=str(flag)), encoding="utf-8")
    change(folder / "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": [None, "own.Own"]})
    with pytest.raises(EnvironmentGapError, match="wants to run code of its own"):
        harness.load({"name": "mine", "encoder": "mean-pool", "model": str(folder), "device": "cpu"})
    assert not flag.exists()


def test_a_module_of_a_sentence_transformer_does_not_run_either(tmp_path: Path, flag: Path) -> None:
    """`modules.json` may name a class that lies beside it."""
    folder = save_tiny_sentence_transformer(tmp_path)
    (folder / "own.py").write_text(CODE.format(flag=str(flag)), encoding="utf-8")
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": len(modules), "name": "x", "path": "", "type": "own.OwnForCausalLM"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(EnvironmentGapError, match="wants to run code of its own"):
        harness.load({"name": "mine", "encoder": "sentence-transformers", "model": str(folder), "device": "cpu"})
    assert not flag.exists()


def test_a_candidate_cannot_grant_itself_what_the_suite_does_not(own: Path, flag: Path, monkeypatch, capsys) -> None:
    """Its candidate.yaml is a wish: a gap that names the file and the line to add; with that line it is read."""
    candidate_directory(Path("run"), own, kind="mean-pool", encoder="{trust_remote_code: true}")
    with pytest.raises(EnvironmentGapError, match=r"(?s)run/candidate.yaml says encoder\.trust_remote_code.*: true"):
        harness.load({"name": "x", "candidate": "run", "device": "cpu"})
    grace = GraceCommand(monkeypatch, capsys)
    Path("texts.txt").write_text("\n".join(TEXTS))
    said = grace("encode", "texts.txt", "--candidate", "run", "--out", "vectors.parquet")
    assert said.code == 4
    assert "add `trust_remote_code: true`" in said.err
    assert "Traceback" not in said.err
    assert not flag.exists()
    allowed = harness.load({"name": "x", "candidate": "run", "device": "cpu", "trust_remote_code": True})
    assert flag.exists()
    plain = harness.load({"encoder": "mean-pool", "model": str(chat_model(Path("plain"))), "device": "cpu"})
    assert np.array_equal(allowed.encode(TEXTS), plain.encode(TEXTS))
    assert (
        grace("encode", "texts.txt", "--candidate", "run", "--out", "v.parquet", "-o", "trust_remote_code=true").code
        == 0
    )


def test_a_base_that_wants_to_run_code_needs_leave_too(own: Path, flag: Path) -> None:
    """A candidate that says nothing of it does not get its base's code run."""
    candidate_directory(Path("run"), own, kind="mean-pool")
    with pytest.raises(EnvironmentGapError, match="wants to run code of its own"):
        harness.load({"name": "x", "candidate": "run", "device": "cpu"})
    assert not flag.exists()
    harness.load({"name": "x", "candidate": "run", "device": "cpu", "trust_remote_code": True})
    assert flag.exists()
