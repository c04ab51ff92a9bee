"""The items that moved between two models as text, Markdown and JSON: what `harness compare --flips` writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from harness.comparison.flips import Flips
from harness.comparison.moved import Moves
from harness.comparison.moved_items import Document, Made, Moved

NO_TEXT = "(text not kept)"
SHOWN_DOCUMENTS = 10
"""Of each model's ranking."""


def text(found: Flips) -> str:
    """Return the items for a terminal: lines with what is right first, then what each model made of it."""
    lines = [_title(found), *(line for one in found.tasks for line in ("", *_task_lines(found, one)))]
    lines += ["", *_left_out(found)] if found.left_out else []
    return "\n".join(lines) + "\n"


def as_markdown(found: Flips) -> str:
    """Return the same as Markdown, a heading a task and a fenced block an item, in which nothing is markup."""
    parts = [f"# {_title(found)}"]
    for one in found.tasks:
        head, *rest = _head(found, one)
        parts += [f"## {head}", *rest]
        parts += [
            f"```text\n{chr(10).join(_item_lines(found, item)).replace('```', chr(39) * 3)}\n```" for item in one.items
        ]
    return "\n\n".join([*parts, *_left_out(found)]) + "\n"


def as_json(found: Flips) -> dict[str, Any]:
    """Return everything as plain data."""
    plain = asdict(found)
    plain["left_out"] = [{"task": task, "reason": reason} for task, reason in found.left_out]
    for task in plain["tasks"]:
        for item in task["items"]:
            item["texts"] = [{"name": name, "text": said} for name, said in item["texts"]]
    return plain


def _title(found: Flips) -> str:
    return f"{found.a} against {found.b}: the items that moved most"


def _left_out(found: Flips) -> list[str]:
    return [f"Left out: {task}: {reason}." for task, reason in found.left_out]


def _head(found: Flips, one: Moves) -> Iterator[str]:
    """Yield the task, then what is said of all its items."""
    yield f"{one.task} ({one.type}, {one.metric})"
    if one.n:
        alike = one.n - one.better - one.worse
        less = "; less is better" if one.lower_is_better else ""
        counts = f"{found.a} better on {one.better:,} of {one.n:,}, worse on {one.worse:,}, alike on {alike:,}"
        yield f"{counts}; by {one.said}{less}"
    if one.remark:
        yield f"{one.remark[0].upper()}{one.remark[1:]}."


def _task_lines(found: Flips, one: Moves) -> Iterator[str]:
    yield from _head(found, one)
    for number, item in enumerate(one.items, 1):
        first, *rest = _item_lines(found, item)
        yield f"  {number}. {first}"
        yield from (f"     {line}" for line in rest)


def _item_lines(found: Flips, one: Moved) -> Iterator[str]:
    where = f" ({one.where})" if one.where else ""
    yield f"{one.item}{where}: {found.b} {one.b.value:.3f}, {found.a} {one.a.value:.3f} ({one.change:+.3f})"
    yield from (f"{name}: {_one_line(said)}" for name, said in one.texts)
    if one.gold:
        yield one.gold
    for document in one.relevant:
        yield f"  * {document.id}  {_shown(document)}"
    for model, made in ((found.b, one.b), (found.a, one.a)):
        yield f"{model}: {_one_line(made.said)}"
        yield from _ranking(made)


def _ranking(made: Made) -> Iterator[str]:
    for document in made.documents[:SHOWN_DOCUMENTS]:
        mark = "*" if document.relevance else " "
        score = "" if document.score is None else f"  {document.score:.3f}"
        yield f"  {mark} {document.rank:2}. {document.id}{score}  {_shown(document)}".rstrip()


def _shown(document: Document) -> str:
    return NO_TEXT if document.text is None else _one_line(document.text)


def _one_line(said: str) -> str:
    return " ".join(said.split())
