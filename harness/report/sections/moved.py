"""The items that moved between any two models, with what each made of them: in the page alone, as data for its script.

What a page can hold is bounded: so many items of a pair of models and a task, so many characters together, shared out
evenly over the tasks, pairs with the baseline first. What does not fit is counted, and the page says which command
shows it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from harness.comparison.moved import (
    Change,
    Opened,
    changes,
    has_items,
    item_of,
    opened,
    read_rows,
    remark_on,
    rows_shown,
    why_none,
)
from harness.comparison.moved_items import Document, Made, Moved, moved_item
from harness.plan.cells import PlannedTask
from harness.report.sections.section import Link, Report
from harness.results.records import Score
from harness.results.store import Store

LINK = Link("moved", "Items that moved", is_always_there=False)
MOST_ITEMS = 5
"""Of a pair of models and a task."""
CHARACTERS_IN_PAGE = 4_000_000
"""Of all items together, as JSON."""
SHOWN_DOCUMENTS = 5
"""Of each model's ranking."""
DOCUMENT_CHARACTERS = 160
USUAL_RESULTS = Path("results")
"""Where `harness compare` looks unless it is told."""


def markdown(_report: Report) -> str:
    """Return nothing: the page alone has it, and `harness compare --flips`."""
    return ""


def page(report: Report) -> dict[str, Any]:
    """Return the items as JSON that is safe inside an element; None where there are none."""
    found = moved_items(report)
    shown = json.dumps(found, ensure_ascii=False, separators=(",", ":")) if found["tasks"] else ""
    plain = shown.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return {
        "data": Markup(plain) if plain else None,  # noqa: S704 - nothing in it can be markup
        "most": MOST_ITEMS,
        "megabytes": CHARACTERS_IN_PAGE / 1e6,
        "left_out": found["left_out"],
        "with_texts": report.with_texts,
    }


def moved_items(report: Report) -> dict[str, Any]:
    """Return what the script shows: models, texts (each once), the option that names the results, every task's pairs.

    A pair is {"n", "better", "worse", "said", "remark", "items"} under "i,j", of model i against model j; an item is
    [name, where, change, gold, [[name, text]], [document], made by i, made by j], made is [value, said, [document]], a
    document [id, similarity, relevance, text], and a text is its place among the texts, or -1 where it is not there.
    """
    summary, store = report.summary, report.store
    kept = _Kept(report.with_texts)
    tasks, left = [], CHARACTERS_IN_PAGE
    for number, task in enumerate(summary.tasks if store is not None else ()):
        scores = [summary.cells[model, task.name].score for model in summary.models]
        if sum(score is not None for score in scores) < 2 or store is None:
            continue
        order = _pairs(len(scores), summary.models.index(summary.baseline) if summary.baseline else None)
        found = _of_task(store, task, scores, order, kept=kept, allowed=left // (len(summary.tasks) - number))
        left -= found.characters
        tasks.append(found.plain)
    return {
        "models": list(summary.models),
        "baseline": summary.models.index(summary.baseline) if summary.baseline else -1,
        "tasks": tasks,
        "texts": list(kept.places),
        "results": _results_option(store),
        "left_out": kept.left_out,
    }


def _results_option(store: Store | None) -> str:
    """Return what the command that shows more is told beside models and task; empty for the folder it takes unasked."""
    if store is None or store.root == USUAL_RESULTS:
        return ""
    return f" --results {shlex.quote(str(store.root))}"


class _OfTask(NamedTuple):
    plain: dict[str, Any]
    characters: int


class _Kept:
    """The texts that are shown, each once, and how many items had no room."""

    def __init__(self, with_texts: bool) -> None:
        self.with_texts = with_texts
        self.places: dict[str, int] = {}
        self.fresh: list[str] = []
        self.left_out = 0

    def place(self, text: str | None, most: int) -> int:
        """Return where a text stands among all; -1 where there is none."""
        if text is None:
            return -1
        if text[:most] not in self.places:
            self.fresh.append(text[:most])
        return self.places.setdefault(text[:most], len(self.places))

    def settled(self, *, fits: bool) -> None:
        """Keep the texts that were placed since the last call, or take them out again."""
        for text in () if fits else self.fresh:
            del self.places[text]
        self.fresh = []


def _pairs(models: int, baseline: int | None) -> list[tuple[int, int]]:
    """Return every pair of models, those with the baseline first."""
    return sorted(combinations(range(models), 2), key=lambda pair: (baseline not in pair, pair))


def _of_task(
    store: Store,
    task: PlannedTask,
    scores: Sequence[Score | None],
    order: Sequence[tuple[int, int]],
    *,
    kept: _Kept,
    allowed: int,
) -> _OfTask:
    """Return a task's pairs with as many items as `allowed` characters hold, an item of each pair in turn."""
    cells = [opened(store, one) if one is not None and has_items(one) else None for one in scores]
    pairs: dict[tuple[int, int], dict[str, Any]] = {}
    changed: dict[tuple[int, int], list[Change]] = {}
    for pair in order:
        about = _pair(scores, cells, pair, with_texts=kept.with_texts)
        if about is not None:
            pairs[pair], changed[pair] = about
    items = _items(store, scores, cells, changed, with_texts=kept.with_texts)
    used = 0
    for turn in range(MOST_ITEMS):
        for pair, made in items.items():
            if turn >= len(made) or len(pairs[pair]["items"]) < turn:
                continue
            plain = _plain(made[turn], kept)
            size = len(json.dumps(plain)) + sum(map(len, kept.fresh))
            fits = used + size <= allowed
            kept.settled(fits=fits)
            if fits:
                used += size
                pairs[pair]["items"].append(plain)
    kept.left_out += sum(map(len, items.values())) - sum(len(one["items"]) for one in pairs.values())
    plain_task = {"name": task.label, "type": task.type, "axis": task.axis}
    return _OfTask(plain_task | {"pairs": {f"{i},{j}": one for (i, j), one in pairs.items()}}, used)


def _pair(
    scores: Sequence[Score | None], cells: Sequence[Opened | None], pair: tuple[int, int], *, with_texts: bool
) -> tuple[dict[str, Any], list[Change]] | None:
    """Return what is said of a pair of cells, and the items that moved most; None where a score is missing."""
    own, base = (scores[place] for place in pair)
    if own is None or base is None:
        return None
    empty: dict[str, Any] = {"n": 0, "better": 0, "worse": 0, "said": "", "items": []}
    why = why_none(own, base) or ("" if own.metric == base.metric else "the two were scored by unlike metrics")
    first, second = (cells[place] for place in pair)
    if why or first is None or second is None:
        return empty | {"remark": why or "its metric is no matter of single items"}, []
    counts, changed = changes(first, second, lower_is_better=own.lower_is_better, most=MOST_ITEMS)
    about = {
        "n": counts[0],
        "better": counts[1],
        "worse": counts[2],
        "said": next(iter(first.values())).found.said,
        "remark": remark_on(own, base, (first, second), with_texts=with_texts),
        "less": own.lower_is_better,
    }
    return empty | about, changed


def _items(
    store: Store,
    scores: Sequence[Score | None],
    cells: Sequence[Opened | None],
    changed: dict[tuple[int, int], list[Change]],
    *,
    with_texts: bool,
) -> dict[tuple[int, int], list[Moved]]:
    """Return what is shown of the items that moved; every cell's table is read once."""
    sides = {pair: (cells[pair[0]], cells[pair[1]]) for pair in changed}
    rows = {pair: [rows_shown(sides[pair], one) for one in found] for pair, found in changed.items()}  # type: ignore[arg-type]
    wanted: dict[int, list[int]] = {}
    for pair, each in rows.items():
        for side, model in enumerate(pair):
            wanted.setdefault(model, []).extend(row for shown in each for row in shown[side])
    tables = {model: read_rows(store, score, of) for model, of in wanted.items() if (score := scores[model])}
    return {
        pair: [
            moved_item(
                item_of(sides[pair], one, [tables[model] for model in pair], shown),  # type: ignore[arg-type]
                str(getattr(scores[pair[0]], "metric", "")),
                with_texts=with_texts,
            )
            for one, shown in zip(found, rows[pair], strict=True)
        ]
        for pair, found in changed.items()
    }


def _plain(one: Moved, kept: _Kept) -> list[Any]:
    texts = [[name, kept.place(text, len(text))] for name, text in one.texts]
    relevant = [*_documents(one.relevant, kept)]
    return [
        one.item,
        one.where,
        round(one.change, 6),
        one.gold,
        texts,
        relevant,
        _made(one.a, kept),
        _made(one.b, kept),
    ]


def _made(one: Made, kept: _Kept) -> list[Any]:
    return [round(one.value, 6), one.said, [*_documents(one.documents[:SHOWN_DOCUMENTS], kept)]]


def _documents(found: Sequence[Document], kept: _Kept) -> Iterator[list[Any]]:
    for one in found:
        score = None if one.score is None else round(one.score, 4)
        yield [one.id, score, one.relevance, kept.place(one.text, DOCUMENT_CHARACTERS)]
