"""`harness reproduce`: are a model's published scores what comes out here, and if not, why?"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.candidates.named import NamedEntry, named_entry
from harness.cli.options import (
    AvailableOption,
    HubOption,
    JsonOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    print_json,
    sources_of,
)
from harness.environment import settle_caches
from harness.errors import InputError
from harness.evaluation.chatter import quiet
from harness.evaluation.options import RunOptions
from harness.evaluation.progress import reporter_for
from harness.published.read import read_published
from harness.published.rows import Published
from harness.reproduction.asked import parse_tasks, select
from harness.reproduction.explain import Explanation
from harness.reproduction.reproduce import Reproduction, Wanted, as_published
from harness.reproduction.reproduce import reproduce as reproduce_rows
from harness.reproduction.trials import Trial
from harness.reproduction.verdict import TOLERANCE, Compared, Rule
from harness.suite.load import model_of
from harness.suite.overrides import apply_overrides
from harness.wording import first_few
from harness.writing import refuse
from harness.yaml_source import Position, from_plain

TRIALS = 20


def reproduce(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A candidate directory, SUITE:MODEL, or '{encoder: sentence-transformers, model: org/name}'.",
        ),
    ],
    published: Annotated[
        Path,
        typer.Option(
            "--published", help="A clone of mteb's results repository, a results folder, or a model card (README.md)."
        ),
    ],
    tasks: Annotated[
        str, typer.Option("--tasks", help="Only these, comma-separated: STS12, STS17[en-en], TASK@split[subset].")
    ] = "",
    known_as: Annotated[
        str | None, typer.Option("--as", help="How the published source calls the model, such as org/name.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Points a score may be off and be within.")
    ] = TOLERANCE,
    explain: Annotated[
        int, typer.Option("--explain", min=0, help="Trials a task, at most, for rows that are apart; 0: none.")
    ] = TRIALS,
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="KEY=VALUE", help="Try this change of the model's entry before the others."),
    ] = None,
    same_data: Annotated[
        bool, typer.Option("--same-data", help="The rows are over the data here, whatever MTEB's own counts say.")
    ] = False,
    results: ResultsOption = Path("results"),
    hub: HubOption = None,
    offline: OfflineOption = False,
    available: AvailableOption = False,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run published scores of a model again: equal, within tolerance, or apart, and then what explains it."""
    named = parse_tasks(tasks)
    entry = as_published(named_entry(model, override or ()))
    rows = read_published(published, _names(entry, known_as), entry.entry.get("revision"))
    if known_as and rows.model.lower() not in (known_as.lower(), known_as.lower().rpartition("/")[2]):
        print(f"--as {known_as}: the only model there is {rows.model}", file=sys.stderr)
    elif not known_as and _is_another(entry, rows):
        own = entry.entry["model"]
        print(f"{model} is {own}, and the only model there is {rows.model}: its rows are compared", file=sys.stderr)
    wanted = Wanted(
        model=entry,
        published=rows,
        selection=select(rows, named),
        rule=Rule(digits=rows.digits, tolerance=tolerance, is_same_data=same_data),
        most_trials=explain,
        own_trials=tuple(_own(text, entry) for text in tries or ()),
    )
    if rows.kind == "harness results" and published.resolve() == results.resolve():
        same = "the folder of --results itself, whose cells are not run again; give another --results"
        raise InputError([f"--published {published}: {same}"])
    refuse({"--results": results})
    sources = sources_of(hub, offline)
    quiet(results)
    settle_caches(results / "caches")
    found = reproduce_rows(
        wanted, RunOptions(results=results, sources=sources, available=available), reporter_for(sys.stderr)
    )
    if as_json:
        print_json(_json(found))
    else:
        print("\n".join(_lines(found)))
    if not any(one.verdict in ("equal", "within", "apart") for one in found.rows) and not found.exit_code:
        raise InputError(["no row could be compared; see the reasons beside each"])
    raise typer.Exit(found.exit_code)


def _names(entry: NamedEntry, known_as: str | None) -> list[str]:
    """Return what the model may be called elsewhere: as the user says, else as its hub repository, note or name."""
    own = entry.entry
    found = [known_as] if known_as else [own.get("model"), own.get("note"), own.get("name")]
    return [str(name) for name in found if name]


def _is_another(entry: NamedEntry, rows: Published) -> bool:
    """Whether the entry is of a repository of the hub, and the only model of a source has another name than it."""
    own = str(entry.entry.get("model", ""))
    is_hub = own.count("/") == 1 and not own.startswith((".", "/", "~", "wheel:")) and not Path(own).exists()
    is_named = any(
        rows.model.rpartition("/")[2].lower() == one.rpartition("/")[2].lower() for one in _names(entry, None)
    )
    return is_hub and rows.kind != "harness results" and not is_named


def _own(text: str, entry: NamedEntry) -> Trial:
    """Return a trial of the user's; raises InputError where it is no key=value, or means nothing for the entry."""
    try:
        changed = apply_overrides(from_plain(entry.entry, Position("--try")), [text]).plain()
        assert isinstance(changed, dict)  # noqa: S101 - made of a mapping
        model_of(changed, entry.beside)
    except InputError as error:
        raise InputError([f"--try {text}: {one.removeprefix(f'-o {text}: ')}" for one in error.problems]) from error
    factor = text.partition("=")[0]
    top = factor.partition(".")[0]
    return Trial(factor=factor, says=f"{text}, as you say", overrides={top: changed[top]})


def _lines(found: Reproduction) -> list[str]:
    source = found.published
    versions = f", written by mteb {first_few(source.versions())}" if source.versions() else ""
    lines = [
        f"{source.model}{f' at {source.revision}' if source.revision else ''}: {source.kind} {source.where}{versions}"
    ]
    width = max(len(str(one.row)) for one in found.rows)
    lines.append(f"{'row':{width}}  published    here   apart")
    lines += [_line(one, width, found.rule.digits) for one in found.rows]
    counts = Counter(one.verdict for one in found.rows)
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    lines.append(
        f"equal: to {found.rule.digits} decimal(s), as printed; within: at most {found.rule.tolerance} points off"
    )
    lines += [f"not run again: {line}" for line in found.left]
    lines += [f"not read: {line}" for line in source.unread]
    for one in found.explanations:
        lines += ["", *_explained(one, found.rule.digits)]
    return lines


def _line(one: Compared, width: int, digits: int) -> str:
    here = "      -" if one.here is None else f"{one.here:7.2f}"
    apart = "      -" if one.apart is None else f"{one.apart:+7.2f}"
    why = f": {one.why.splitlines()[0]}" if one.why else ""
    return f"{one.row!s:{width}}  {one.row.value:9.{digits}f} {here} {apart}  {one.verdict}{why}"


def _explained(one: Explanation, digits: int) -> list[str]:
    head = f"{one.row}: published {one.row.value:.{digits}f}"
    head += f", explained by {one.found.factor}: {one.found.says}" if one.found else ", not explained"
    lines = [head, *(f"  differs    {line}" for line in one.differs)]
    for tried in one.tried:
        here = f"{tried.here:.2f}" if tried.here is not None else f"could not be run: {tried.why}"
        lines.append(f"  tried      {tried.says}: {here}{f'  {tried.verdict}' if tried.explains else ''}")
    return [*lines, *(f"  not tried  {line}" for line in one.not_tried)]


def _json(found: Reproduction) -> dict[str, Any]:
    source = found.published
    return {
        "published": {"kind": source.kind, "model": source.model, "revision": source.revision, "where": source.where},
        "digits": found.rule.digits,
        "tolerance": found.rule.tolerance,
        "rows": [
            {
                "row": str(one.row),
                "task": one.row.task,
                "split": one.row.split,
                "subset": one.row.subset,
                "metric": one.row.metric,
                "mteb_version": one.row.mteb_version,
                "published": one.row.value,
                "here": one.here,
                "verdict": one.verdict,
                "why": one.why,
            }
            for one in found.rows
        ],
        "explanations": [
            {
                "row": str(one.row),
                "explained_by": one.found.factor if one.found else None,
                "says": one.found.says if one.found else None,
                "differs": list(one.differs),
                "tried": [
                    {"factor": at.factor, "says": at.says, "here": at.here, "verdict": at.verdict, "why": at.why}
                    for at in one.tried
                ],
                "not_tried": list(one.not_tried),
            }
            for one in found.explanations
        ],
        "left": list(found.left),
        "unread": list(source.unread),
        "exit_code": int(found.exit_code),
    }
