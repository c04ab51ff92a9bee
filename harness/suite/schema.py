"""What a suite says: frozen pydantic models, every unknown key refused; imports nothing heavy.

`load.py` turns files into these models, `validation.py` puts problems at their positions, and `checks/` holds what
needs more than one field or the catalogue.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from harness.shards.cut import MAX_QUESTIONS, MAX_TEXTS
from harness.suite.fields import Name, Points, Strict, listed
from harness.suite.model_entries import ModelSpec
from harness.suite.sizes import sized
from harness.suite.task_entries import Public, Tasks


class Gate(Strict):
    """One condition on results: exactly one of `floor`, `max_drop`, `max_change`, `max_flips`, `min_gain`."""

    name: str | None = None
    """How reports call it; None: made of the condition."""
    axis: Literal["embedding", "ability"] | None = None
    """Only tasks of this axis."""
    type: str | None = None
    """Only tasks of this type, such as STS."""
    task: str | None = None
    """Only this task."""
    models: Annotated[list[Name], BeforeValidator(listed, json_schema_input_type=Name | list[Name])] = []
    """Only these models; none: every model but the one compared with."""
    each: bool = False
    """Judge every task on its own; otherwise the mean over the tasks."""
    floor: Points | None = None
    """The score is at least this (where less is better: at most)."""
    max_drop: Annotated[Points, Field(ge=0)] | None = None
    """The score is at most so far below the reference."""
    max_change: Annotated[Points, Field(ge=0)] | None = None
    """The score is at most so far from the reference, either way: for scores that should not move."""
    max_flips: Annotated[int, Field(ge=0)] | None = None
    """At most so many of the decisions behind the score (labels, clusters, options chosen, answers) are other than the
    reference's, task by task: for scores that only a processor's last digits may move."""
    min_gain: Points | None = None
    """The score is at least so far above the reference."""
    against: str | None = None
    """The model that is the reference; None: for min_gain the suite's baseline, otherwise the file of `--baseline`."""
    test: Literal["non-inferiority"] | None = None
    """With max_drop: the whole 95 % interval of the difference lies above -max_drop, not only the difference."""
    allow_limited: bool = False
    """Judge limited cells too; otherwise a limited cell fails the gate."""


class Retention(Strict):
    """What counts as keeping an ability: margins of the report, part of no cell's key."""

    margin: Annotated[float, Field(gt=0, lt=100)] = 0.5
    """Points: a loss of this much or more must be excluded."""
    nats_margin: Annotated[float, Field(gt=0)] = 0.01
    """Nats per token, where the task is one of likelihood or the baseline sits at chance: 0.01 is a perplexity of the
    right answer that is 1 % higher."""


class Shards(Strict):
    """How large the parts are that large cells are made in; part of no cell's key.

    Two machines that work on one run must say the same here.
    """

    max_texts: Annotated[int, Field(gt=0)] = MAX_TEXTS
    """Texts to encode; what a process that dies loses, at most."""
    max_questions: Annotated[int, Field(gt=0)] = MAX_QUESTIONS
    """Questions of the ability axis."""


class Suite(Strict):
    """One evaluation: models x tasks."""

    version: Literal[1]
    """Of the suite format."""
    name: Name
    extends: Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])] = []
    """Suites this one starts from, merged in order; this file's own values win."""
    include: Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])] = []
    """Suites whose models and tasks are added, and nothing else of them."""
    description: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    """Of subsampling (limit) and of sampled generation; the engines' own seeds stay theirs."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """Scored items a task; limited cells never mix with full ones."""
    models: list[ModelSpec] = []
    baseline: str | None = None
    """The model that differences are taken to; None takes the first."""
    train: dict[str, Any] = {}
    """What the configurations of all candidates say differently; an entry's own `train` wins."""
    tasks: Tasks = Tasks()
    gates: list[Gate] = []
    """What `harness gate` holds the results against."""
    retention: Retention = Retention()
    shards: Shards = Shards()
    keep_texts: bool = True
    """Keep the beginnings of the items' texts beside their results, so that a report can show which items moved between
    two models; part of no cell's key."""
    public: Public | None = None
    """Published models that reports show beside the suite's own; part of no cell's key."""

    @field_validator("models", mode="after")
    @classmethod
    def _every_size(cls, models: list[ModelSpec]) -> list[ModelSpec]:
        """Put an entry for each size in the place of one that names sizes."""
        return sized(models)

    def baseline_name(self) -> str | None:
        """Return the baseline's name: the one named, else the first model, else None."""
        return self.baseline or (self.models[0].name if self.models else None)
