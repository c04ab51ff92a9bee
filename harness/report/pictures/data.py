"""Point, Whisker, Bar, Panel: what pictures draw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """A number with its 95 % interval; the interval is None where there is nothing to resample."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the value twice."""
        return (self.value if self.low is None else self.low, self.value if self.high is None else self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A model between the two axes."""

    name: str
    index: int
    """Its place in the suite: colour and marker."""
    x: Whisker
    """Embedding, difference to the baseline."""
    y: Whisker | None
    """Ability, difference to the baseline; None: not applicable or not measured."""
    is_baseline: bool = False
    rule: str | None = None
    """merged or switched; None of a model without an adapter."""

    @property
    def label(self) -> str:
        """Its name, and the rule under which it stands where there are two."""
        return self.name if self.rule is None else f"{self.name} ({self.rule})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One model's mean over the common tasks of a type, in points."""

    model: str
    index: int
    is_baseline: bool
    value: float
    reach: float | None
    """Half its 95 % interval, in points."""
    left: float
    """Of the bar, in per cent of its track."""
    width: float
    whisker: tuple[float, float] | None
    """Left end and width of the 95 % interval, in per cent; None where a task has no interval."""
    says: str
    is_published: bool = False
    """Whether others scored it: drawn hatched, without an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The bars of one type."""

    axis: str
    type: str
    n: int
    """Tasks that every model has."""
    zero: float
    """Where 0 lies on the track, in per cent."""
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A model's score against what it costs."""

    name: str
    index: int
    """Of its series: colour and marker."""
    series: str
    """What it is called in the legend."""
    line: str
    """Marks of one line are joined in the order of their cost."""
    cost: float
    """Above 0."""
    score: float
    """Mean in points."""

    @property
    def short(self) -> str:
        """Its name within its series."""
        return self.name.removeprefix(f"{self.series}@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Scores against a cost, whose axis is logarithmic."""

    cost: str
    """What it is, with its unit."""
    score: str
    """What the scores are."""
    marks: tuple[Mark, ...]

    def best(self) -> list[Mark]:
        """Return the frontier, the cheapest first: marks that no other beats at the same cost or less."""
        found: list[Mark] = []
        for one in sorted(self.marks, key=lambda mark: (mark.cost, -mark.score)):
            if not found or one.score > found[-1].score:
                found.append(one)
        return found
