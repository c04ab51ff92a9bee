"""`grace encode`: a file of texts to a parquet file of texts, rationales and vectors."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from grace.cli.options import (
    NoCacheOption,
    PromptOption,
    SeedOption,
    SetOption,
    find,
    load_quietly,
    refuse_fitted,
)
from grace.encode.encode import Job, finished, open_job, run
from grace.encode.texts import read_texts
from harness.cli.options import HubOption, JsonOption, OfflineOption
from harness.errors import ExitCode, InputError
from harness.writing import refuse, saying

LINE_EVERY_SECONDS = 30.0
"""How often progress is mentioned where there is no terminal."""


def encode(
    file: Annotated[Path, typer.Argument(metavar="INPUT", help="JSON lines, CSV, parquet, or one text a line.")],
    candidate: Annotated[
        str,
        typer.Option("--candidate", metavar="CANDIDATE", help="As in `grace explain`."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The parquet file to make.")],
    column: Annotated[str | None, typer.Option("--column", help="Where the text is [text].")] = None,
    kind: Annotated[str | None, typer.Option("--format", help="jsonl, csv, parquet or lines [by the ending].")] = None,
    override: SetOption = None,
    prompt: PromptOption = None,
    role: Annotated[
        Literal["query", "document"] | None,
        typer.Option("--role", help="What the texts are, for models that tell queries from documents."),
    ] = None,
    seed: SeedOption = 0,
    hub: HubOption = None,
    offline: OfflineOption = False,
    no_cache: NoCacheOption = False,
    part_texts: Annotated[int, typer.Option("--part-texts", min=1, help="Texts a part of a resumable run.")] = 512,
    force: Annotated[bool, typer.Option("--force", help="Overwrite, and start anew.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Encode a file of texts; a run that was killed goes on from its last finished part."""
    if out.suffix != ".parquet" or not out.absolute().parent.is_dir():
        raise InputError([f"--out {out}: expected a name that ends in .parquet, in a folder that exists"])
    refuse({}, {"--out": out})
    texts = read_texts(file, column=column, kind=kind)
    found = find(candidate, override, hub, offline)
    refuse_fitted(found)
    settings = found.spec.model_dump(exclude={"name", "note", "device", "batch_tokens", "ability"}, mode="json")
    about: dict[str, Any] = {"candidate": found.name, "fingerprint": found.fingerprint(), "seed": seed}
    about |= {"settings": settings, "identity": found.identity()}
    if about["fingerprint"] is None:
        print(
            f"the weights of {found.name} are not pinned: the file cannot say which revision made it", file=sys.stderr
        )
    job = Job(texts=texts, out=out, about=about, prompt=prompt, role=role, part_texts=part_texts)
    if finished(job) and not force:
        print(f"{out} is there already, of these texts and settings", file=sys.stderr)
    else:
        done = open_job(job, force=force)
        if done:
            print(f"going on: {len(done)} of {job.parts} parts are done", file=sys.stderr)
        encoder = load_quietly(found, seed=seed, use_cache=not no_cache)
        encoder.check_role(role)
        try:
            kept = "finished parts are kept, and the same command goes on from there"
            with saying(f"--out {out}", step=kept), _progress(len(texts)) as advance:
                run(job, encoder, done, advance)
        except KeyboardInterrupt:
            print("interrupted: finished parts are kept; the same command goes on from there", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    _report(job, as_json)


def _report(job: Job, as_json: bool) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(job.out, columns=["rationale", "rationale_cut"])
    written = len(table) - table["rationale"].null_count
    dimension = pq.read_schema(job.out).field("vector").type.list_size
    summary = {
        "file": str(job.out),
        "texts": len(table),
        "dimension": dimension,
        "rationales": written,
        "cut": pc.sum(table["rationale_cut"]).as_py() or 0,
        "empty": pc.sum(pc.equal(pc.utf8_trim_whitespace(table["rationale"]), "")).as_py() or 0,
        "fingerprint": job.about["fingerprint"],
    }
    if as_json:
        print(json.dumps(summary, indent=1))
        return
    extra = f"; {summary['cut']} of {written} rationales cut, {summary['empty']} empty" if written else ""
    print(f"{job.out}: {len(table)} texts, {dimension} dimensions{extra}")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show progress on standard error: a bar with the time left on a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(total)
        return
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("encoding", total=total)
        yield lambda texts: progress.advance(task, texts)


def _lines(total: int) -> Callable[[int], None]:
    """Return a function that counts texts and prints a line every half minute; what came before it took no time."""
    state = {"done": 0, "before": -1}
    began = last = time.monotonic()

    def advance(texts: int) -> None:
        nonlocal last
        state["done"] += texts
        if state["before"] < 0:
            state["before"] = state["done"]  # of an earlier run
        now = time.monotonic()
        if now - last >= LINE_EVERY_SECONDS:
            last = now
            made = state["done"] - state["before"]
            left = (total - state["done"]) * (now - began) / made if made else float("nan")
            print(f"{state['done']} of {total} texts, about {left / 60:.0f} min left", file=sys.stderr, flush=True)

    return advance
