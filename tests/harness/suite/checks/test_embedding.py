"""What a suite says of embedding tasks and own files, against the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites_support import write

from harness.errors import InputError
from harness.suite.load import load_suite

TASK = "{{name: zh, type: STS, path: x, {}}}"
SUITE = f"version: 1\nname: s\nmodels: [{{{{name: m, encoder: tf-idf}}}}]\ntasks: {{{{custom: [{TASK}]}}}}\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("deu", "of this language there are deu-Latn"),
        ("zho-Latn", "of this language there are zho-"),
        ("english", "an ISO 639-3 code and a script: deu-Latn"),
    ],
)
def test_a_language_that_mteb_does_not_have_is_refused_with_those_that_are_near(
    tmp_path: Path, said: str, told: str
) -> None:
    """Where it stands, before anything is read."""
    file = write(tmp_path / "s.yaml", SUITE.format(f"language: {said}"))
    with pytest.raises(InputError) as refused:
        load_suite(file)
    (problem,) = refused.value.problems
    assert f"language {said!r}" in problem
    assert told in problem
    assert load_suite(write(tmp_path / "s.yaml", SUITE.format("language: zho-Hans"))).suite.tasks.custom
