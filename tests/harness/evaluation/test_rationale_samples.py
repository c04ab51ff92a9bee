"""What is kept of rationales beside a cell: run for real with a tiny model, read back by a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candidates_support import CHATML
from cells_support import save_tiny_model
from suites_support import isolate, loaded, write

from harness.backends.mteb.draw import generator
from harness.errors import InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.report.sections import rationale_view
from harness.report.sections.section import Report
from harness.report.write import write_report
from harness.results import rationale_file
from harness.results.records import Result, Score
from harness.results.store import Store
from harness.statistics.item_errors import ITEM_ERRORS
from harness.summary.build import summarise

BODY = """\
models:
  - {name: plain, encoder: mean-pool, model: MODEL}
  - {name: writes, encoder: rationale, model: MODEL, max_text_tokens: 48, generation: {max_new_tokens: 6}}
  - name: shuffled
    encoder: rationale
    model: MODEL
    ablation: shuffled-rationale
    max_text_tokens: 48
    generation: {max_new_tokens: 6}
tasks:
  custom:
    - {name: pairs, type: STS, path: pairs.jsonl}
    - {name: search, type: Retrieval, path: search}
"""
WORDS = ("cat", "dog", "mat", "rain", "bridge", "chess", "plays", "sits", "closed", "river", "train", "song")
PAIRS = 40


def sentence(number: int) -> str:
    """Return an invented sentence."""
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in (1, 5, 7, 11)) + f" {number}"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return (plan, results, store, folder) of a run of two tasks with a tiny model."""
    folder = tmp_path_factory.mktemp("rationales")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        patch.chdir(folder)
        model = save_tiny_model(folder / "model")
        config = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
        (model / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": CHATML}), encoding="utf-8")
        rows = [
            {"sentence1": sentence(n), "sentence2": sentence(n + n % 3), "score": float(n % 6)} for n in range(PAIRS)
        ]
        write(folder / "pairs.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        documents = [{"_id": f"d{n}", "title": "", "text": sentence(n)} for n in range(12)]
        queries = [{"_id": f"q{n}", "text": sentence(n).title()} for n in range(6)]
        judged = [{"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(6)]
        for name, found in (("corpus", documents), ("queries", queries), ("qrels", judged)):
            write(folder / "search" / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in found))
        suite = loaded(folder, BODY.replace("MODEL", "./model")).suite
        outcome = run(suite, RunOptions(results=folder / "results"))
    store = Store(folder / "results")
    assert all(isinstance(one, Score) for one in outcome.results.values()), outcome.results
    return outcome.plan, outcome.results, store, folder


def side_file(results: dict[str, Result], store: Store, cell: str) -> dict[str, Any]:
    """Return what was kept beside a cell."""
    score = results[cell]
    assert isinstance(score, Score)
    return rationale_file.read(store.side_of(score, score.provenance["rationale_samples"]))


def test_shares_add_up_to_the_similarity_of_the_cell(ran: Any) -> None:
    """Of every kept pair the shares of either side sum to the cosine that the task was scored with."""
    _, results, store, _ = ran
    examples = side_file(results, store, "writes/pairs")["examples"]
    assert len(examples) == 24
    for one in examples:
        for side in one["texts"]:
            total = sum(share for _, share, _ in side["tokens"])
            assert total == pytest.approx(one["predicted"], abs=1e-3)
            assert side["cosine"] == pytest.approx(one["predicted"], abs=1e-4)
            assert {part for _, _, part in side["tokens"]} <= {"t", "h", "r"}


def test_the_pieces_are_the_text_and_the_rationale(ran: Any) -> None:
    """Joined, the tokens of a part are that part's text."""
    _, results, store, _ = ran
    for one in side_file(results, store, "writes/pairs")["examples"]:
        for side, text in zip(
            one["texts"], (sentence(one["item"]), sentence(one["item"] + one["item"] % 3)), strict=True
        ):
            assert side["text"] == text
            assert "".join(piece for piece, _, part in side["tokens"] if part == "r") == side["rationale"]


def test_the_sample_is_the_seeds(ran: Any) -> None:
    """The random part depends on the seed and the names of the data alone, so every model shows the same items."""
    _, results, store, _ = ran
    examples = side_file(results, store, "writes/pairs")["examples"]
    order = generator(0, "pairs", "test", "default", "examples").permutation(PAIRS)
    assert {one["item"] for one in examples if one["why"] == "random"} == set(order[:16].tolist())
    worst = [one["error"] for one in examples if one["why"] != "random"]
    assert len(worst) == 8
    assert min(worst) >= np.median([one["error"] for one in examples if one["why"] == "random"])


def test_a_query_is_kept_with_its_top_documents(ran: Any) -> None:
    """Five documents in falling order, each with its rationale, judged or not; shares for the first."""
    _, results, store, _ = ran
    examples = side_file(results, store, "writes/search")["examples"]
    assert len(examples) == 6
    for one in examples:
        assert len(one["documents"]) == 5
        scores = [document["score"] for document in one["documents"]]
        assert scores == sorted(scores, reverse=True)
        assert one["texts"][0]["cosine"] == pytest.approx(scores[0], abs=1e-4)
        assert [bool(document.get("tokens")) for document in one["documents"]] == [True, False, False, False, False]
    relevant = {
        (one["item"], document["id"]) for one in examples for document in one["documents"] if document["relevance"]
    }
    assert all(query[1:] == document[1:] for query, document in relevant)


def test_only_models_that_write_keep_rationales(ran: Any) -> None:
    """Neither plain pooling nor an ablation has a file, and the cell's figures count each text once."""
    _, results, _, folder = ran
    kept = {cell for cell, one in results.items() if one.provenance.get("rationale_samples")}
    assert kept == {"writes/pairs", "writes/search"}
    columns = [{sentence(n) for n in range(PAIRS)}, {sentence(n + n % 3) for n in range(PAIRS)}]
    assert results["writes/pairs"].provenance["rationales"]["rationales"] == sum(map(len, columns))
    assert len(list(folder.glob("results/cells/*/*.rationales.json.gz"))) == 2


def test_a_changed_file_is_refused(ran: Any, tmp_path: Path) -> None:
    """A file whose sha256 is not the one the cell names is not shown."""
    _, results, store, _ = ran
    score = results["writes/pairs"]
    about = {**score.provenance["rationale_samples"], "sha256": "0" * 64}
    with pytest.raises(InputError, match="not the file the cell"):
        store.side_of(score, about)


def test_records_round_trip_and_are_the_same_bytes() -> None:
    """The same record gives the same file; another version is refused."""
    record = {"examples": [{"text": "\ud800 <script>"}], "texts": []}
    assert rationale_file.pack(record) == rationale_file.pack(record)
    assert rationale_file.read(rationale_file.pack(record))["examples"] == record["examples"]
    with pytest.raises(ValueError, match="version"):
        rationale_file.read(rationale_file.pack({"version": 99}))


def test_the_report_shows_them(ran: Any, tmp_path: Path) -> None:
    """report.md has the sentence and the figures; the page has the items and what the others made of them."""
    plan, results, store, _ = ran
    write_report(plan, results, store, tmp_path)
    said = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "## Rationales" in said
    assert "text and another text's rationale | shuffled" in said
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count('<details class="example"') == 24 + 6
    assert len(page.encode()) < 3_000_000


def test_flips_are_counted_over_all_items(ran: Any) -> None:
    """Better and worse by 0.25 of the ranks against the baseline, recomputed here from the stored items."""
    plan, results, store, _ = ran
    report = Report(summary=summarise(plan, results), store=store)
    cell = next(one for one in rationale_view.examples_of(report) if (one.model, one.task) == ("writes", "pairs"))
    frames = [store.items_of(results[f"{model}/pairs"]).to_pandas() for model in ("writes", "plain")]
    judged = ITEM_ERRORS["rank distance"]
    own, base = (judged.of({name: frame[name].to_numpy() for name in frame}) for frame in frames)
    assert (cell.fixed, cell.broken, cell.n) == (
        int((base - own >= 0.25).sum()),
        int((own - base >= 0.25).sum()),
        PAIRS,
    )
    assert all(one.base_error - one.error >= 0.25 for one in cell.flips_fixed)


def test_a_page_takes_a_share_of_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all examples fit, each cell gives some, in turn, and a large one does not starve the others."""
    monkeypatch.setattr(rationale_view, "TOKENS_IN_PAGE", 100)
    assert rationale_view._share_out([[20] * 9, [10] * 9, [500] * 9]) == [3, 4, 0]
    assert rationale_view._share_out([]) == []
