"""What a run runs on: versions, source revision, hardware, caches; for provenance and for `harness doctor`."""

from __future__ import annotations

import getpass
import logging
import os
import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.writing import why_not_folder

logger = logging.getLogger(__name__)

PACKAGES = (
    "encoder-verdict",
    "mteb",
    "lm-eval",
    "torch",
    "transformers",
    "sentence-transformers",
    "peft",
    "datasets",
    "tokenizers",
    "numpy",
    "scipy",
    "scikit-learn",
)


@cache
def versions() -> dict[str, str]:
    """Return the installed version of every package that can move a number; "absent" where it is not installed."""
    return {"python": platform.python_version(), **{name: version_of(name) for name in PACKAGES}}


def version_of(name: str) -> str:
    """Return the installed version of a package; "absent" where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def is_installed(module: str) -> bool:
    """Return whether a package can be imported; imports nothing.

    A folder of its name in the working directory, as wandb leaves one where it ran, is a package without a file, and
    has nothing in it.
    """
    found = find_spec(module)
    return found is not None and found.origin is not None


@cache
def git_revision() -> str | None:
    """Return the commit of the source tree this package runs from, `-dirty` appended; None for an installed wheel."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    commands = (["rev-parse", "HEAD"], ["status", "--porcelain"])
    try:
        outputs = [
            subprocess.run(["git", "-C", str(root), *one], capture_output=True, text=True, check=True).stdout.strip()
            for one in commands
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return outputs[0] + ("-dirty" if outputs[1] else "")


def cache_folders() -> dict[str, Path]:
    """Return variable -> the folder that an engine keeps its cache in, which is one of the user's home by default."""
    home = Path(os.path.expanduser("~"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    hub = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    standard = {
        "MTEB_CACHE": home / ".cache" / "mteb",
        "HF_DATASETS_CACHE": hub / "datasets",
        "HF_MODULES_CACHE": hub / "modules",
    }
    return {name: Path(os.environ.get(name) or folder) for name, folder in standard.items()}


def settle_caches(instead: Path) -> None:
    """Point the engines at caches in `instead` where theirs cannot be written; to be called before any is imported.

    Remarks on it in the log. A user without a name, as in a container under some number, gets one for those that ask.
    """
    for variable, folder in cache_folders().items():
        why = why_not_folder(folder)
        if why is not None:
            other = instead.absolute() / variable.lower()
            logger.warning("%s: cannot be written (%s); %s is used, and %s names another", folder, why, other, variable)
            os.environ[variable] = str(other)
    try:
        getpass.getuser()
    except (OSError, KeyError):
        os.environ["USER"] = f"user-{os.getuid()}"


def without_bars() -> None:
    """Keep the progress bars of engines and hub clients off the terminal; ours show how far a run is."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def hardware() -> dict[str, Any]:
    """Return processor, cores, threads torch uses, memory and GPUs; imports torch."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": gpus,
        "platform": platform.platform(),
    }


def peak_memory_bytes() -> dict[str, int]:
    """Return the most memory this process has held so far, on the host and on each GPU that was used."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        peak |= {f"cuda:{index}": torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count())}
    return peak


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
