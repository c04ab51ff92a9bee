"""What is said of an adapter that is not there, with its position, before anything is loaded."""

from __future__ import annotations

import pytest
from suites_support import suite_file

from harness.errors import InputError
from harness.suite.load import load_suite

WITH = "encoder: mean-pool, model: a/b, adapter: a/c"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{name: m, encoder: mean-pool, model: a/b, adapter_scale: 0.5}", "adapter_scale: 0.5 needs an adapter"),
        (f"{{name: m, {WITH}, adapter_scale: 0}}", "expected more than 0, got 0"),
        (f"{{name: m, {WITH}, adapter_scale: -1}}", "expected more than 0, got -1"),
        (f"{{name: m, {WITH}, adapter_scale: .inf}}", "expected a finite number, got .inf"),
        ("{name: m, candidate: runs/x, adapter_scale: 0}", "expected more than 0, got 0"),
        ("{name: m, encoder: tf-idf, adapter_scale: 0.5}", "unknown key 'adapter_scale'"),
    ],
    ids=["no adapter", "zero", "negative", "infinite", "candidate", "tf-idf"],
)
def test_what_cannot_be_scaled_is_a_problem(tmp_path, entry, said):
    with pytest.raises(InputError) as caught:
        load_suite(suite_file(tmp_path, f"models:\n  - {entry}\n"))
    assert any(said in one and one.startswith(str(tmp_path)) for one in caught.value.problems)


def test_an_adapter_may_be_scaled_and_one_changes_nothing(tmp_path):
    entries = (
        f"[{{name: a, {WITH}, adapter_scale: 0.5}}, {{name: b, encoder: mean-pool, model: a/b, adapter_scale: 1}}]"
    )
    assert [one.adapter_scale for one in load_suite(suite_file(tmp_path, f"models: {entries}\n")).suite.models] == [
        0.5,
        1,
    ]
