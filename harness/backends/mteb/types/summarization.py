"""Summarization: items."""

from __future__ import annotations

from typing import Any

import numpy as np


def documents_of(task: Any, data: Any, human: list[list[float]]) -> list[int]:
    """Return which documents were scored: mteb leaves out those with constant ratings or similarities.

    Matched in order by their ratings, which mteb normalises; documents with the same ratings cannot be told apart,
    which matters only beside a left-out one.
    """
    low, high = task.min_score, task.max_score
    ratings = [[(value - low) / (high - low) for value in row] for row in data[task.relevancy_column_name]]
    found: list[int] = []
    place = 0
    for scored in human:
        while not np.allclose(ratings[place], scored):
            place += 1
        found.append(place)
        place += 1
    return found


def averages_p_value(task: Any) -> bool:
    return bool(task.evaluator.__name__ == "DeprecatedSummarizationEvaluator")
