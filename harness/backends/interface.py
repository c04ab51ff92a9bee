"""What a backend is: it takes a `Job` and an encoder and gives an `Outcome`; `backend_of` finds it by its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from harness.encoders.checked import CheckedEncoder
from harness.plan.cells import Cell
from harness.results.records import Metric, Unit
from harness.shards.cut import MAX_QUESTIONS, MAX_TEXTS, Shard
from harness.shards.files import ShardFiles
from harness.sources.places import Located
from harness.statistics.resampling import Interval
from harness.tasks.engines import ENGINES
from harness.tasks.types import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a backend is given for one cell."""

    cell: Cell
    data: Mapping[str, Located]
    """Task (or part of an aggregate) -> where its dataset is."""
    seed: int
    fingerprint: str
    """Of the candidate."""
    native_folder: Path
    """Where results in the engine's own format go."""
    maker: Mapping[str, Any] = field(default_factory=dict)
    """All of the candidate that can change a vector, library versions included; prompts apart."""
    writes: int = 0
    """Tokens that the model writes about a text, at most."""
    files: ShardFiles | None = None
    """Where shards are; None: the cell is run as one piece."""
    max_texts: int = MAX_TEXTS
    """A shard holds so many texts at most."""
    max_questions: int = MAX_QUESTIONS
    """And so many questions."""
    keeps_texts: bool = True
    """Whether the beginnings of the items' texts are kept beside their results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One item, as the engine gave it to the model."""

    part: str
    split: str
    subset: str
    item: int | str
    """Row of a pair, or id of a query."""
    why: str
    """`random`, `largest error`, or `text only` where nothing but the texts is kept."""
    error: float
    """0 (best) to 1, see `harness.statistics.item_errors`."""
    gold: float | None
    """Similarity or label of a pair; None for queries."""
    predicted: float
    """Similarity of a pair; the query's own metric, 0 to 1."""
    texts: tuple[str, ...]
    """Both of a pair; a query's one."""
    documents: tuple[Document, ...] = ()
    prompts: tuple[str | None, str | None] = (None, None)
    """The prefix of the texts, and of the documents."""


class ItemText(NamedTuple):
    """A text of a task's test data, and the scored items that it is part of."""

    part: str
    split: str
    subset: str
    items: tuple[Any, ...]
    """As per-item results call them; none where it is part of no single one, such as a document nobody judged."""
    role: Role | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that was found for a query."""

    id: str
    score: float
    """Its similarity to the query."""
    relevance: int | None
    """As judged; None where nobody did."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a backend makes of a cell."""

    metric: str
    score: float
    """Main metric, in `score_unit`."""
    interval: Interval | None
    """Bootstrap over items, in `score_unit`; None where the metric has none."""
    n: int
    metrics: tuple[Metric, ...]
    items: Any | None
    """pyarrow Table of per-item results."""
    items_missing: str | None
    """Why there are none."""
    unit: str
    """What an item is."""
    score_unit: Unit = "points"
    """Of `score` and `interval`."""
    lower_is_better: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """For provenance: prompts used, phases, what a limit kept."""
    examples: tuple[Example, ...] = ()
    """Items to be read; for encoders that write rationales."""


class NotRecomputedError(RuntimeError):
    """The per-item results do not give the engine's figure: one of the two is wrong, and neither is published."""


Backend = Callable[[Job, CheckedEncoder], Outcome]


class Sharding(Protocol):
    """How large cells of an engine are made in parts, on any machine: what a module of its folder has.

    A cell is loaded and cut, its shards are made one by one, by whoever comes to it, and the backend then scores the
    cell with what they hold. Nothing is kept between these steps but the files of shards.
    """

    def load(self, job: Job) -> Any:
        """Return the cell's data, ready to be cut and made from; raises ChangedContentError as the backend does."""

    def shards(self, job: Job, loaded: Any, encoder: CheckedEncoder) -> Sequence[Shard]:
        """Return what the cell is cut into, the same on every machine; empty where it is run as one piece."""

    def is_made(self, job: Job, shard: Shard, encoder: CheckedEncoder) -> bool:
        """Whether a shard's file is there and whole."""

    def make(self, job: Job, loaded: Any, shard: Shard, encoder: CheckedEncoder) -> None:
        """Encode or answer what is in a shard, and commit its file.

        Raises:
            HarnessError: the data here are not those that the shard was cut from.
            ResultsNotWrittenError: it cannot be committed.
        """

    def using(
        self, job: Job, shards: Sequence[Shard], encoder: CheckedEncoder
    ) -> AbstractContextManager[dict[str, Any]]:
        """Have the backend find what the shards hold, as long as the context lasts; yields what to say of them.

        What is in no shard is made as it is asked for, so that no hole is ever scored.
        """


def backend_of(engine: str) -> Backend:
    """Import and return the backend of `engine`; raises KeyError where there is none."""
    module, _, name = ENGINES[engine].backend.partition(":")
    backend: Backend = getattr(import_module(module), name)
    return backend


def texts_of(engine: str) -> Callable[[Job], Iterator[ItemText]]:
    """Import and return what yields the texts of a task's test data, of `engine`."""
    module, _, name = ENGINES[engine].texts.partition(":")
    found: Callable[[Job], Iterator[ItemText]] = getattr(import_module(module), name)
    return found


def sharding_of(engine: str) -> Sharding:
    """Import and return how large cells of `engine` are made in parts."""
    return cast(Sharding, import_module(ENGINES[engine].sharding))
