"""Is the base at hand the one that a candidate was trained on?

`candidate.yaml` holds what training found (`training.base_identity`, and of a folder `training.base_files`). Commits
are compared with commits, wheels with wheels. Of a folder the names and contents of its files are, but for those that
only people read: a README beside the weights makes no other base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.candidates.adapter_kind import read_adapter_config
from harness.digests import sha256_files, visible_files
from harness.sources.content import is_for_people
from harness.sources.places import Located

IDENTITY, FILES = "base_identity", "base_files"
"""Keys of `training` in `candidate.yaml`."""
SHOWN = 12
"""So many digits of a sha256 are shown."""


def files_of(base: Located) -> str | None:
    """Return the sha256 over the files of a base that a loader may read; None where it is no folder or file here."""
    return _sha256(base, [path for path in _visible(base) if not is_for_people(path)])


def another_base(training: Mapping[str, Any], base: Located) -> str | None:
    """Return how a base differs from the one a candidate was trained on; None where it is that one, or nobody can say.

    Args:
        training: of `candidate.yaml`.
        base: what was found.
    """
    trained, found = training.get(IDENTITY), base.identity
    if not isinstance(trained, Mapping) or found is None or dict(trained) == found:
        return None
    if "files_sha256" not in trained or "files_sha256" not in found:
        return _unlike(trained, found, base)
    before, now = training.get(FILES), files_of(base)
    if before is None:  # a candidate of a release that took in every file
        before, now = trained["files_sha256"], _sha256(base, _visible(base))
    if before == now:
        return None
    return f"trained on a base with sha256 {_cut(before)}, {base.load_from} holds {_cut(now)}"


def cannot_be_compared(training: Mapping[str, Any], base: Located) -> str | None:
    """Return a remark where the base was known by another kind of identity in training than it is here; None else."""
    trained, found = training.get(IDENTITY), base.identity
    if not isinstance(trained, Mapping) or found is None or set(trained) == set(found):
        return None
    return f"base not checked: trained on {_said(trained)}, here it is {_said(found)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptersBase:
    """What an adapter's own configuration says of the base it was trained on, against the one it is put on."""

    is_another: bool
    """True: the one it names is here, and has other weights."""
    said: str


def adapters_base(adapter: Path, model: str, base: Located) -> AdaptersBase | None:
    """Return how the base that an adapter names is not the one it is put on; None where it is, or it names none.

    Args:
        adapter: its folder.
        model: the base, as the suite names it.
        base: what was found of it.
    """
    named = (read_adapter_config(adapter) or {}).get("base_model_name_or_path")
    if not named or named == model or _same_place(named, base):
        return None
    said = f"the adapter was trained on {named!r}, here it is put on {model!r}"
    here = Path(named).expanduser()
    if not here.is_dir():
        return AdaptersBase(is_another=False, said=f"{said}: not checked, the names differ")
    before, now = files_of(replace(base, load_from=str(here))), files_of(base)
    if now is None:
        return AdaptersBase(is_another=False, said=f"{said}: not checked")
    is_another = before != now
    return AdaptersBase(is_another=True, said=f"{said}, which has other files") if is_another else None


def _same_place(named: str, base: Located) -> bool:
    return Path(named).expanduser().resolve() == Path(base.load_from).resolve()


def _unlike(trained: Mapping[str, Any], found: Mapping[str, str], base: Located) -> str | None:
    if set(trained) != set(found):
        return None
    return f"trained on a base of {_said(trained)}, {base.source} holds {_said(found)}"


def _said(identity: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('files_', '')} {_cut(value)}" for name, value in identity.items())


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) < 40 or "/" in text else f"{text[:SHOWN]}..."


def _visible(base: Located) -> list[Path]:
    path = Path(base.load_from)
    if path.is_dir():
        return visible_files(path)
    return [path] if path.is_file() else []


def _sha256(base: Located, files: list[Path]) -> str | None:
    path = Path(base.load_from)
    return sha256_files(path if path.is_dir() else path.parent, files) if files else None
