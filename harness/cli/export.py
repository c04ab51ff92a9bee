"""`harness export`: a model's scores in other tools' formats, from results on disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    HubOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    TasksOption,
    names_of,
    sources_of,
)
from harness.comparison.sides import Found, planned, side_of, stored
from harness.digests import write_atomically
from harness.errors import InputError
from harness.export.card import README, card, unreadable
from harness.export.chosen import Chosen, Exported, check_names, chosen
from harness.export.every_eval_ever import RELATIONSHIPS, every_eval_ever
from harness.export.lm_eval_files import lm_eval_files
from harness.export.mteb_tree import mteb_tree
from harness.wording import first_lines, listing
from harness.writing import refuse, saying


class Form(StrEnum):
    """What is written."""

    MTEB = "mteb"
    EVERY_EVAL_EVER = "every-eval-ever"
    CARD = "card"
    LM_EVAL = "lm-eval"


def export(
    form: Annotated[Form, typer.Argument(metavar="FORM", help="mteb, every-eval-ever, card or lm-eval.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model with results, or FOLDER:MODEL.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    suite: Annotated[
        str | None, typer.Option("--suite", help="Only this suite's cells; without: what is stored under the name.")
    ] = None,
    results: ResultsOption = Path("results"),
    tasks: TasksOption = "",
    known_as: Annotated[str | None, typer.Option("--as", help="What to call the model there: org/name.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Of the model there.")] = None,
    organization: Annotated[
        str, typer.Option("--organization", help="every-eval-ever: who provides the scores.")
    ] = "unknown",
    relationship: Annotated[
        str, typer.Option("--relationship", help=f"every-eval-ever: to the model: {listing(RELATIONSHIPS)}.")
    ] = "other",
    hub: HubOption = None,
    offline: OfflineOption = False,
    override: SetOption = None,
) -> None:
    """Write a model's scores as mteb's results tree, an Every Eval Ever log, a model card or lm-eval's files."""
    if relationship not in RELATIONSHIPS:
        raise InputError([f"--relationship {relationship!r}: expected one of {listing(RELATIONSHIPS)}"])
    check_names(known_as, revision)
    side = side_of(model, results)
    found: Mapping[str, Found] = (
        stored(side, names_of(tasks))
        if suite is None
        else planned(
            side,
            suite=suite,
            tasks=names_of(tasks),
            limit=None,
            overrides=override or (),
            sources=sources_of(hub, offline),
        )
    )
    refuse({"--out": out})
    own = chosen(side.model, found, side.results, name=known_as, revision=revision)
    made = _made(form, own, out, organization=organization, relationship=relationship)
    if not made.files:
        raise InputError([f"{model}: nothing to export as {form}", *made.left])
    if own.other_than:
        print(f"called {own.name}, for it is {own.other_than}; --as org/name calls it otherwise", file=sys.stderr)
    for line in first_lines(made.left, most=20):
        print(f"left: {line}", file=sys.stderr)
    for line in made.said:
        print(line, file=sys.stderr)
    with saying(f"--out {out}"):
        for file, content in made.files.items():
            write_atomically(out / file, content)
            print(out / file)


def _made(form: Form, own: Chosen, out: Path, *, organization: str, relationship: str) -> Exported:
    """Return the files of a form.

    Args:
        form: which.
        own: the scores.
        out: where a card may be already.
        organization, relationship: of Every Eval Ever.
    """
    if form is Form.MTEB:
        return mteb_tree(own)
    if form is Form.LM_EVAL:
        return lm_eval_files(own)
    if form is Form.EVERY_EVAL_EVER:
        return every_eval_ever(own, organization=organization, relationship=relationship)
    try:
        there = (out / README).read_text(encoding="utf-8") if (out / README).is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(error) from error
    return card(own, there)
