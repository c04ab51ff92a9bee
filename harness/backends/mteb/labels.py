"""Labels of classification read once: mteb hands scikit-learn a lazy column of `datasets`, some 560 times a cell.

Every look at such a column decodes its rows one by one; as an array they give the same scores to the last digit.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np


def read_labels_at_once(task: Any) -> None:
    """Have an mteb task of classification give its labels as an array wherever it looks at them; any other is left."""
    from mteb.abstasks import AbsTaskClassification

    if isinstance(task, AbsTaskClassification):
        drawn, run = task._undersample_data, task._run_experiment
        task._undersample_data = partial(_drawn, task, drawn)
        task._run_experiment = partial(_run, task, run)


class _Rows:
    """Rows of a dataset whose labels are an array."""

    def __init__(self, rows: Any, label_column: str) -> None:
        """Read the labels of `rows`, a Dataset."""
        self._rows, self._column = rows, label_column
        self._labels = np.asarray(rows[label_column][:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: Any) -> Any:
        return self._labels if name == self._column else self._rows[name]

    def __getattr__(self, name: str) -> Any:
        """Return what the rows have."""
        return getattr(self._rows, name)


def _drawn(task: Any, drawn: Any, dataset: Any, *arguments: Any) -> Any:
    return drawn(_Rows(dataset, task.label_column_name), *arguments)


def _run(task: Any, run: Any, train: Any, scored: Any, *arguments: Any, **options: Any) -> Any:
    column = task.label_column_name
    return run(_Rows(train, column), _Rows(scored, column), *arguments, **options)
