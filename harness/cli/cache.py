"""`harness cache`: what is kept so that it need not be made twice, how large it is, and shards within a limit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import JsonOption, print_json
from harness.digests import user_cache
from harness.errors import InputError
from harness.provision.caches import kept_here
from harness.provision.progress import bytes_text
from harness.results.makers import KnownMakers, known_makers
from harness.results.store import Store
from harness.shards.pruning import Pruned, leftovers, prune
from harness.shards.survey import MakerShards, by_maker
from harness.wording import short
from harness.writing import saying

_SIZE = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>[MGT])|(?P<bytes>[0-9]{1,18})")
UNITS = {"M": 10**6, "G": 10**9, "T": 10**12}
TOLD = ("kind", "repo", "revision", "path", "store_dtype", "cell", "role", "prompt")
"""Of what made a shard, in whatever depth: what tells one maker from another."""
BESIDE_A_NAME = ("role", "prompt")
"""What of it is shown beside the name of a model."""
SPARED_SECONDS = 86400.0
"""While a run goes on in a folder, shards that were used within so long stay: it may be reading them."""


def cache(
    results: Annotated[
        Path | None, typer.Option("--results", help="Also show the shards of this results folder.")
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option("--limit", metavar="SIZE", help="Remove its shards, longest unused first: 50G, 500M, 1.5T, 0."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is kept so that it need not be made twice; with --limit, remove shards: no score is lost by it."""
    limit_bytes = None if limit is None else size_in_bytes(limit)
    _must_be_there(results, limit)
    pruned = None
    if results is not None and limit_bytes is not None:
        spared = SPARED_SECONDS if Store(results).locks_held() else 0.0
        with saying(f"--results {results}", step="what was removed is whole shards, and no score is lost"):
            pruned = prune(results / "shards", limit_bytes, spared_seconds=spared)
    if as_json:
        print_json(_document(results, pruned))
        return
    _show_kept()
    if results is not None:
        _show_shards(results)
    if pruned is not None:
        _show_pruned(pruned, limit_bytes or 0)


def size_in_bytes(text: str) -> int:
    """Return a size as users write it, in bytes; raises InputError for any other form."""
    match = _SIZE.fullmatch(text)
    if match is None:
        valid = "a number with M, G or T (10**6, 10**9, 10**12 bytes), such as 50G, 500M, 1.5T, or plain bytes; 0: none"
        raise InputError([f"--limit {short(text)}: not a size; valid: {valid}"])
    return int(match["bytes"]) if match["bytes"] else round(float(match["number"]) * UNITS[match["unit"]])


def _must_be_there(results: Path | None, limit: str | None) -> None:
    if results is None and limit is not None:
        raise InputError([f"--limit {limit}: needs --results DIR, the results folder whose shards it is about"])
    if results is not None and not results.is_dir():
        raise InputError([f"--results {results}: no such folder; give the folder that `harness run --results` wrote"])


def _show_kept() -> None:
    kept = kept_here()
    print(f"cache of this machine (HARNESS_CACHE): {user_cache()}, {bytes_text(sum(one.bytes for one in kept))}")
    for one in kept:
        print(f"  {bytes_text(one.bytes):>9}  {one.path.name:10} {one.about}")
    if kept:
        print("  each is made again when it is needed: remove a folder by hand, while nothing runs")


def _show_shards(results: Path) -> None:
    makers, harmed = by_maker(results / "shards")
    count, size = sum(one.shards for one in makers), sum(one.bytes for one in makers)
    print(f"shards in {results / 'shards'}: {count} shard(s) of {len(makers)} maker(s), {bytes_text(size)}")
    known = known_makers(Store(results)) if makers else KnownMakers()
    for one in makers:
        called = _called(one.maker, known.names(one.maker))
        print(f"  {bytes_text(one.bytes):>9}  {one.shards:5} shard(s)  used {_time(one.used)}  {called}")
    others = [path for path in leftovers(results / "shards") if path.suffix != ".lock"]
    if others:
        damaged = f", {harmed} of them record(s) that are not whole" if harmed else ""
        print(f"  {len(others)} file(s) that no shard names{damaged}; --limit removes those older than an hour")


def _show_pruned(pruned: Pruned, limit_bytes: int) -> None:
    shards = f"{pruned.shards} shard(s), {bytes_text(pruned.bytes)}"
    others = f"{pruned.leftovers} file(s) that no shard named, {bytes_text(pruned.leftover_bytes)}"
    print(f"removed: {shards}, and {others}; scores stay, and what is needed again is made again")
    if pruned.held:
        print(f"kept: what a running process is at, {pruned.held} shard(s)")
    if pruned.spared:
        print(f"kept: {pruned.spared} shard(s) used within the last day, since a run is going on in this folder")
    if pruned.left_bytes > limit_bytes:
        print(f"{bytes_text(pruned.left_bytes)} are left, more than --limit: run it again when nothing runs")


def _document(results: Path | None, pruned: Pruned | None) -> dict[str, Any]:
    kept = [{"folder": str(one.path), "about": one.about, "bytes": one.bytes} for one in kept_here()]
    document: dict[str, Any] = {"cache": {"folder": str(user_cache()), "kept": kept}}
    if results is not None:
        makers, harmed = by_maker(results / "shards")
        known = known_makers(Store(results)) if makers else KnownMakers()
        document["shards"] = {
            "folder": str(results / "shards"),
            "shards": sum(one.shards for one in makers),
            "bytes": sum(one.bytes for one in makers),
            "not_whole": harmed,
            "leftovers": [str(path) for path in leftovers(results / "shards")],
            "makers": [_row(one, known) for one in makers],
        }
    if pruned is not None:
        document["removed"] = {
            "shards": pruned.shards,
            "bytes": pruned.bytes,
            "leftovers": pruned.leftovers,
            "leftover_bytes": pruned.leftover_bytes,
            "held": pruned.held,
            "spared": pruned.spared,
        }
    return document


def _row(one: MakerShards, known: KnownMakers) -> dict[str, Any]:
    counted = {"shards": one.shards, "files": one.files, "bytes": one.bytes, "last_used": _time(one.used)}
    return {"names": known.names(one.maker), "maker": one.maker} | counted


def _called(maker: Mapping[str, Any], names: list[str]) -> str:
    """Return what tells a maker from others: the names that a user gave it, and what stands in front of its texts."""
    told = [(name, value) for name, value in _told(maker) if not names or name in BESIDE_A_NAME]
    parts = ([" = ".join(names)] if names else []) + [f"{name} {short(value)}" for name, value in told]
    return ", ".join(parts) or short(dict(maker))


def _told(value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _told(one)
        elif name in TOLD and one not in (None, ""):
            yield name, one


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
