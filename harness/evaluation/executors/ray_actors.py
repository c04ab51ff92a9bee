"""Cells on a Ray cluster: Ray Core actors, one a device, each with a worker; the driver hands out units.

No actor is restarted and no call repeated by Ray: a unit that was lost is given to another worker by our own schedule,
and an actor that takes the place of a dead one is a new one, with its arguments. Actors end with the driver.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import environment
from harness.digests import write_atomically
from harness.errors import EnvironmentGapError, HarnessError, ResultsNotWrittenError
from harness.evaluation.dispatch import Dispatch
from harness.evaluation.events import Remark, Reporter
from harness.evaluation.executors import ray_cluster
from harness.evaluation.executors.local import WAIT_SECONDS, heeding_interrupts, worked_too_long
from harness.evaluation.executors.ray_actor import EVENTS, Place, RayWorker, Token
from harness.evaluation.options import RunOptions
from harness.evaluation.units import Unit
from harness.plan.cells import Cell, Plan
from harness.wording import duration, first_few
from harness.writing import in_words

PLACE_SECONDS = 120.0
"""For the cluster to find a place for a first worker, where none is at work."""
IN_KEYS = ("encoder-verdict", "mteb", "lm-eval")
"""What scores a cell: its version is in the cell's key, as this machine has it."""
LAST_EVENTS_SECONDS = 10.0
"""For events that were asked for before a unit was done."""


def run_cells(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter) -> Collection[str]:
    """Run `cells` in the actors of a cluster: that of RAY_ADDRESS, else one on this machine.

    Args:
        plan: that the cells are of.
        cells: with a key each.
        options: `results`, a folder that all nodes see; `workers`, `use_cache`, `part` and `cell_timeout`.
        reporter: told in this process, whichever node ran a cell.

    Returns:
        The cells that other parts of the run are to finish.

    Raises:
        HarnessError: nothing more can be committed, or no worker can be placed or used.
    """
    options = replace(options, results=options.results.absolute())
    dispatch = Dispatch.of(plan, cells, options, reporter, longest_first=True)
    with ray_cluster.connected(options.workers), heeding_interrupts() as check, _token(options.results) as token:
        asked = ray_cluster.wanted(ray_cluster.nodes(), options.workers, most_threads=_most_threads())
        crew = Crew(dispatch=dispatch, plan=plan, options=options, wanted=asked, token=token)
        try:
            while not dispatch.schedule.is_over:
                check()
                with ray_cluster.said_where_it_is_lost():
                    crew.step()
        finally:
            crew.dismiss()
    return dispatch.others


def _most_threads() -> int | None:
    """Return the user's own word on threads, which Ray heeds too."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(said)) if said.isdigit() else None


@contextmanager
def _token(results: Path) -> Iterator[Token]:
    """Keep a file in the results folder by which a node can tell that it is this one."""
    text = secrets.token_hex(16)
    path = results / "logs" / f"ray-{text}.token"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ResultsNotWrittenError([f"{path}: cannot be written: {in_words(error)}"]) from error
    try:
        yield Token(path=path, text=text)
    finally:
        with suppress(OSError):
            path.unlink()


@dataclass(slots=True, kw_only=True)
class Hand:
    """An actor."""

    number: int
    actor: Any
    hello: Any
    """What it answers to that, a reference; until it has."""
    place: Place | None = None
    """Where it is; None until it has told."""
    unit: Unit | None = None
    """What it is at."""
    since: float = 0.0
    """When it was given that, by the monotonic clock."""
    model: str | None = None
    """Whose encoder it has loaded."""
    call: Any = None
    """The reference of what comes of the unit."""
    events: Any = None
    """The reference of what happened meanwhile."""
    asked: float = 0.0
    """When that was asked for."""

    def __str__(self) -> str:
        return f"worker {self.number}" + (f" on {self.place.name}" if self.place else "")


@dataclass(slots=True, kw_only=True)
class Crew:
    """The actors of a run, watched by the process that asked for them."""

    dispatch: Dispatch
    plan: Plan
    options: RunOptions
    wanted: ray_cluster.Wanted
    token: Token
    hands: list[Hand] = field(default_factory=list)
    hired: int = 0
    unfit: dict[str, str] = field(default_factory=dict)
    """Id of a node that cannot be used -> why."""
    folder_is_unseen: bool = False
    """Whether that is why one of them cannot."""
    stillborn: list[str] = field(default_factory=list)
    """Why actors ended before they were ready, since one was; where all do, no more are asked for."""
    since: float = field(default_factory=time.monotonic)
    """When a worker was last there."""
    released: float = 0.0
    """When it was last tried whether other runs still hold what they held."""
    kind: type[RayWorker] = RayWorker
    """What an actor is."""

    def step(self) -> None:
        """Ask for actors, keep them busy, hear what they have to say; half a second at most where they say nothing."""
        self._hire()
        self._give()
        self._listen()
        if time.monotonic() - self.released > WAIT_SECONDS:
            self.dispatch.schedule.release()
            self.released = time.monotonic()
        self._end_those_that_hang()
        if any(hand.place for hand in self.hands):
            self.since = time.monotonic()
        elif time.monotonic() - self.since > PLACE_SECONDS:
            raise EnvironmentGapError([self._no_place()])

    def _no_place(self) -> str:
        return (
            f"Ray found no place for a worker within {duration(PLACE_SECONDS)}: asked for {self.wanted}; the cluster "
            f"has {ray_cluster.in_words()}; end what takes its place, add nodes, or set OMP_NUM_THREADS for workers "
            "of fewer CPUs"
        )

    def _hire(self) -> None:
        """Ask for actors in place of those that are not there; they wait where the cluster has no room."""
        while len(self.hands) < min(self.wanted.actors, self.dispatch.schedule.can_use):
            if len(self.stillborn) >= self.wanted.actors:
                if self.hands:
                    return
                raise EnvironmentGapError([f"no Ray worker came to work: {first_few(dict.fromkeys(self.stillborn))}"])
            fit = [one for one in ray_cluster.nodes() if one.id not in self.unfit]
            if self.unfit and not fit:
                if self.hands:
                    return
                advice = [self._no_shared_folder()] if self.folder_is_unseen else []
                raise EnvironmentGapError([*self.unfit.values(), *advice])
            self._ask_for_one(fit)

    def _no_shared_folder(self) -> str:
        return (
            f"the results folder {self.options.results} must be one that all nodes see, on a shared disk; without one, "
            "run `--shard i/n` on each machine and put the folders together with `harness merge`"
        )

    def _ask_for_one(self, fit: Sequence[ray_cluster.Node]) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        where: Any = "SPREAD"
        if self.unfit:  # else it might be put there again
            where = NodeAffinitySchedulingStrategy(fit[self.hired % len(fit)].id, soft=False)
        actor = (
            ray.remote(concurrency_groups={EVENTS: 1})(self.kind)
            .options(
                num_cpus=self.wanted.threads,
                num_gpus=self.wanted.gpus,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=where,
                runtime_env={"env_vars": ray_cluster.environment_of(self.wanted.threads)},
            )
            .remote(self.plan, self.options, os.getcwd(), self.wanted.threads)
        )
        self.hands.append(Hand(number=self.hired, actor=actor, hello=actor.hello.remote(self.token)))
        self.hired += 1

    def _give(self) -> None:
        """Give every idle worker a unit, as long as there are some."""
        for hand in self.hands:
            if hand.unit is not None or hand.place is None:
                continue
            unit = self.dispatch.schedule.take(hand.model)
            if unit is None:
                continue
            hand.unit, hand.since, hand.model = unit, time.monotonic(), unit.cell.encoder
            hand.call = hand.actor.do.remote(unit)

    def _listen(self) -> None:
        """Take in what has come, after half a second at most."""
        import ray

        for hand in self.hands:
            if hand.place and hand.events is None and time.monotonic() - hand.asked > WAIT_SECONDS:
                hand.asked = time.monotonic()
                hand.events = hand.actor.take_events.options(concurrency_group=EVENTS).remote()
        waiting = {one: hand for hand in self.hands for one in (hand.hello, hand.events, hand.call) if one is not None}
        if not waiting:  # other runs are at all that is left
            time.sleep(WAIT_SECONDS)
            return
        come, _ = ray.wait(list(waiting), timeout=WAIT_SECONDS)
        for reference in come:
            hand = waiting[reference]
            try:
                self._hear(hand, reference)
            except ray.exceptions.RayError as error:
                self._leaves(hand, _how_it_ended(error))

    def _hear(self, hand: Hand, reference: Any) -> None:
        import ray

        if reference == hand.hello:
            hand.hello = None
            self._begins(hand, ray.get(reference))
        elif reference == hand.events:
            events, hand.events = ray.get(reference), None
            self._tell(events)
        else:
            last, done = ray.get(reference)
            if hand.events is not None:  # what happened before the last of it
                self._tell(ray.get(hand.events, timeout=LAST_EVENTS_SECONDS))
                hand.events = None
            self._tell(last)
            hand.unit = hand.call = None
            if isinstance(done, HarnessError):  # ends the run for all
                raise done
            self.dispatch.back(done)

    def _tell(self, events: Sequence[Any]) -> None:
        for event in events:
            self.dispatch.report(event)

    def _begins(self, hand: Hand, place: Place) -> None:
        """Take up a worker that is ready, if it can be of use."""
        self.stillborn.clear()
        why = self._why_unfit(place)
        if why is not None:
            self.unfit[place.node] = why
            self.dispatch.report(Remark(text=why))
            self._drop(hand)
            return
        hand.place = place
        if not place.has_folder:
            self.dispatch.report(Remark(text=f"{hand}: no folder {os.getcwd()}, relative paths lead nowhere there"))
        others = _other_versions(place)
        if others:
            self.dispatch.report(Remark(text=f"{hand} has other versions than this machine: {first_few(others)}"))

    def _why_unfit(self, place: Place) -> str | None:
        """Return why a node cannot be used; None where it can."""
        if not place.sees_results:
            self.folder_is_unseen = True
            return f"node {place.name} does not see the results folder {self.options.results}, and is not used"
        scoring = [one for one in _other_versions(place) if one.split()[0] in IN_KEYS]
        if scoring:  # a cell would be kept under a key that says otherwise
            return f"node {place.name} scores by {' and '.join(scoring)}, unlike this machine, and is not used"
        return None

    def _end_those_that_hang(self) -> None:
        most = self.options.cell_timeout
        for hand in list(self.hands):
            if most is not None and hand.unit is not None and time.monotonic() - hand.since > most:
                self._leaves(hand, worked_too_long(most), is_ours=True)

    def _leaves(self, hand: Hand, how: str, *, is_ours: bool = False) -> None:
        """Take note of a worker's end."""
        self._drop(hand)
        if hand.place is None:
            self.stillborn.append(how)
        elif not any(one.id == hand.place.node for one in ray_cluster.nodes()):
            how = "was lost with its node"
        if hand.unit is None:
            self.dispatch.report(Remark(text=f"{hand} {how} before it came to a cell"))
        else:
            self.dispatch.died(hand.unit, f"{hand} {how}{'' if is_ours else ' while it was at this cell'}")

    def _drop(self, hand: Hand) -> None:
        """End an actor, whatever it is at."""
        import ray

        self.hands.remove(hand)
        with suppress(ray.exceptions.RayError):
            ray.kill(hand.actor, no_restart=True)

    def dismiss(self) -> None:
        """End the actors that are left, whatever the run ended with."""
        for hand in list(self.hands):
            self._drop(hand)


def _other_versions(place: Place) -> list[str]:
    """Return the packages of a node that are of another version than here, with that version."""
    here = environment.versions()
    return [f"{name} {has}" for name, has in place.versions.items() if has != here[name]]


def _how_it_ended(error: Exception) -> str:
    """Return how an actor ended, in words, by what a call to it raised."""
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return (
            "was ended by Ray since its node ran out of memory (a smaller batch_tokens, or fewer workers on a node, "
            "need less)"
        )
    if isinstance(error, ray.exceptions.RayTaskError):  # of our own making
        return f"ended with {type(error.cause).__name__}: {error.cause}"
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return "no longer answered"
    lines = [one.strip() for one in str(error).splitlines() if one.strip()]
    why = next((one for one in reversed(lines) if not one.startswith(("ip:", "pid:", "actor_id:", "namespace:"))), "")
    if "unexpectedly" in str(error):
        return "was killed or crashed, perhaps out of memory (a smaller batch_tokens needs less)"
    return f"ended ({type(error).__name__}: {why})"
