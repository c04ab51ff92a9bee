"""docs/results.md lists what is written: every column, every field of a record, every key of its provenance."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from places import REPOSITORY
from suites_support import suite_file, write

import harness
from harness.report.formats.csv import METRICS_HEADER, SCORES_HEADER
from harness.results.records import Failure, Score

PAGE = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")


def first_column(section: str) -> list[str]:
    """Return what stands in backquotes in the first column of a section's tables."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    return [name for line in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)]


@pytest.mark.parametrize(("section", "header"), [("scores.csv", SCORES_HEADER), ("metrics.csv", METRICS_HEADER)])
def test_the_page_has_the_columns_in_their_order(section, header):
    """A column that is added, dropped or moved without a word fails."""
    assert tuple(first_column(section)) == header


def test_the_page_has_every_field_of_a_record():
    """Of scores and of failures."""
    named = {one.name for kind in (Score, Failure) for one in fields(kind)} | {"record_version"}
    assert named <= set(first_column("A stored cell"))


def test_the_page_has_every_key_of_the_provenance(tmp_path, monkeypatch):
    """Of a cell that was run: what it lists and what is stored, one for one but for ability and training."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(
        f'{{"sentence1": "a{n} b{n}", "sentence2": "b{n} c{n % 2} a{n % 3}", "score": {n}}}\n' for n in range(5)
    )
    write(tmp_path / "pairs.jsonl", rows)
    suite_file(
        tmp_path, "models: [{name: w, encoder: tf-idf}]\ntasks: {custom: [{name: p, type: STS, path: pairs.jsonl}]}\n"
    )
    (score,) = harness.run(tmp_path / "mine.yaml").results.values()
    listed = set(first_column("A stored cell"))
    assert set(score.provenance) <= listed
    others = {"ability", "rationale_samples", "shards"}
    assert listed - {one.name for kind in (Score, Failure) for one in fields(kind)} - {
        "record_version"
    } - others <= set(score.provenance) | {"points", "nats", "raw"}
