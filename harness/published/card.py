"""Published scores in the `model-index` of a model card: a README.md with YAML at its head."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.errors import InputError
from harness.published.rows import (
    MAIN,
    Published,
    PublishedRow,
    as_number,
    as_text,
    current_name,
    digits_of,
    in_points,
    outside,
)
from harness.tasks.catalogue import TaskInfo, catalogue
from harness.wording import did_you_mean, listing, short

INDEX = "model-index"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A card of MTEB has ten thousand lines, for which the loader in Python takes seconds. Cards are others' files: what
the reader of suites refuses (dates, numbers in disguise) may stand in them."""
_HEAD = re.compile(r"\A(?:\ufeff)?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"^MTEB\s+(?P<task>.+?)(?:\s+\((?P<subset>[^()]+)\))?$")
"""`MTEB STS17 (en-en)`, as mteb names a dataset in a card."""


def read_card(path: Path, names: Sequence[str] = ()) -> Published:
    """Return the rows of one model of a card.

    Args:
        path: of README.md.
        names: what the model may be called; none is needed where the card has the scores of one alone.

    Raises:
        InputError: it has no `model-index`, nothing in it can be read, or it has several models and none of the names.
    """
    head = _head(path)
    index = head.get(INDEX)
    unread: list[str] = []
    model, entries = _chosen(path, index if isinstance(index, list) else [], names)
    found = [row for entry in entries for row in _rows(entry, unread)]
    if not found:
        why = "no `model-index` in its head" if INDEX not in head else f"no score in `{INDEX}` that can be read"
        raise InputError([f"{path}: {why}", *(f"  {line}" for line in unread)])
    # Cards have points; one whose numbers all lie within 1 was written in fractions.
    as_fraction = all(abs(row.value) <= 1 for row in found)
    rows = [_scaled(row) for row in found] if as_fraction else found
    return Published(
        kind="model card",
        model=model,
        revision=None,
        where=str(path),
        rows=tuple(rows),
        digits=digits_of((row.value for row in found), as_fraction=as_fraction),
        unread=tuple(unread),
    )


def _chosen(path: Path, index: Sequence[object], names: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    """Return a model's name and its entries; a name may be with or without its organization, as cards have both."""
    models: dict[str, list[dict[str, Any]]] = {}
    for one in index:
        if isinstance(one, dict):
            models.setdefault(str(one.get("name") or path.parent.name), []).append(one)
    if len(models) < 2:
        return next(iter(models.items()), ("", []))
    wanted = [name.replace("__", "/", 1).lower() for name in names]
    for is_same in (_is_named, _is_named_in_short):
        for name in wanted:
            near = [one for one in models if is_same(one.lower(), name)]
            if len(near) == 1:
                return near[0], models[near[0]]
    meant = did_you_mean(names[0], models) if names else ""
    raise InputError([f"{path}: scores of {len(models)} models; name one with --as: {listing(models)}{meant}"])


def _is_named(model: str, name: str) -> bool:
    return model == name


def _is_named_in_short(model: str, name: str) -> bool:
    """Whether one of the two is the other without its organization."""
    return model.count("/") != name.count("/") and model.rpartition("/")[2] == name.rpartition("/")[2]


def _head(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([f"{path}: cannot be read ({error})"]) from error
    found = _HEAD.match(text)
    if found is None:
        raise InputError([f"{path}: no YAML between two lines `---` at its head, where a card has its `{INDEX}`"])
    try:
        head = yaml.load(found[1], Loader=_LOADER)  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError([f"{path}: its head is no YAML: {error}"]) from error
    return head if isinstance(head, dict) else {}


def _rows(entry: Mapping[str, Any], unread: list[str]) -> Iterator[PublishedRow]:
    """Yield one row for each result of a model: its task's main metric, or the first that has a number."""
    results = entry.get("results")
    for number, one in enumerate(results if isinstance(results, list) else [], 1):
        try:
            yield _row(one)
        except ValueError as error:
            unread.append(f"result {number}: {error}")


def _row(one: object) -> PublishedRow:
    if not isinstance(one, dict):
        raise ValueError(f"expected `dataset` and `metrics`, not {short(one)}")
    dataset = one.get("dataset")
    if not isinstance(dataset, dict) or "name" not in dataset:
        raise ValueError("no `dataset` with a name")
    task, of_name = _task(dataset)
    metrics = _metrics(one.get("metrics"), dataset)
    info = catalogue().tasks.get(task)
    name = next((name for name in (info.main_score if info else MAIN, MAIN) if name in metrics), next(iter(metrics)))
    if off := outside(name, metrics[name], most=100):  # points; a card in fractions stays far below
        raise ValueError(f"{dataset.get('name')!r}: {name} {metrics[name]}: {off}")
    source = one.get("source")
    return PublishedRow(
        task=task,
        split=str(dataset.get("split", "test")),
        subset=_subset(dataset.get("config"), of_name, info),
        metric=name,
        value=metrics[name],
        mteb_version=_version(source if isinstance(source, dict) else {}),
        data_revision=as_text(dataset.get("revision")),
    )


def _metrics(held: object, dataset: Mapping[str, Any]) -> dict[str, float]:
    """Return metric -> value of those that are numbers; raises ValueError where there is none."""
    if not isinstance(held, list):
        raise ValueError(f"{dataset['name']!r} has no list of `metrics`")
    found = {
        current_name(str(metric["type"])): value
        for metric in held
        if isinstance(metric, dict) and "type" in metric and (value := as_number(metric.get("value"))) is not None
    }
    if not found:
        raise ValueError(f"{dataset['name']!r} has no metric that is a number")
    return found


def place_of(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return task, split and subset of a result of a card; its title stands for the task where that is none of mteb's.

    Args:
        one: of `model-index`, with a `dataset`.
    """
    dataset = one["dataset"]
    try:
        task, of_name = _task(dataset)
    except ValueError:
        task, of_name = str(dataset.get("name")), None
    return task, str(dataset.get("split", "test")), _subset(dataset.get("config"), of_name, catalogue().tasks.get(task))


def _task(dataset: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the task's name and the subset that its title names; raises ValueError where the title is not mteb's."""
    title = str(dataset.get("name", ""))
    if title in catalogue().tasks:
        return title, None
    found = _NAME.match(title)
    if found is None:
        raise ValueError(f"{title!r} is not the name of a task of mteb (expected `MTEB TASK`, such as `MTEB STS12`)")
    whole = title.removeprefix("MTEB").strip()
    return (whole, None) if whole in catalogue().tasks else (found["task"], found["subset"])


def _subset(config: object, of_name: str | None, info: TaskInfo | None) -> str:
    """Return the subset: as the card's `config` or title says, else the task's only one."""
    for name in (config, of_name):
        if isinstance(name, str) and (info is None or name in info.subsets):
            return name
    only = next(iter(info.subsets)) if info is not None and len(info.subsets) == 1 else None
    return only or str(config or of_name or "default")


def _version(source: Mapping[str, Any]) -> str | None:
    found = re.search(r"mteb[ =v]*(\d[\w.]*)", str(source.get("name", "")))
    return found[1] if found else None


def _scaled(row: PublishedRow) -> PublishedRow:
    return PublishedRow(
        task=row.task,
        split=row.split,
        subset=row.subset,
        metric=row.metric,
        value=in_points(row.value),
        mteb_version=row.mteb_version,
        data_revision=row.data_revision,
    )
