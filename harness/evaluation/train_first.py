"""`harness run --train`: what a suite lacks is trained before it is judged, once all else is known to be there."""

from __future__ import annotations

from harness.candidates.candidate import MissingCandidate
from harness.evaluation.events import Remark, Reporter
from harness.evaluation.options import RunOptions
from harness.evaluation.preflight import ready
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.results.store import Store
from harness.sources.places import Gap
from harness.training.lacking import lacking_of, refuse_faulty
from harness.training.order import to_train
from harness.training.starting import train_all


def trained(plan: Plan, options: RunOptions, store: Store, reporter: Reporter) -> Plan:
    """Train the missing candidates of a plan that have a configuration, and return the plan with them.

    Args:
        plan: as it can be made without them.
        options: of the run.
        store: its results.
        reporter: is told every line that a training says.

    Raises:
        InputError: a configuration is wrong; all problems at once, before anything is trained.
        EnvironmentGapError: data, weights or a package are lacking, of a training or of the evaluation after it, and
            `options.available` is not set; nothing was trained.
        KeyboardInterrupt: the training that ran has written a checkpoint.
    """
    trainings = to_train(plan.suite, options.models, hub=options.sources.hub)
    if not trainings:
        return plan
    refuse_faulty(trainings)
    lacking = lacking_of(trainings, options.sources)
    coming = [gap for one in trainings for gap in one.gaps]
    ready(plan, options, store, coming=coming, further=_lines(lacking))
    begun = [one for one in trainings if one.directory not in lacking]

    def say(line: str) -> None:
        reporter.report(Remark(text=line))

    for directory, gaps in lacking.items():
        say(f"{directory}: not trained: {'; '.join(f'{gap.what}: {gap.why}' for gap in gaps)}")
    train_all(begun, options.sources, say)
    return make_plan(plan.suite, options.sources, models=options.models, tasks=options.tasks, limit=options.limit)


def failed_trainings(plan: Plan) -> list[Gap]:
    """Return the gaps of candidates whose training failed."""
    return [gap for one in plan.candidates if isinstance(one, MissingCandidate) and one.failure for gap in one.gaps]


def _lines(lacking: dict[str, list[Gap]]) -> list[str]:
    return [
        f"{gap.what} (wanted by the training of {directory}): {gap.why}\n    get it: {gap.command}"
        for directory, gaps in lacking.items()
        for gap in gaps
    ]
