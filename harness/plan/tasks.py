"""Suite -> planned tasks, each once: what a suite says of them, over what the catalogue knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.plan import ability
from harness.plan.ability_remarks import ability_remarks
from harness.plan.cells import PlannedTask
from harness.suite.schema import Suite
from harness.suite.task_entries import AbilityRef, CustomRef, TaskRef
from harness.tasks.catalogue import DEFAULT_BENCHMARK, Catalogue, Counts, Member, TaskInfo, catalogue, in_order
from harness.tasks.custom.assemble import CustomData, count
from harness.tasks.custom.fields import Options
from harness.tasks.custom.read import read_custom
from harness.tasks.engines import engine_for
from harness.tasks.types import EMBEDDING_TYPES

CUSTOM_REVISION = "files"


def resolve_tasks(suite: Suite, limit: int | None = None) -> list[PlannedTask]:
    """Return the suite's tasks in its own order, each once; a task's own entry wins over its benchmark's."""
    known = catalogue()
    chosen: dict[str, PlannedTask] = {}
    for member in _members(suite, known):
        chosen[member.name] = _embedding_task(known, member, None, limit or suite.limit)
    embedding = suite.tasks.embedding
    references = [*(task for group in embedding.by_type.values() for task in group), *embedding.names]
    for reference in references:
        of_task = limit or reference.limit or suite.limit
        chosen[reference.name] = _embedding_task(known, known.default_member(reference.name), reference, of_task)
    for custom in suite.tasks.custom:
        chosen[custom.name] = _custom_task(custom, limit or custom.limit or suite.limit)
    for entry in suite.tasks.ability:
        chosen[entry.name] = _ability_task(entry, known, limit or entry.limit or suite.limit)
    return list(chosen.values())


def _members(suite: Suite, known: Catalogue) -> Iterable[Member]:
    embedding = suite.tasks.embedding
    if embedding.benchmark is None and embedding.types is None:
        return []
    members = known.benchmarks[embedding.benchmark or DEFAULT_BENCHMARK]
    if embedding.types is None:
        return members
    return [member for member in members if known.tasks[member.name].type in embedding.types]


def embedding_label(default: Member, splits: Sequence[str], subsets: Sequence[str]) -> str:
    """Return how an embedding task is named: with its splits and subsets, where they are not the `default` ones."""
    of_splits = "" if set(splits) == set(default.splits) else f"@{','.join(splits)}"
    of_subsets = "" if set(subsets) == set(default.subsets) else f"[{','.join(subsets)}]"
    return f"{default.name}{of_splits}{of_subsets}"


def _embedding_task(known: Catalogue, member: Member, reference: TaskRef | None, limit: int | None) -> PlannedTask:
    """Plan a task of the catalogue.

    Args:
        known: the catalogue.
        member: the task as its benchmark uses it.
        reference: what the suite says differently; None: nothing.
        limit: scored items; None: all.
    """
    info = known.tasks[member.name]
    splits = in_order(reference.splits, info.splits) if reference and reference.splits else member.splits
    subsets = in_order(reference.subsets, info.subsets) if reference and reference.subsets else member.subsets
    return PlannedTask(
        name=info.name,
        label=embedding_label(known.default_member(info.name), splits, subsets),
        axis="embedding",
        type=info.type,
        engine=info.engine,
        splits=splits,
        subsets=subsets,
        limit=limit,
        info=info,
        parts=tuple(known.tasks[name] for name in info.parts) or (info,),
        is_official_split=set(splits) <= set(info.splits),
    )


def _ability_task(reference: AbilityRef, known: Catalogue, limit: int | None) -> PlannedTask:
    info, subsets, settings = ability.resolve(reference, known.tasks)
    of, have = len(info.subsets), len(subsets)
    return PlannedTask(
        name=reference.name,
        label=reference.name if have == of else f"{reference.name}[{have}/{of}]",
        axis="ability",
        type=info.type,
        engine=info.engine,
        splits=info.splits,
        subsets=subsets,
        limit=limit,
        info=info,
        parts=(info,),
        ability=reference,
        settings=settings,
        remarks=ability_remarks(reference, settings),
    )


def _custom_task(reference: CustomRef, limit: int | None) -> PlannedTask:
    """Plan a task over own files; they are read here, so that bad rows are named before any model is loaded."""
    counts: dict[str, dict[str, Counts]] = {}
    settings: dict[str, Any] = {"type": reference.type}
    settings |= {"language": reference.language} if reference.language else {}
    remarks: tuple[str, ...] = ()
    if Path(reference.path).exists():  # otherwise it is a gap, named with the others
        data = read_custom_of(reference)
        settings |= data.settings
        remarks = data.remarks
        items, texts, unique, characters, training = count(data)
        counts["test"] = {
            "default": Counts(
                items=items, texts=texts, unique_texts=unique, characters=characters, training_texts=training
            )
        }
    info = TaskInfo(
        name=reference.name,
        axis="embedding",
        type=reference.type,
        engine=engine_for("embedding", reference.type).distribution,
        main_score=EMBEDDING_TYPES[reference.type].main_score,
        splits=("test",),
        subsets={"default": ()},
        prompt=None,
        dataset=reference.path,
        revision=CUSTOM_REVISION,
        parts=(),
        counts=counts,
    )
    return PlannedTask(
        name=reference.name,
        label=reference.name,
        axis="embedding",
        type=info.type,
        engine=info.engine,
        splits=info.splits,
        subsets=tuple(info.subsets),
        limit=limit,
        info=info,
        parts=(info,),
        custom=reference,
        custom_settings=settings,
        remarks=remarks,
    )


def read_custom_of(reference: CustomRef) -> CustomData:
    """Return the data of a custom task as its entry has it read; raises InputError with file and line of bad rows."""
    options = Options(
        skip_unjudged_queries=reference.unjudged_queries == "skip",
        ignore_identical_ids=bool(reference.ignore_identical_ids),
    )
    return read_custom(reference.name, reference.type, Path(reference.path), options)
