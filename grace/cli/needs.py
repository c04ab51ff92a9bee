"""`grace needs`: what trainings want from outside; `harness` asks it of a suite's candidates, all at once."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from grace.config.load import load_config
from grace.config.needs import needs_of, otherwise
from grace.data.rows import refuse_columns
from grace.run.directory import RunDir
from harness.cli.options import JsonOption, print_json
from harness.errors import ExitCode, InputError
from harness.sources.places import Sources
from harness.writing import refuse

ConfigsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[CONFIG]...", help="Files, or shipped ones by name (trial/infonce).")
]
SetOption = Annotated[
    list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value in all: -o data.path=FILE.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One configuration that is asked about."""

    config: str
    overrides: tuple[str, ...]
    trained: Path | None = None
    """A directory of a training to hold it against."""
    out: Path | None = None
    """A directory that is to be trained into, or gone on with; the data are looked at then, as far as costs nothing."""
    hub: Path | None = None
    """The local hub in which data are looked at."""

    @classmethod
    def of(cls, request: dict[str, Any]) -> Asked:
        """Return what a line of JSON asks."""
        places = (None if (named := request.get(key)) is None else Path(named) for key in ("trained", "out", "hub"))
        trained, out, hub = places
        return cls(
            config=request["config"],
            overrides=tuple(request["overrides"]),
            trained=trained,
            out=out,
            hub=hub,
        )


def needs(
    configs: ConfigsArgument = None,
    override: SetOption = None,
    requests: Annotated[
        bool,
        typer.Option(
            "--requests",
            help='Read [{"config": ..., "overrides": [...]}, ...] from standard input; "trained": DIR is compared, '
            '"out": DIR looked at, and the first row of a file of data, or of a dataset in the local hub, "hub": DIR.',
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which base, data and teacher trainings want, and when they end; looks nothing up and loads nothing."""
    asked = [Asked(config=one, overrides=tuple(override or ())) for one in configs or ()]
    if requests:
        asked += [Asked.of(one) for one in json.load(sys.stdin)]
    if not asked:
        raise InputError(["name a configuration: a file, or a shipped one such as trial/infonce"])
    rows = [_answer(one) for one in asked]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            _show(row)
    if any("problems" in row for row in rows):
        raise typer.Exit(ExitCode.USER_ERROR)


def _answer(asked: Asked) -> dict[str, Any]:
    try:
        config = load_config(asked.config, asked.overrides).config
        if asked.out is not None:
            RunDir(asked.out).check(config, resume=True)
            refuse({"--out": asked.out})
            refuse_columns(config.data, Sources(hub=asked.hub, offline=True))
        trained = {} if asked.trained is None else {"otherwise": otherwise(config, asked.trained)}
    except InputError as error:
        return {"config": asked.config, "problems": error.problems}
    return {"config": asked.config, **needs_of(config), **trained}


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
