"""The suites in the wheel, and what a name or path means."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError
from harness.wording import did_you_mean


def shipped_folder() -> Path:
    """Return the folder of the suites that ship with the package: in the wheel, or beside the source."""
    package = Path(__file__).resolve().parents[1]
    packed = package / "_suites"
    return packed if packed.is_dir() else package.parent / "suites"


def shipped_suites() -> list[str]:
    """Return the names that can be given in place of a path."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def find_suite(source: str | Path) -> Path:
    """Return the file that `source` names: a path as it is, or a shipped suite by its bare name."""
    path = Path(source)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    shipped = shipped_folder() / f"{source}.yaml"
    if shipped.exists():
        return shipped
    names = shipped_suites()
    said = f"{source}: neither a file nor a shipped suite; shipped: {', '.join(names)}"
    raise InputError([f"{said}{did_you_mean(source, names)}"])
