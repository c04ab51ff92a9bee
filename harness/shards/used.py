"""What is said of the shards that a cell was scored from: how many, by which machines, which had to be made again."""

from __future__ import annotations

from typing import Any

from harness.shards.files import ShardFiles, StoredShard


class ShardsUsed:
    """Collects it, shard by shard."""

    def __init__(self, files: ShardFiles) -> None:
        """Begin with none; `files` knows what was found damaged."""
        self._files = files
        self._count = 0
        self._remade: list[str] = []
        self._hardware: list[Any] = []
        self._seconds = 0.0
        self._damaged: list[str] = []

    def note(self, name: str, stored: StoredShard | None) -> None:
        """Take note of a shard; None: it is lost or damaged, and what was in it is made when it is asked for."""
        self._count += 1
        if stored is None:
            self._remade.append(name)
            return
        self._seconds += float(stored.facts.get("seconds", 0.0))
        self._damaged += stored.facts.get("damaged", [])
        if stored.facts["hardware"] not in self._hardware:
            self._hardware.append(stored.facts["hardware"])

    def facts(self) -> dict[str, Any]:
        """Return it as it goes into the cell's provenance (`harness.results.facts.ShardFacts`)."""
        return {
            "count": self._count,
            "remade": self._remade,
            "damaged": [*self._damaged, *self._files.damaged],
            "hardware": self._hardware,
            "seconds": round(self._seconds, 3),
        }
