"""`grace train --suite`: the candidates that a suite lacks, each by the command that makes it."""

from __future__ import annotations

import shlex
import sys

from harness.cli.options import loaded_suite, names_of
from harness.errors import EnvironmentGapError, ExitCode, worst
from harness.sources.places import Sources
from harness.training.lacking import lacking_of, refuse_faulty
from harness.training.order import to_train
from harness.training.starting import train_all


def train_suite(suite: str, override: list[str] | None, *, models: str, sources: Sources, dry: bool) -> ExitCode:
    """Train what `suite` lacks, one after the other, and return how it ended.

    Args:
        suite, override: as for `harness run`.
        models: of `--models`.
        sources: where data and weights are looked for.
        dry: print the commands alone.

    Raises:
        InputError: the suite or a configuration is wrong; all problems at once.
        EnvironmentGapError: data, base or a package is not there; nothing was trained.
    """
    trainings = to_train(loaded_suite(suite, override).suite, names_of(models), hub=sources.hub)
    if dry:
        for one in trainings:
            print(shlex.join(one.shown))
            for problem in one.problems:
                print(f"  would be refused: {problem}", file=sys.stderr)
        return ExitCode.USER_ERROR if any(one.problems for one in trainings) else ExitCode.OK
    refuse_faulty(trainings)
    lacking = [str(gap) for gaps in lacking_of(trainings, sources).values() for gap in gaps]
    if lacking:
        raise EnvironmentGapError(["nothing was trained:", *dict.fromkeys(lacking)])
    try:
        failed = train_all(trainings, sources, _say)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from there", file=sys.stderr)
        return ExitCode.INTERRUPTED
    print(f"{len(trainings) - len(failed)} of {len(trainings)} trained")
    for directory, failure in failed.items():
        print(f"  {directory}: {failure.reason}")
    return worst([failure.exit_code for failure in failed.values()])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
