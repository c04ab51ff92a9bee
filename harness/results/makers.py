"""What made a shard, by the names that a user gave it: models of stored cells, cells of noted runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from harness.digests import digest
from harness.errors import InputError
from harness.results.facts import facts_of, name_of
from harness.results.records import Result
from harness.results.store import Store, read_record


@dataclass(frozen=True, slots=True)
class KnownMakers:
    """The models and cells that a results folder knows."""

    models: dict[str, set[str]] = field(default_factory=dict)
    """Digest of an identity -> the names it had."""
    cells: dict[str, str] = field(default_factory=dict)
    """Key -> `model/task`."""

    def names(self, maker: Mapping[str, Any]) -> list[str]:
        """Return what a user calls the maker of a shard: models, or one cell; empty where nothing here says it."""
        encoder = maker.get("encoder")
        identity = encoder.get("identity") if isinstance(encoder, Mapping) else None
        found = self.models.get(digest(identity), set()) if isinstance(identity, Mapping) else set()
        cell = self.cells.get(str(maker.get("cell")))
        return sorted(found) + ([cell] if cell else [])


def known_makers(store: Store) -> KnownMakers:
    """Read a results folder's records and notes of runs; what cannot be read says nothing."""
    known = KnownMakers()
    for key, cell in _noted_cells(store):
        known.cells[key] = cell
    for result in _records(store):
        known.cells[result.key] = name_of(result)
        identity = facts_of(result).identity
        if identity is not None:
            known.models.setdefault(digest(identity), set()).add(result.model)
    return known


def _records(store: Store) -> Iterator[Result]:
    for path in sorted((store.root / "cells").glob("*/*.json")):
        with suppress(InputError, FileNotFoundError):
            yield read_record(path)


def _noted_cells(store: Store) -> Iterator[tuple[str, str]]:
    for path in sorted((store.root / "runs").glob("*.json")):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            for cell, key in json.loads(path.read_text(encoding="utf-8"))["cells"].items():
                yield str(key), str(cell)
