"""`grace export`: a candidate as a directory that sentence-transformers loads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from grace.cli.options import CandidateArgument, SeedOption, SetOption, find, quiet
from grace.export.export import check
from grace.export.export import export as write
from harness.cli.options import HubOption, JsonOption, OfflineOption
from harness.errors import InputError
from harness.wording import did_you_mean, listing
from harness.writing import refuse, saying

FORMATS = ("sentence-transformers",)


def export(
    candidate: CandidateArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The directory to make.")],
    kind: Annotated[str, typer.Option("--format", help="sentence-transformers")] = FORMATS[0],
    override: SetOption = None,
    seed: SeedOption = 0,
    hub: HubOption = None,
    offline: OfflineOption = False,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="DIR", help="Put this folder's scores into the model card.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in DIR.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a candidate, adapter merged, as a directory that stands alone."""
    if kind not in FORMATS:
        raise InputError([f"--format {kind!r}: expected {listing(FORMATS)}{did_you_mean(kind, FORMATS)}"])
    if results is not None and not results.is_dir():
        raise InputError([f"--results {results}: no such folder"])
    refuse({"--out": out})
    found = find(candidate, override, hub, offline)
    quiet()
    check(found, out, force=force)
    print(f"exporting {found.name} ({found.kind})", file=sys.stderr)
    if found.serving == "switched":
        why = "an export is one set of weights, and answers with the adapter merged into them"
        print(f"serving: switched is not kept: {why}", file=sys.stderr)
    with saying(f"--out {out}"):
        done = write(found, out, seed=seed, results=results, force=force)
    if as_json:
        about = {"folder": str(out), "load": done.load_line, "modules": done.modules, "adapter_merged": done.is_merged}
        print(json.dumps(about | {"largest_difference": done.difference}, indent=1))
        return
    merged = ", adapter merged" if done.is_merged else ""
    print(f"{out}: vectors within {done.difference:.1g} of the harness's on probe texts{merged}")
    print(f"load it: from sentence_transformers import SentenceTransformer; model = {done.load_line}")
    if done.modules == "this package":
        print("needs the package encoder-verdict where it is loaded", file=sys.stderr)
