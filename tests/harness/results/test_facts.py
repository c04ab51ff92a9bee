"""What a cell says of how it was made: every key is known by name, and older records read as well."""

from __future__ import annotations

from pathlib import Path

from cells_support import make_failure, make_score
from stored_support import make_folder
from suites_support import write

from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.facts import KEYS, Facts, facts_of, name_of
from harness.sources.places import Sources
from harness.suite.load import load_suite

PAIRS = """\
{"sentence1": "a red house", "sentence2": "a red house", "score": 5}
{"sentence1": "a red house", "sentence2": "a red car", "score": 3}
{"sentence1": "a red house", "sentence2": "nothing alike", "score": 0}
"""


def test_every_key_of_a_stored_cell_is_described(tmp_path: Path) -> None:
    """A cell that a run has just written names nothing that `Facts` does not; what it names is read."""
    folder = make_folder(tmp_path)
    write(folder / "a.jsonl", PAIRS)
    options = RunOptions(
        results=folder / "results", sources=Sources(offline=True), models=("words",), tasks=("pairs-a",)
    )
    outcome = run(load_suite(folder / "mine.yaml").suite, options)
    (result,) = outcome.results.values()
    assert result.status == "ok"
    assert set(result.provenance) <= set(KEYS)
    facts = facts_of(result)
    assert (facts.cell, name_of(result)) == ("words/pairs-a", "words/pairs-a")
    assert facts.versions["mteb"]
    assert facts.data["pairs-a"]["vouched"] == "own data, keyed by content"
    assert facts.counts["texts"] > 0


def test_what_is_absent_or_null_reads_as_the_default() -> None:
    """Records of earlier versions lack keys, and models without weights have null there."""
    score = make_score(provenance={"rationales": None, "weights": None, "prompts": {"text": None}})
    assert facts_of(score) == Facts(prompts={"text": None})
    assert facts_of(make_score(provenance={})) == Facts()


def test_a_key_that_is_not_ours_is_passed_over() -> None:
    """A backend of another package may note more."""
    assert facts_of(make_score(provenance={"elsewhere": 1, "git": "abc"})) == Facts(git="abc")


def test_a_cell_without_its_name_is_called_by_model_and_task() -> None:
    """Scores and failures alike; parts and subsets are in the name where the record has it."""
    for made in (make_score, make_failure):
        assert name_of(made(model="a", task="b", provenance={})) == "a/b"
        assert name_of(made(model="a", task="b", provenance={"cell": "a/b[2/57]"})) == "a/b[2/57]"
