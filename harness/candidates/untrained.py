"""A candidate that no training has ended yet: the command that makes it, and what became of the last try.

Beside the directory `runs/NAME` stand `.NAME.training.lock`, which one training at a time holds, and, where the last
one failed, `.NAME.training.json` with the reason: whoever plans or reports can then say it.
"""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress
from pathlib import Path

from harness.digests import write_atomically
from harness.sources.places import Gap
from harness.suite.model_entries import CandidateSpec
from harness.suite.training import overrides_of
from harness.wording import display_path

CANDIDATE = "candidate.yaml"
_REASON = "reason"


def is_trained(directory: Path) -> bool:
    """Whether a training has come to its end there."""
    return (directory / CANDIDATE).is_file()


def gap_of(spec: CandidateSpec) -> Gap:
    """Return what is lacking of a candidate that is not trained, with the command that trains it."""
    directory = Path(spec.candidate).expanduser()
    why = "it holds no candidate.yaml" if directory.is_dir() else "there is no such directory yet"
    if reason := failure_in(directory):
        why = f"its training failed: {reason}"
    return Gap(what=f"candidate {spec.candidate!r}", why=why, command=shlex.join(training_command(spec)))


def training_command(spec: CandidateSpec) -> list[str]:
    """Return what a user types to train a candidate."""
    config = "CONFIG" if spec.config is None else shown_config(spec.config)
    told = [part for one in overrides_of(spec) for part in ("-o", one)]
    return ["grace", "train", config, "--out", os.path.expanduser(spec.candidate), *told]


def shown_config(config: str) -> str:
    """Return how a configuration is shown: from the working directory, or a shipped one by its name."""
    return display_path(Path(config)) if Path(config).is_absolute() else config


def lock_of(directory: Path) -> Path:
    """Return the file that whoever trains into `directory` holds a lock on."""
    return _beside(directory, "lock")


def failure_in(directory: Path) -> str | None:
    """Return why the last training into `directory` failed, in one line; None where none did, or nobody wrote it."""
    if is_trained(directory):
        return None
    try:
        noted = json.loads(_beside(directory, "json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(noted[_REASON]) if isinstance(noted, dict) and noted.get(_REASON) else None


def note_failure(directory: Path, reason: str | None) -> None:
    """Keep why a training failed; None: forget what an earlier one left.

    Where nothing can be written there, a full disk say, it is not kept: the training has said it, and others go on.
    """
    file = _beside(directory, "json")
    with suppress(OSError):
        if reason is None:
            file.unlink(missing_ok=True)
        else:
            write_atomically(file, f"{json.dumps({_REASON: reason}, ensure_ascii=False)}\n".encode())


def _beside(directory: Path, suffix: str) -> Path:
    full = directory.absolute()
    return full.with_name(f".{full.name}.training.{suffix}")
