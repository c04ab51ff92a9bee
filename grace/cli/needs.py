"""`grace needs`: what trainings want from outside; `harness` asks it of a suite's candidates, all at once."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from grace.config.load import load_config
from grace.config.needs import needs_of
from harness.cli.options import JsonOption, print_json
from harness.errors import ExitCode, InputError

ConfigsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[CONFIG]...", help="Files, or shipped ones by name (trial/infonce).")
]
SetOption = Annotated[
    list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value in all: -o data.path=FILE.")
]


def needs(
    configs: ConfigsArgument = None,
    override: SetOption = None,
    requests: Annotated[
        bool, typer.Option("--requests", help='Read [{"config": ..., "overrides": [...]}, ...] from standard input.')
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which base, data and teacher trainings want, and when they end; looks nothing up and loads nothing."""
    asked: list[tuple[str, list[str]]] = [(one, list(override or ())) for one in configs or ()]
    if requests:
        asked += [(one["config"], one["overrides"]) for one in json.load(sys.stdin)]
    if not asked:
        raise InputError(["name a configuration: a file, or a shipped one such as trial/infonce"])
    rows = [_answer(config, overrides) for config, overrides in asked]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            _show(row)
    if any("problems" in row for row in rows):
        raise typer.Exit(ExitCode.USER_ERROR)


def _answer(config: str, overrides: list[str]) -> dict[str, Any]:
    try:
        return {"config": config, **needs_of(load_config(config, overrides).config)}
    except InputError as error:
        return {"config": config, "problems": error.problems}


def _show(row: dict[str, Any]) -> None:
    if "problems" in row:
        print("\n".join(row["problems"]), file=sys.stderr)
        return
    data = row["data"]
    print(f"{row['config']}: {row['objective']}")
    print(f"  base: {row['base']['model']}")
    print(f"  data: {data['path'] or data['dataset']}")
    if row["teacher"]:
        print(f"  teacher: {row['teacher']}")
    ends = {"steps": row["steps"], "minutes": row["budget_minutes"], "processor seconds": row["budget_cpu_seconds"]}
    print(f"  ends after: {', or '.join(f'{value:g} {name}' for name, value in ends.items() if value is not None)}")
    for one in row["lacking"]:
        print(f"  lacking: {one}")
