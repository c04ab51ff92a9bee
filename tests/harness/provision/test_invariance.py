"""`harness doctor --invariance`: what moves a vector is found, and nothing else; what was not tried is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import st_support
from candidates_support import chat_model
from cells_support import HashEncoder, save_tiny_model
from st_support import save_model, transformer
from suites_support import Command

from harness.candidates.named import named_candidate
from harness.encoders.checked import CheckedEncoder
from harness.errors import EncoderOutputError, InputError
from harness.provision import invariance as file
from harness.provision.invariance import Invariance, invariance
from harness.provision.invariance_rows import cosine_losses
from harness.provision.invariance_texts import ODD, WORDS, own_texts
from harness.sources.places import Sources

TRIED = ("batch 8", "batch 64", "shuffled", "12 short", "a text beyond", "padding", "threads", "bfloat16", "float16")


def found_of(entry: str) -> Invariance:
    """Return what is found of an entry in braces."""
    return invariance(named_candidate(entry, Sources(offline=True)))


def states(found: Invariance) -> dict[str, str]:
    """Return row -> whether it holds, moves or was not tried, by its first words."""
    named = {}
    for row in found.rows:
        (name,) = [one for one in TRIED if row.what.startswith(one)]
        named[name] = "not tried" if row.why_not else "ok" if row.holds else "moves"
    return named


def test_a_sound_model_moves_nowhere_and_what_could_not_be_tried_is_said(tmp_path: Path) -> None:
    """A tiny language model: every row is there, and the dtype's is no more than the dtype."""
    save_tiny_model(tmp_path / "tiny")
    found = found_of(f"{{encoder: mean-pool, model: {tmp_path / 'tiny'}, device: cpu}}")
    assert found.holds
    assert list(states(found)) == list(TRIED)
    assert [name for name, state in states(found).items() if state == "not tried"] == ["padding", "float16"]
    assert all(row.cosine_loss < 1e-6 for row in found.rows[:4] if row.cosine_loss is not None)
    (bfloat16,) = [row for row in found.rows if row.what.startswith("bfloat16")]
    assert bfloat16.cosine_loss is not None
    assert 1e-9 < bfloat16.cosine_loss < 1e-2
    assert found.texts == len(own_texts().texts)


def test_rationales_are_compared_too(tmp_path: Path) -> None:
    """Written alone and in batches, they are the same tokens."""
    chat_model(tmp_path / "tiny")
    settings = "generation: {max_new_tokens: 3}, max_text_tokens: 24, device: cpu"
    found = found_of(f"{{encoder: rationale, model: {tmp_path / 'tiny'}, {settings}}}")
    assert [row.rationales for row in found.rows[:3]] == ["equal"] * 3


def pooled_bert(folder: Path) -> Path:
    """Save a tiny sentence-transformers model."""

    def modules(folder: Path) -> list[Any]:
        from sentence_transformers.sentence_transformer.modules import Pooling

        body = transformer(folder)
        return [body, Pooling(body.get_embedding_dimension())]

    return save_model(folder, modules)


def test_the_other_side_of_padding_is_tried_where_a_tokenizer_pads_and_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A BERT counts positions from the left, so that padding there would move it; it is never padded so."""
    monkeypatch.setattr(st_support, "WORDS", WORDS)
    found = found_of(f"{{encoder: sentence-transformers, model: {pooled_bert(tmp_path)}, device: cpu}}")
    assert found.sts is not None
    (padding,) = [row for row in found.rows if row.what.startswith("padding")]
    assert (padding.counts, padding.holds, found.holds) == (False, False, True)
    assert (padding.cosine_loss or 0) > 1e-4


def test_a_model_that_knows_none_of_the_words_has_no_score_that_could_move(tmp_path: Path) -> None:
    """All pairs are alike to it; its vectors are held against each other all the same."""
    found = found_of(f"{{encoder: sentence-transformers, model: {pooled_bert(tmp_path)}, device: cpu}}")
    assert found.sts is None
    assert [row.sts for row in found.rows[:3]] == [None] * 3
    assert found.holds


class Sloppy(HashEncoder):
    """Its vectors lean towards the mean of their batch, as those of a pooling that sees the padding do."""

    def encode(self, texts: Any, *, role: Any, prompt: Any) -> Any:
        """Return a tenth of the batch in every vector; refuse a text without a word."""
        if any(not text.strip() for text in texts):
            raise EncoderOutputError("nothing to read")
        vectors = super().encode(texts, role=role, prompt=prompt)
        return (vectors + 0.5 * vectors.mean(axis=0)).astype(np.float32)


def test_a_vector_that_hangs_on_its_neighbours_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In every batch, by its largest loss; texts that the model refuses alone are left out by name."""
    monkeypatch.setattr(file, "load", lambda *_, **__: CheckedEncoder(Sloppy(), name="sloppy"))
    found = found_of("{encoder: tf-idf}")
    assert not found.holds
    moved = [name for name, state in states(found).items() if state == "moves"]
    assert moved == ["batch 8", "batch 64", "shuffled", "12 short"]
    assert all((row.cosine_loss or 0) > 1e-3 for row in found.rows if not row.holds)
    assert any(abs(row.retrieval or 0) > 0.01 or abs(row.sts or 0) > 0.01 for row in found.rows)
    assert [one.partition(":")[0] for one in found.left_out] == ["''", "' \\n'"]
    assert found.texts == len(own_texts().texts) - 2


def test_the_texts_are_of_very_unlike_length_and_distinct() -> None:
    """Empty, of one character, an emoji and of hundreds of words; with vectors of words both scores are far from 0."""
    own = own_texts()
    assert len(set(own.texts)) == len(own.texts)
    assert {"", "a", "\U0001f642"} <= set(ODD)
    assert len(own.texts[-1].split()) == 300 == max(len(text.split()) for text in own.texts)
    words = sorted({word for text in own.texts for word in text.rstrip("?").split()} | {""})
    vectors = np.array([[text.rstrip("?").split().count(word) for word in words] for text in own.texts], dtype=float)
    vectors[:, 0] += 1e-3
    assert own.sts(vectors.astype(np.float32)) > 90
    assert own.retrieval(vectors.astype(np.float32)) > 50
    noise = np.random.default_rng(0).normal(size=(len(own.texts), 50)).astype(np.float32)
    assert own.retrieval(noise) < 40


def test_the_loss_is_one_minus_the_cosine() -> None:
    """By hand, and exact for vectors that hardly differ, whatever their lengths."""
    one = np.array([[3.0, 4.0], [1.0, 0.0], [2.0, 0.0]], dtype=np.float32)
    other = np.array([[4.0, 3.0], [0.0, 5.0], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(cosine_losses(one, other), [1 - 24 / 25, 1.0, 0.0], atol=1e-12)


def test_the_command_says_it_and_its_exit_code_is_a_gates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 where nothing moves, 1 where something does, 2 where nothing can be asked."""
    command = Command(monkeypatch, capsys)
    done = command("doctor", "--invariance", "{encoder: tf-idf, dimension: 512}", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["holds"], found["rows"][0]["what"]) == (True, "batch 8 against 1")
    monkeypatch.setattr(file, "load", lambda *_, **__: CheckedEncoder(Sloppy(), name="sloppy"))
    done = command("doctor", "--invariance", "{encoder: tf-idf}", cwd=tmp_path)
    assert done.returncode == 1
    assert "4 of 9 move a vector or a score" in done.stdout
    assert "not tried  bfloat16 against float32, each alone" in done.stdout
    for arguments in (["--invariance", "{encoder: bm25}"], [], ["demo", "--invariance", "{encoder: tf-idf}"]):
        assert command("doctor", *arguments, cwd=tmp_path).returncode == 2, arguments
    with pytest.raises(InputError, match="gives no vectors"):
        found_of("{encoder: bm25}")
