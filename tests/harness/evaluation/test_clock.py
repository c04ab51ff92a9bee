"""How long a run will still take: each model's pace, the part of a cell that is done, characters and not texts."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from harness.evaluation.clock import Clock
from harness.evaluation.events import Phase, Started
from harness.plan import cells as plan_cells
from harness.plan.scoring import scoring_seconds
from harness.plan.tasks import resolve_tasks
from harness.suite.schema import Suite
from harness.tasks.catalogue import Counts
from harness.wording import duration


class Task(NamedTuple):
    """As much of a planned task as the clock asks for."""

    of_texts: int | None
    of_characters: int | None
    training: int = 0
    type: str = "STS"
    axis: str = "embedding"

    def counts(self) -> Counts | None:
        """Return what was given; training texts are among the texts here."""
        if self.of_texts is None or self.of_characters is None:
            return None
        texts = self.of_texts - self.training
        return Counts(
            items=texts, texts=texts, unique_texts=texts, characters=self.of_characters, training_texts=self.training
        )


class Cell(NamedTuple):
    """A model on a task."""

    model: str
    name: str
    task: Task

    def __str__(self) -> str:
        return f"{self.model}/{self.name}"


class Hand:
    """A clock's hand, moved by the test."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hand() -> Hand:
    """At zero."""
    return Hand()


def clock_of(hand: Hand, *cells: Any) -> Clock:
    """Return a clock that expects `cells`."""
    clock = Clock(hand)
    clock.expect(cells)
    return clock


def test_a_cell_that_runs_counts_for_what_is_done(hand: Hand) -> None:
    """A quarter of 400 texts after 10 s leaves 30; nothing done leaves a question mark, all done a dash."""
    cell = Cell("a", "sts", Task(400, 4000))
    clock = clock_of(hand, cell)
    assert clock.eta() == "?"
    clock.begin(cell)
    hand.seconds = 5.0
    assert clock.eta() == "?"
    clock.advance(cell, 100)
    hand.seconds = 10.0
    assert (clock.eta(), clock.rate()) == ("30.0 s", "10 texts/s")
    clock.finish(cell, failed=False)
    assert clock.eta() == "-"


def test_each_model_goes_on_at_its_own_pace(hand: Hand) -> None:
    """`a` took 10 s for a task; `b`, a tenth through it after 100 s, has 900 s left, and not the 10 s of `a`."""
    task = Task(100, 1000)
    cells = Cell("a", "sts", task), Cell("b", "sts", task)
    clock = clock_of(hand, *cells)
    clock.begin(cells[0])
    hand.seconds = 10.0
    clock.finish(cells[0], failed=False)
    assert clock.eta() == "10.0 s"  # of b nothing is known yet
    clock.begin(cells[1])
    clock.advance(cells[1], 10)
    hand.seconds = 110.0
    assert clock.eta() == "15 min 00 s"


def test_long_texts_weigh_more(hand: Hand) -> None:
    """After 10 s for 100 texts of 10 characters, 100 of 90 take 90 s; training texts are as long as the others."""
    short, long = Cell("a", "short", Task(100, 1000)), Cell("a", "long", Task(100, 9000))
    trained = Cell("a", "trained", Task(100, 500, training=50))
    clock = clock_of(hand, short, long, trained)
    clock.begin(short)
    hand.seconds = 10.0
    clock.finish(short, failed=False)
    assert clock.eta() == "1 min 40 s"


def test_cells_side_by_side_share_the_time(hand: Hand) -> None:
    """Two that ran at once for 10 s leave two more, which will take another 10 s together."""
    cells = [Cell("a", str(number), Task(10, 100)) for number in range(4)]
    clock = clock_of(hand, *cells)
    for cell in cells[:2]:
        clock.begin(cell)
    hand.seconds = 10.0
    for cell in cells[:2]:
        clock.finish(cell, failed=False)
    assert clock.eta() == "10.0 s"


def test_a_cell_that_another_process_made_says_nothing_of_the_pace(hand: Hand) -> None:
    """It leaves what is left; where one cell's texts are unknown all cells weigh alike."""
    cells = [Cell("a", str(number), Task(10, 100)) for number in range(3)]
    clock = clock_of(hand, *cells)
    clock.finish(cells[0], failed=False, elsewhere=True)
    clock.begin(cells[1])
    hand.seconds = 10.0
    clock.finish(cells[1], failed=False)
    assert clock.eta() == "10.0 s"
    unknown = [Cell("a", "mmlu", Task(None, None)), Cell("a", "sts", Task(10, 100_000))]
    clock = clock_of(hand, *unknown)
    clock.begin(unknown[0])
    hand.seconds = 20.0
    clock.finish(unknown[0], failed=False)
    assert clock.eta() == "10.0 s"


def test_a_cell_that_failed_says_nothing_of_the_pace(hand: Hand) -> None:
    """One that breaks after a second does not make the two others seconds long."""
    cells = [Cell("a", str(number), Task(10, 100)) for number in range(3)]
    clock = clock_of(hand, *cells)
    clock.begin(cells[0])
    hand.seconds = 1.0
    clock.finish(cells[0], failed=True)
    assert (clock.eta(), clock.failed) == ("?", 1)
    clock.begin(cells[1])
    hand.seconds = 31.0
    clock.finish(cells[1], failed=False)
    assert clock.eta() == "30.0 s"


def test_more_texts_than_expected_do_not_end_a_cell(hand: Hand) -> None:
    """At three times the expected texts a hundredth is still left."""
    cell = Cell("a", "sts", Task(10, 100))
    clock = clock_of(hand, cell)
    clock.begin(cell)
    clock.advance(cell, 30)
    hand.seconds = 99.0
    assert clock.eta() == "1.0 s"


def test_a_limited_cell_is_measured_against_what_the_limit_leaves(hand: Hand) -> None:
    """SciFact with ten queries is about 130 texts: 65 of them after 10 s leave 10 s, not those of 5183 documents."""
    suite = Suite.model_validate({"version": 1, "name": "s", "tasks": {"embedding": {"names": ["SciFact"]}}})
    (task,) = resolve_tasks(suite, 10)
    cell = plan_cells.Cell(model="a", task=task, state="to run", key=None)
    clock = clock_of(hand, cell)
    clock.begin(cell)
    clock.advance(cell, 65)
    hand.seconds = 10.0
    assert clock.eta() == "10.0 s"


def test_slow_models_have_a_pace_too(hand: Hand) -> None:
    """Two texts in ten seconds are 0.2 a second, not 0."""
    cell = Cell("a", "sts", Task(10, 100))
    clock = clock_of(hand, cell)
    clock.begin(cell)
    clock.advance(cell, 2)
    hand.seconds = 10.0
    assert clock.rate() == "0.2 texts/s"


def test_k_means_is_in_the_time_left_and_in_no_pace(hand: Hand) -> None:
    """A model that encodes 100 texts in a second has 100 more to go, and then its clustering, whatever its pace."""
    first, second = (Cell("m", name, Task(100, 1000, type=kind)) for name, kind in (("a", "STS"), ("b", "Clustering")))
    clock = clock_of(hand, first, second)
    scoring = scoring_seconds(second.task)
    assert scoring > 0
    clock.begin(first)
    hand.seconds = 1.0
    clock.finish(first, failed=False)
    assert clock.eta() == duration(1.0 + scoring)
    clock.begin(second)
    clock.advance(second, 100)
    hand.seconds += scoring / 2
    assert clock.eta() == duration(0.01 * 0.5 + scoring / 2)
    hand.seconds += 10 * scoring
    assert clock.eta() != "-"
    clock.finish(second, failed=False)
    assert clock.eta() == "-"


@pytest.mark.parametrize(
    ("axes", "said"),
    [(["ability"], "questions"), (["embedding"], "texts"), (["ability", "embedding"], "texts and questions")],
)
def test_the_pace_names_what_is_counted(hand: Hand, axes: list[str], said: str) -> None:
    """Questions are no texts, and a run of both axes says so."""
    cells = [Cell("m", str(n), Task(10, 100, axis=axis)) for n, axis in enumerate(axes)]
    clock = clock_of(hand, *cells)
    clock.begin(cells[0])
    clock.advance(cells[0], 10)
    hand.seconds = 2.0
    assert clock.rate() == f"5.0 {said}/s"


def test_questions_and_characters_are_never_added(hand: Hand) -> None:
    """Four questions in 20 s say nothing of ten million characters; a tenth of those does, and then of both."""
    asked = [Cell("a", name, Task(4, 0, axis="ability")) for name in ("gsm8k", "humaneval")]
    read = Cell("a", "scifact", Task(1000, 10_000_000))
    clock = clock_of(hand, *asked, read)
    clock.begin(asked[0])
    hand.seconds = 20.0
    clock.finish(asked[0], failed=False)
    assert clock.eta() == "over 20.0 s"
    clock.begin(read)
    clock.advance(read, 100)
    hand.seconds = 30.0
    assert clock.eta() == duration(20.0 + 90.0)


def test_a_cell_of_unknown_size_weighs_what_its_axis_does_on_the_mean(hand: Hand) -> None:
    """And takes the weights of no other away: 100 of 300 characters took 10 s, what is left are 200 and the mean."""
    cells = [Cell("a", "one", Task(10, 100)), Cell("a", "two", Task(10, 200)), Cell("a", "own", Task(None, None))]
    clock = clock_of(hand, *cells)
    clock.begin(cells[0])
    hand.seconds = 10.0
    clock.finish(cells[0], failed=False)
    assert clock.eta() == duration(20.0 + 15.0)


def test_loading_a_model_is_in_no_pace(hand: Hand) -> None:
    """A minute for the weights, then ten of a hundred texts in a second."""
    cell = Cell("a", "sts", Task(100, 1000))
    clock = clock_of(hand, cell)
    clock.note(Started(cell=cell))  # type: ignore[arg-type]
    hand.seconds = 60.0
    clock.note(Phase(cell=cell, name="evaluating"))  # type: ignore[arg-type]
    clock.advance(cell, 10)
    hand.seconds = 61.0
    assert clock.eta() == "9.0 s"


def test_a_copy_that_is_smaller_than_its_task_weighs_less_for_the_models_after_it(hand: Hand) -> None:
    """A tenth of the texts were there, in 10 s: so it will be for `b`; of shards that others made nobody knows."""
    task, other = Task(1000, 1000), Task(100, 100)
    cells = [Cell(model, name, one) for model in "ab" for name, one in (("cut", task), ("sts", other))]
    for in_shards, left in ((False, 30.0), (True, 12.0)):
        hand.seconds = 0.0
        clock = clock_of(hand, *cells)
        clock.begin(cells[0])
        clock.advance(cells[0], 100)
        if in_shards:
            clock.reach(cells[0], 0.5)
        hand.seconds = 10.0
        clock.finish(cells[0], failed=False)
        assert clock.eta() == duration(left)
