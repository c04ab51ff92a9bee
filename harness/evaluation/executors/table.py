"""THE table of executors: where the cells of a run can be run, by the name that `--executor` takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pkgutil import resolve_name

from harness.environment import is_installed
from harness.errors import EnvironmentGapError, InputError
from harness.evaluation.events import Reporter
from harness.evaluation.options import RunOptions
from harness.plan.cells import Cell, Plan
from harness.wording import did_you_mean, listing

Executor = Callable[[Plan, Sequence[Cell], RunOptions, Reporter], Collection[str]]
"""Runs cells of a plan and commits each to the store; reports `Started` to `Finished` of each, or lets an interrupt
through. Returns the names of cells that other parts of the run are to finish."""

EXECUTORS = {
    "local": "harness.evaluation.executors.local:run_cells",
    "ray": "harness.evaluation.executors.ray_actors:run_cells",
}
"""Name -> `module:function` of an `Executor`, imported when it is used."""
EXTRAS = {"ray": "ray"}
"""Executor -> the package that it needs, which is also what the extra is called that installs it."""


def executor_of(name: str) -> Executor:
    """Return the executor of that name.

    Raises:
        InputError: there is none.
        EnvironmentGapError: the package that it needs is not installed.
    """
    if name not in EXECUTORS:
        near = did_you_mean(name, EXECUTORS)
        raise InputError([f"--executor {name!r}: no such executor; there are: {listing(EXECUTORS)}{near}"])
    package = EXTRAS.get(name)
    if package is not None and not is_installed(package):
        gap = f"--executor {name}: the package {package} is not installed"
        raise EnvironmentGapError([f"{gap}: pip install 'encoder-verdict[{package}]'"])
    found: Executor = resolve_name(EXECUTORS[name])
    return found
