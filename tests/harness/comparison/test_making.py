"""What two cells were made with differently: which tasks are named, and when there are more."""

from __future__ import annotations

import pytest
from cells_support import make_score

from harness.comparison.making import unlike_making


@pytest.mark.parametrize(
    ("unlike", "of", "where"),
    [
        (7, 7, "(all tasks)"),
        (7, 9, "(7 task(s): t0, t1, t2, t3, t4, ...)"),
        (5, 9, "(5 task(s): t0, t1, t2, t3, t4)"),
        (2, 3, "(2 task(s): t0, t1)"),
    ],
)
def test_tasks_are_named_as_far_as_they_are_few(unlike: int, of: int, where: str) -> None:
    """All tasks are "all tasks" and nothing more; of many some are named, with dots where there are more."""
    pairs = {}
    for number in range(of):
        other = 2 if number < unlike else 1
        made = [make_score(provenance={"encoder": {"batch_tokens": batch}}) for batch in (1, other)]
        pairs[f"t{number}"] = tuple(made)
    (line,) = unlike_making("a", "b", pairs)
    assert line == f"batch, in padded tokens: 1 for a, 2 for b {where}"


def test_documents_that_were_compared_otherwise_are_named() -> None:
    """Records of before there was a choice are of float32; tasks that rank nothing say nothing."""
    said = {"precision": "int8"}
    old, new = (make_score(type="Retrieval", task="t", provenance=one) for one in ({}, {"search": said}))
    assert list(unlike_making("a", "b", {"t": (old, new)})) == [
        "documents compared as: float32 for a, int8 for b (all tasks)"
    ]
    same = make_score(type="Retrieval", task="t", provenance={"search": {"precision": "float32"}})
    assert list(unlike_making("a", "b", {"t": (old, same)})) == []
