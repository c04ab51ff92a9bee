"""Rows and weights are read from the files that the key was made of: checked before and after, cached by digest.

The `datasets` library calls what it has converted by a folder's name and README, and what it has unpacked by a path:
edited rows are served from before the edit. Here each content has a cache of its own, `encoder-verdict/<digest>` in the
library's cache, so that a second run reads what the first converted and another content never does. A load that
failed, or whose files changed meanwhile, leaves a mark, and the next one begins with an empty folder.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from filelock import FileLock

from harness.digests import digest, sha256_file, visible_files
from harness.errors import HarnessError
from harness.sources.hub_client import git_blob_sha1
from harness.sources.places import Kind, Located, hub_cache
from harness.wording import first_few

CACHE_NAME = "encoder-verdict"
TASK_FILES = "task_sha256"
"""In an identity: how rows are asked, which leaves the rows themselves as they are."""
_MARK = ".reading"
_NAME_LENGTH = 20
_MOST_NAMED = 3


class ChangedContentError(HarnessError):
    """What was read is not what the key was made of."""


@contextmanager
def unchanged(place: Located | None, kind: Kind) -> Iterator[None]:
    """Read `place` in here: its files are what its identity was made of, before and after.

    Raises:
        ChangedContentError: a file was changed, removed or added since; or a file in the hub client's cache was edited.
    """
    _refuse_changes(place, kind)
    try:
        yield
    finally:  # what broke may be the change
        _refuse_changes(place, kind)


@contextmanager
def read_as_keyed(place: Located) -> Iterator[None]:
    """Load rows of `place` with the `datasets` library in here, whoever calls it: see the head of this file.

    Raises:
        ChangedContentError: as in `unchanged`, or the library is about to read other files than these.
    """
    import datasets

    root = Path(datasets.config.HF_DATASETS_CACHE)
    cache = rows_cache(root, place)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{cache}.lock"):
        if (cache / _MARK).exists():
            shutil.rmtree(cache)
        cache.mkdir(exist_ok=True)
        (cache / _MARK).touch()
        _link_converted(root, cache, place)
        with unchanged(place, "datasets"), _through(cache, place):
            yield
        (cache / _MARK).unlink()


def rows_cache(root: Path, place: Located) -> Path:
    """Return where the library keeps what it converts of `place`, below its own cache `root`."""
    rows = {name: value for name, value in (place.identity or {}).items() if name != TASK_FILES}
    return root / CACHE_NAME / digest(rows)[:_NAME_LENGTH]


def edited_in_cache(kind: Kind, repo: str, commit: str) -> list[str]:
    """Return the files of a commit in the hub client's cache that are not what their names say.

    A snapshot holds links to blobs, which are called by their sha256, or by git's hash where they are small. On a disk
    without links nothing says what a file was.
    """
    folder = hub_cache() / f"{kind}--{repo.replace('/', '--')}" / "snapshots" / commit
    files = visible_files(folder) if folder.is_dir() else []
    if not any(path.is_symlink() for path in files):
        return []
    return [f"{path} has another content" for path in files if not _is_named_blob(path)]


def _is_named_blob(path: Path) -> bool:
    name = path.resolve().name
    if not path.is_symlink():
        return False
    if re.fullmatch("[0-9a-f]{64}", name):
        return sha256_file(path) == name
    return not re.fullmatch("[0-9a-f]{40}", name) or git_blob_sha1(path) == name


def _refuse_changes(place: Located | None, kind: Kind) -> None:
    if place is None:
        return
    contents = [one for one in (place.content, place.code) if one is not None]
    changes = [change for content in contents for change in content.changes()]
    step = "run it again: a key is then made of the files as they are"
    if not changes and place.content is None and place.kind == "cache" and place.revision:
        changes = edited_in_cache(kind, place.load_from, place.revision)
        step = "remove these files and fetch them again"
    if changes:
        raise ChangedContentError(
            f"{place.source}: not what this cell's key was made of: {first_few(changes, most=_MOST_NAMED)}; {step}"
        )


@contextmanager
def _through(cache: Path, place: Located) -> Iterator[None]:
    """Have the library convert and unpack into `cache`, and make no builder over files of another place."""
    from datasets import DatasetBuilder, config

    original = DatasetBuilder.__init__

    def checked(builder: Any, *args: Any, **kwargs: Any) -> None:
        original(builder, *args, **kwargs)
        _refuse_others(builder, place)

    downloads = cache / config.DOWNLOADED_DATASETS_DIR
    with ExitStack() as patches:
        patches.enter_context(patch.object(config, "HF_DATASETS_CACHE", cache))
        patches.enter_context(patch.object(config, "DOWNLOADED_DATASETS_PATH", downloads))
        patches.enter_context(
            patch.object(config, "EXTRACTED_DATASETS_PATH", downloads / config.EXTRACTED_DATASETS_DIR)
        )
        patches.enter_context(patch.object(DatasetBuilder, "__init__", checked))
        yield


def _refuse_others(builder: Any, place: Located) -> None:
    """Raise where a builder reads a file that is not among those of `place`."""
    of_splits = builder.config.data_files or {}
    # an archive's member is `zip://name::/path/of/the.zip`
    read = sorted({str(one).rpartition("::")[2] for files in of_splits.values() for one in files})
    if place.content is not None:
        contents = [one for one in (place.content, place.code) if one is not None]
        keyed = {path.resolve() for content in contents for path in content.files()}
        others = [one for one in read if Path(one).resolve() not in keyed]
    else:
        at = f"hf://datasets/{place.load_from}@{place.revision}/"
        others = [one for one in read if not one.startswith(at)]
    if not read and place.content is None and builder.hash != place.revision:  # the library's cache, used offline
        others = [f"revision {builder.hash} in {builder.cache_dir}"]
    if others:
        named = first_few(others, most=_MOST_NAMED)
        raise ChangedContentError(f"{place.source}: its task reads {named}, which is not in this cell's key")


def _link_converted(root: Path, cache: Path, place: Located) -> None:
    """Give `cache` what the library itself has converted of the same repository at the same commit.

    Offline it takes the newest of any commit, so that it must not see the others.
    """
    from datasets.naming import camelcase_to_snakecase

    if place.content is not None or not place.revision or place.load_from.count("/") != 1:
        return
    owner, name = place.load_from.split("/")
    for found in root.glob(f"{owner}___{camelcase_to_snakecase(name)}/*/*/{place.revision}"):
        link = cache / found.relative_to(root)
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(found, target_is_directory=True)
