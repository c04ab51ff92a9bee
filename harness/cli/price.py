"""`harness price`: what models' vectors cost on this machine, kept beside the results for reports."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.candidates.named import named_candidate
from harness.cli.options import HubOption, JsonOption, OfflineOption, ResultsOption, print_json, sources_of
from harness.cost import price as pricing
from harness.cost.price import DOCUMENTS, QUERIES, Load
from harness.errors import HarnessError, InputError, worst
from harness.evaluation.chatter import quiet
from harness.report.sections import prices
from harness.results.prices import keep
from harness.results.store import Store
from harness.writing import refuse, saying


def price(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="SUITE:MODEL, a candidate directory, or an entry in braces.")
    ],
    results: ResultsOption = Path("results"),
    queries: Annotated[int, typer.Option("--queries", min=2, help="Queries, one a call.")] = QUERIES,
    documents: Annotated[int, typer.Option("--documents", min=1, help="Documents, in one call.")] = DOCUMENTS,
    hub: HubOption = None,
    offline: OfflineOption = False,
    override: Annotated[
        list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value of every entry.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latency, throughput, memory and bytes of models' vectors here; reports then show score against price."""
    sources = sources_of(hub, offline)
    candidates = [named_candidate(one, sources, override or ()) for one in models]
    if without := [one.name for one in candidates if not one.embeds]:
        raise InputError([f"{one}: it ranks documents and gives no vectors that could have a price" for one in without])
    refuse({"--results": results})
    quiet(results)
    store, found, failed = Store(results), [], []
    for candidate in candidates:
        try:
            measured = pricing.price(candidate, Load(queries=queries, documents=documents))
            found.append(measured)
            with saying(f"its price in {results}", "it is shown, and reports do not have it"):
                keep(measured, store)
        except HarnessError as error:  # the others are measured, and shown
            failed.append(error.exit_code)
            print(f"error: {candidate.name}: {error}", file=sys.stderr)
    if as_json:
        print_json([asdict(one) for one in found])
    elif found:
        print(prices.as_text(found))
    if failed:
        raise typer.Exit(worst(failed))
