"""Progress of an ability cell: as many questions as there are, whatever lm-eval asks for each."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.backends.lm_eval.questions import Questions


@pytest.mark.parametrize("each", [1, 4, 20])
@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_questions_are_told_not_requests(each: int, at_once: int) -> None:
    """All of them at the end, never more on the way; a second kind of request counts anew."""
    told: list[int] = []
    questions = Questions(told.append)
    for task in ("first", "second"):
        requests = [SimpleNamespace(task_name=task, doc_id=n) for n in range(10) for _ in range(each)]
        before = sum(told)
        questions.expect(requests)
        for start in range(0, len(requests), at_once):
            questions.done(len(requests[start : start + at_once]))
            assert 0 <= sum(told) - before <= 10
        assert sum(told) - before == 10
    assert 0 not in told
