"""The configurations in the wheel, and what a name or path means."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError
from harness.wording import did_you_mean, listing

FOLDER = Path(__file__).resolve().parents[1] / "configs"
LAUNCHERS = ("gpu/deepspeed-zero2", "gpu/fsdp")
"""Files for `accelerate launch`, which say nothing of a training."""


def shipped_configs() -> list[str]:
    """Return the names that can be given in place of a path: `trial/infonce`."""
    found = (path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))
    return sorted(name for name in found if name not in LAUNCHERS)


def find_config(source: str | Path) -> Path:
    """Return the file that `source` names: a path as it is, or a shipped configuration by its name.

    Raises:
        InputError: it is neither.
    """
    path = Path(source)
    if path.is_absolute() or path.exists():
        return path
    names = shipped_configs()
    name = str(source).removesuffix(".yaml")
    if name in names:
        return FOLDER / f"{name}.yaml"
    if path.suffix:
        return path  # which the reader of files misses, with files of a similar name
    near = did_you_mean(source, names)
    raise InputError([f"{source}: neither a file nor a shipped configuration; shipped: {listing(names)}{near}"])
