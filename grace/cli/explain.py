"""`grace explain`: why two texts are similar under a candidate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from grace.cli.options import (
    CandidateArgument,
    NoCacheOption,
    PromptOption,
    SeedOption,
    SetOption,
    find,
    load_quietly,
)
from grace.explain.explain import explain as explained
from grace.explain.html import to_html
from grace.explain.show import show
from harness.cli.options import HubOption, JsonOption, OfflineOption
from harness.digests import write_atomically
from harness.errors import InputError
from harness.writing import refuse, saying


def explain(
    candidate: CandidateArgument,
    text_a: Annotated[str, typer.Argument(metavar="A", help="The first text.")],
    text_b: Annotated[str, typer.Argument(metavar="B", help="The second text.")],
    override: SetOption = None,
    prompt: PromptOption = None,
    seed: SeedOption = 0,
    hub: HubOption = None,
    offline: OfflineOption = False,
    no_cache: NoCacheOption = False,
    as_json: JsonOption = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page as well.")] = None,
) -> None:
    """Show two texts, both rationales, their cosine, and the exact share of every token in it."""
    if html is not None and not html.parent.is_dir():
        raise InputError([f"--html {html}: the folder {str(html.parent)!r} does not exist"])
    refuse({}, {"--html": html})
    found = find(candidate, override, hub, offline)
    encoder = load_quietly(found, seed=seed, use_cache=not no_cache)
    result = explained(
        encoder, text_a, text_b, kind=found.kind, fingerprint=str(found.fingerprint()), seed=seed, prompt=prompt
    )
    if html is not None:
        with saying(f"--html {html}"):
            write_atomically(html, to_html(result).encode("utf-8", "backslashreplace"))
        print(f"page: {html}", file=sys.stderr)
    if as_json:
        print(json.dumps(result.as_json(), indent=1))  # ASCII: an argument may hold bytes that are no UTF-8
        return
    from rich.console import Console

    show(result, Console(highlight=False, soft_wrap=False))
