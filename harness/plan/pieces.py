"""Into how many shards a cell is cut, from the catalogue's counts, and so what can be done side by side: pure.

The rule is that of `harness.shards.cut`; it is applied to texts here of which only number and mean length are known,
so that the number of shards is about right and no promise. Queries and documents are cut apart; the texts of other
types, and those of reranking, are taken as one list a split and subset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from harness.candidates.candidate import Candidate
from harness.plan.cells import Plan, PlannedTask
from harness.shards.cut import MAX_QUESTIONS, MAX_TEXTS, question_count, shard_count, weight_of
from harness.suite.model_entries import FittedModel
from harness.suite.task_entries import NllRef
from harness.tasks.catalogue import Counts
from harness.tasks.types import EMBEDDING_TYPES

NUMBER_BYTES = {"float32": 4, "float16": 2}
"""Of a stored vector, by `store_dtype`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How the cells of a model are cut."""

    is_cut: bool = True
    """False: what a text becomes hangs on the other texts of its task, so that a cell is made in one go."""
    max_texts: int = MAX_TEXTS
    max_questions: int = MAX_QUESTIONS
    number_bytes: int = NUMBER_BYTES["float32"]
    """Of one number of a stored vector."""


USUAL = Cutting()
"""Of a model about which nothing else is said."""


def may_be_cut(task: PlannedTask, cutting: Cutting, writes: int) -> bool:
    """Whether the data of a cell must be read to know whether it is made in parts.

    Args:
        task: of the cell.
        cutting: of its model.
        writes: tokens that its model writes about a text, at most.
    """
    if task.axis == "embedding":
        return text_shards(task, cutting, writes) != 0
    counts = task.counts()
    return cutting.is_cut and (counts is None or question_shards(task, cutting, counts.items) > 0)


def cuttings_of(plan: Plan) -> dict[str, Cutting]:
    """Return model -> how its cells are cut."""
    specs = {spec.name: spec for spec in plan.suite.models}
    found = {}
    for candidate in plan.candidates:
        spec = candidate.spec if isinstance(candidate, Candidate) else specs[candidate.name]
        found[candidate.name] = Cutting(
            is_cut=not isinstance(spec, FittedModel),
            max_texts=plan.suite.shards.max_texts,
            max_questions=plan.suite.shards.max_questions,
            number_bytes=NUMBER_BYTES[spec.store_dtype],
        )
    return found


def text_shards(task: PlannedTask, cutting: Cutting, writes: int | None) -> int | None:
    """Return into about how many shards an embedding cell is cut; 0 where it is one unit, None where nobody knows.

    Args:
        task: of the cell.
        cutting: of its model.
        writes: tokens that its model writes about a text, at most; None: unknown.
    """
    if not cutting.is_cut:
        return 0
    if writes is None or task.counts() is None:
        return None
    return _if_several(
        shard_count(texts, texts * weight_of(characters, writes), max_texts=cutting.max_texts)
        for texts, characters in _lists_of(task)
    )


def question_shards(task: PlannedTask, cutting: Cutting, questions: int) -> int:
    """Return into how many shards an ability cell is cut; 0 where it is one unit, as one of likelihood always is."""
    if not cutting.is_cut or isinstance(task.ability, NllRef):
        return 0
    return _if_several([question_count(questions, max_questions=cutting.max_questions)])


def _if_several(shards: Iterable[int]) -> int:
    """Return the shards of all lists; none where no list has several."""
    each = list(shards)
    return sum(each) if max(each, default=0) > 1 else 0


def _lists_of(task: PlannedTask) -> Iterator[tuple[int, int]]:
    """Yield (texts, mean characters) of each list that is cut: repeats are in it, drawn training texts are not."""
    kind = EMBEDDING_TYPES.get(task.type)
    for counts in _counted(task):
        characters = round(counts.characters / max(counts.texts, 1))
        queries = counts.items if kind and kind.ranks == "corpus" else 0
        for texts in (queries, counts.texts - queries):
            if texts > 0:
                yield texts, characters


def _counted(task: PlannedTask) -> Iterator[Counts]:
    """Yield the counts of each part, split and subset, after the limit."""
    for part in task.parts:
        for split in task.splits:
            for subset in task.subsets:
                counts = replace(task, parts=(part,), splits=(split,), subsets=(subset,)).counts()
                if counts is not None:
                    yield counts
