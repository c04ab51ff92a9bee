"""What is measured of a model: counts that are known beforehand, and times that are times."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells_support import HIDDEN, save_tiny_sentence_transformer
from suites_support import Command, write

from harness.candidates.candidate import Candidate
from harness.candidates.named import named_candidate
from harness.cost import price as pricing
from harness.cost.price import Load, measure, price
from harness.results.prices import keep, prices_in
from harness.results.store import Store
from harness.sources.places import Sources


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model as an entry in braces."""
    folder = save_tiny_sentence_transformer(tmp_path_factory.mktemp("tiny"))
    return f"{{name: tiny, encoder: sentence-transformers, model: {folder}, device: cpu"


def candidate(entry: str, more: str = "") -> Candidate:
    """Return the candidate of an entry."""
    return named_candidate(f"{entry}{more}}}", Sources(offline=True))


def test_a_price_counts_what_it_measured(entry):
    """Two queries in four calls, three documents; bytes by hand, tokens from the encoder's own count."""
    found = measure(candidate(entry), Load(queries=4, documents=3))
    assert (found.queries, found.documents, found.dimension, found.vector_bytes) == (4, 3, HIDDEN, 4 * HIDDEN)
    assert 0 < found.query_p50_ms <= found.query_p95_ms
    assert found.documents_per_second > 0
    assert found.query_tokens > 1
    assert found.tokens_per_second == pytest.approx(found.documents_per_second * found.document_tokens)
    assert found.hardware["threads"] >= 1
    assert found.where.endswith("thread(s)")
    assert found.fingerprint == candidate(entry).fingerprint()


def test_half_floats_take_half_the_bytes(entry):
    """As they are stored."""
    found = measure(candidate(entry, ", store_dtype: float16"), Load(queries=2, documents=1))
    assert found.vector_bytes == 2 * HIDDEN


def test_a_price_is_measured_in_a_process_of_its_own_and_kept(entry, tmp_path):
    """What is read again is what was measured; another of the same model on this machine takes its place."""
    store = Store(tmp_path)
    found = price(candidate(entry), Load(queries=2, documents=1))
    keep(found, store)
    keep(found, store)
    (tmp_path / "prices" / "torn.json").write_text("{")
    assert prices_in(store) == [found]


def test_a_price_that_cannot_be_kept_is_a_mistake_and_shown(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be written is refused before anything is measured; one that fails later loses no figure."""
    measured = measure(candidate(entry), Load(queries=2, documents=1))
    asked: list[Load] = []
    monkeypatch.setattr(pricing, "price", lambda _, load: asked.append(load) or measured)
    command = Command(monkeypatch, capsys)
    write(tmp_path / "file", "")
    done = command("price", entry + "}", "--offline", "--results", "file", cwd=tmp_path)
    assert (done.returncode, asked) == (2, [])
    assert "--results file: cannot be written (not a folder)" in done.stderr
    write(tmp_path / "results" / "prices", "")
    done = command("price", entry + "}", "--offline", cwd=tmp_path)
    assert (done.returncode != 0, len(asked)) == (True, 1)
    assert "prices: cannot be written" in done.stderr
    assert "bytes" in done.stdout


def test_where_nothing_was_measured_there_is_no_price(tmp_path: Path) -> None:
    """Not even a folder."""
    assert prices_in(Store(tmp_path)) == []
