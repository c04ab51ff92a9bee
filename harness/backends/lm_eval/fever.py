"""FEVER as items: unique claims from rows of one evidence sentence each, and for one variant the evidence's text.

Source: Thorne et al. 2018, arXiv 1803.05355; the rows are those of the hub's `fever/fever`, config `v1.0`. The task
files in `suites/tasks/fever` name these functions. An item is a claim's id: paper_dev has 9,999, with 9,743 different
texts, 32 of which carry two labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.errors import InputError

SUPPORTS, REFUTES, UNKNOWN = "SUPPORTS", "REFUTES", "NOT ENOUGH INFO"
LABELS = (SUPPORTS, REFUTES, UNKNOWN)
COLUMNS = ("id", "label", "claim", "evidence_annotation_id", "evidence_id", "evidence_wiki_url", "evidence_sentence_id")
CLAIMS = "v1.0"
PAGES = "wiki_pages"
PAGES_SPLIT = "wikipedia_pages"
BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-COLON-": ":"}
"""How FEVER's pages write what its tokenizer kept apart."""


def binary(rows: Any) -> Any:
    """Return the claims that are supported or refuted, each once, in the order of the file (lm-eval's process_docs)."""
    return _dataset(claims(rows, (SUPPORTS, REFUTES)))


def three_way(rows: Any) -> Any:
    """Return all claims, each once, in the order of the file."""
    return _dataset(claims(rows, LABELS))


def with_evidence(*, path: str, revision: str | None = None, split: str = "paper_dev", **_: Any) -> dict[str, Any]:
    """Return split -> claims with the text of their first evidence (lm-eval's custom_dataset).

    Args:
        path: folder or hub repository of `fever/fever`; its config `wiki_pages` is read as well, 5.4 million pages.
        revision: of the repository.
        split: of the claims.
    """
    import datasets

    pinned = {"revision": revision} if revision else {}
    rows = datasets.load_dataset(path, CLAIMS, split=split, **pinned)
    pages = datasets.load_dataset(path, PAGES, split=PAGES_SPLIT, **pinned)
    return {split: _dataset(joined(claims(rows, (SUPPORTS, REFUTES)), rows, pages))}


def claims(rows: Any, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return `{"id", "claim", "label"}` of each claim with one of `labels`, at the place of its first row.

    Raises:
        InputError: a column is absent, a label is none of FEVER's, a claim is empty, or an id has two claims or labels.
    """
    found: dict[int, dict[str, Any]] = {}
    for number, row in enumerate(_checked(rows)):
        claim = {"id": row["id"], "claim": row["claim"], "label": row["label"]}
        if row["label"] not in LABELS:
            raise _broken(number, f"label {row['label']!r} is none of {', '.join(LABELS)}")
        if not isinstance(row["claim"], str) or not row["claim"].strip():
            raise _broken(number, f"claim {row['claim']!r} is no text")
        if found.setdefault(row["id"], claim) != claim:
            raise _broken(number, f"id {row['id']} stands for two claims or labels: {found[row['id']]} and {claim}")
    chosen = [claim for claim in found.values() if claim["label"] in labels]
    if not chosen:
        raise InputError([f"fever: no claim is labelled {' or '.join(labels)}"])
    return chosen


def joined(chosen: Sequence[Mapping[str, Any]], rows: Any, pages: Any) -> list[dict[str, Any]]:
    """Return the claims with `evidence`, the sentences of each one's first evidence set, each after its page's title.

    Args:
        chosen: of `claims`.
        rows: the rows they come from; those of one set share annotation and evidence id.
        pages: the columns `id` (a title) and `lines` (`number<TAB>sentence<TAB>links` a line).

    Raises:
        InputError: a claim has no evidence, or its page or sentence is not there.
    """
    sets: dict[int, dict[tuple[int, int], list[tuple[str, int]]]] = {}
    for row in _checked(rows):
        place = (row["evidence_wiki_url"], row["evidence_sentence_id"])
        if place[0]:
            of_claim = sets.setdefault(row["id"], {})
            of_claim.setdefault((row["evidence_annotation_id"], row["evidence_id"]), []).append(place)
    first = {claim["id"]: next(iter(sets[claim["id"]].values()), []) for claim in chosen if claim["id"] in sets}
    lacking = [claim["id"] for claim in chosen if not first.get(claim["id"])]
    if lacking:
        raise InputError([f"fever: claim {lacking[0]} is labelled and names no evidence ({len(lacking)} such claims)"])
    texts = _lines(pages, {title for places in first.values() for title, _ in places})
    return [{**claim, "evidence": _sentences(claim["id"], first[claim["id"]], texts)} for claim in chosen]


def _sentences(claim: int, places: Iterable[tuple[str, int]], texts: Mapping[str, str]) -> str:
    told = []
    for title, number in dict.fromkeys(places):
        if title not in texts:
            raise InputError([f"fever: claim {claim}: its evidence names page {title!r}, which {PAGES} does not have"])
        told.append(f"{readable(title)}: {readable(_sentence(claim, title, number, texts[title]))}")
    return " ".join(told)


def _sentence(claim: int, title: str, number: int, lines: str) -> str:
    for line in lines.split("\n"):
        parts = line.split("\t")
        if parts[0] == str(number) and len(parts) > 1 and parts[1].strip():
            return parts[1].strip()
    raise InputError([f"fever: claim {claim}: page {title!r} has no sentence {number}"])


def readable(text: str) -> str:
    """Return a title or sentence of FEVER's pages with brackets and spaces as people write them."""
    for code, sign in BRACKETS.items():
        text = text.replace(code, sign)
    for sign in "([":
        text = text.replace(f"{sign} ", sign)
    for sign in ")].,;:":
        text = text.replace(f" {sign}", sign)
    return text.replace("_", " ")


def _lines(pages: Any, titles: set[str]) -> dict[str, str]:
    """Return title -> lines of the pages asked for; the column of titles is searched in Arrow, not in Python."""
    import pyarrow as pa
    import pyarrow.compute as pc

    absent = [name for name in ("id", "lines") if name not in pages.column_names]
    if absent:
        raise InputError([f"fever: {PAGES} has no column {absent[0]!r}; it has: {', '.join(pages.column_names)}"])
    column = pages.data.column("id")
    hits = pc.indices_nonzero(pc.is_in(column, value_set=pa.array(sorted(titles), column.type))).to_pylist()
    return {row["id"]: row["lines"] for row in pages.select(hits)}


def _checked(rows: Any) -> Any:
    absent = [name for name in COLUMNS if name not in rows.column_names]
    if absent:
        raise InputError([f"fever: no column {absent[0]!r}; it has: {', '.join(rows.column_names)}"])
    return rows


def _broken(number: int, what: str) -> InputError:
    return InputError([f"fever: row {number}: {what}"])


def _dataset(items: list[dict[str, Any]]) -> Any:
    import datasets

    return datasets.Dataset.from_list(items)
