"""`harness reproduce`: what its own options say; the rows themselves are in tests/harness/reproduction."""

from __future__ import annotations

from harness.candidates.named import NamedEntry
from harness.cli import reproduce


def test_a_trial_of_one_nested_value_keeps_the_others_of_the_entry() -> None:
    """`--try prompts.query=...` changes that prompt; those beside it are no part of what is tried."""
    entry = {"name": "m", "encoder": "mean-pool", "model": "org/name", "prompts": {"query": "q: ", "document": "d: "}}
    trial = reproduce._own("prompts.query='query: '", NamedEntry(entry, []))
    assert trial.overrides == {"prompts": {"query": "query: ", "document": "d: "}}
    assert reproduce._own("prompts={STS: 's: '}", NamedEntry(entry, [])).overrides == {"prompts": {"STS": "s: "}}
    assert entry["prompts"] == {"query": "q: ", "document": "d: "}
