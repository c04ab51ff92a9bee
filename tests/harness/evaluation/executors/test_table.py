"""Where cells run: one table, and a name that is not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import EnvironmentGapError, ExitCode, InputError
from harness.evaluation.executors import table
from harness.evaluation.executors.local import run_cells
from harness.evaluation.executors.table import EXECUTORS, executor_of
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_row_names_a_function(name: str) -> None:
    """Which is imported when it is asked for."""
    assert callable(executor_of(name))


def test_the_default_is_local() -> None:
    """As it was before there was a choice."""
    assert executor_of(RunOptions().executor) is run_cells


def test_an_unknown_executor_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    """With those that there are; even the suite is not read yet."""
    options = RunOptions(results=tmp_path, executor="lokal")
    with pytest.raises(InputError) as caught:
        run(tmp_path / "no-such-suite.yaml", options)
    (said,) = caught.value.problems
    assert said == "--executor 'lokal': no such executor; there are: local, ray; did you mean 'local'?"


def test_a_package_that_is_not_installed_is_said_before_anything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra that installs it, and the exit code of what the environment lacks."""
    monkeypatch.setattr(table, "is_installed", lambda name: False)
    with pytest.raises(EnvironmentGapError, match=r"pip install 'encoder-verdict\[ray\]'") as caught:
        run(tmp_path / "no-such-suite.yaml", RunOptions(results=tmp_path, executor="ray"))
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
