"""`harness doctor`: is everything a suite needs on this machine, whole, and can it be opened?

Everything is looked at, whatever else is broken, and nothing is downloaded. Files that a lock file names are read anew,
byte by byte; every dataset config is opened with `datasets` and the first row of each split read; every model's config
and tokenizer is loaded with `transformers`, and the headers of its weights are held against the files' sizes and, by
names and shapes, against the model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness import sandbox
from harness.candidates.weight_files import check_safetensors
from harness.candidates.weight_files import on_disk as weights_on_disk
from harness.digests import user_cache
from harness.encoders.dry_load import adapter_misfit, misfit
from harness.encoders.own_code import refused_by_name
from harness.environment import versions
from harness.errors import WeightsDoNotFitError
from harness.plan.humaneval import locate_problems
from harness.provision.caches import size_of
from harness.provision.counting import off_count, without_candidates
from harness.provision.fitting import problem_with
from harness.provision.wanted import Needs, Reads, Wanted
from harness.sources import lock
from harness.sources.dataset_card import configs_of, wanted_configs
from harness.sources.hub_client import hub_problem
from harness.sources.locate import locate_dataset, locate_model
from harness.sources.places import Gap, Located, Sources, go_offline, hub_cache
from harness.sources.reading import CACHE_NAME
from harness.sources.wheel_parts import GGUF_MAGIC
from harness.tasks import humaneval
from harness.tasks.catalogue import catalogue
from harness.wording import first_few, listing

Status = Literal["ok", "missing", "changed", "unreadable", "wrong size", "unwritable", "refused"]
MOST_NAMED = 3
"""So many differing files are named; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How one thing is."""

    what: str
    status: Status
    detail: str
    """Where it is, or what is wrong with it."""
    step: str | None = None
    """What to do; None where nothing is to be done."""
    wanted_by: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def examine(needs: Needs, sources: Sources, *, fetch_command: str) -> list[Check]:
    """Look at everything a suite needs; never raises for what it finds.

    Args:
        needs: what the suite wants.
        sources: where it is looked for.
        fetch_command: named as the next step where fetching helps.
    """
    go_offline()  # the libraries must not quietly mend what they are asked to look at
    _hush()
    checks = [Check(what=gap.what, status="missing", detail=gap.why, step=gap.command) for gap in needs.gaps]
    checks += [Check(what=gap.what, status="refused", detail=gap.why, step=gap.command) for gap in needs.refused]
    everything = (*needs.repositories, *needs.own_models)
    return checks + [_Patient(wanted, sources, fetch_command).examine() for wanted in everything]


def engine_checks() -> list[Check]:
    """Hold the engine releases the catalogue was read from against the installed ones."""
    checks = []
    for engine, known in catalogue().engines.items():
        found = versions().get(engine, "absent")
        status: Status = "ok" if found == known else "missing" if found == "absent" else "changed"
        detail = f"{found} installed, the catalogue is of {known}"
        step = (
            None if found == known else f"pip install {engine}=={known} (or python -m harness.backends.make_catalogue)"
        )
        checks.append(Check(what=f"engine {engine}", status=status, detail=detail, step=step))
    return checks


def sandbox_check(needs: Needs) -> list[Check]:
    """Try the sandbox where a task runs model-written programs; nothing where none does."""
    if not needs.runs_code:
        return []

    missing = sandbox.available()
    status: Status = "missing" if missing else "ok"
    detail = "no sandbox for model-written programs" if missing else f"{sandbox.version()}, tried"
    return [Check(what="sandbox", status=status, detail=detail, step=missing, wanted_by=needs.runs_code)]


def surroundings(sources: Sources) -> dict[str, Any]:
    """Return versions, device, disk, network and cache sizes."""
    where = sources.hub or Path.cwd()
    network = "not asked (--offline)" if sources.offline else hub_problem() or "the hub answers"
    return {
        "versions": versions(),
        "device": _device(),
        "free_disk_bytes": {str(path): shutil.disk_usage(path).free for path in {where, _existing(user_cache())}},
        "network": network,
        "caches_bytes": {str(path): size_of(path) for path in (user_cache(), hub_cache(), _rows_cache())},
    }


class _Patient:
    """One wanted thing under examination."""

    def __init__(self, wanted: Wanted, sources: Sources, fetch_command: str) -> None:
        self._wanted = wanted
        self._sources = sources
        self._fetch = fetch_command
        self._what = str(wanted)

    def examine(self) -> Check:
        """Return how it is: found, as locked, and opened, in this order."""
        found = self._locate()
        if isinstance(found, Gap):
            return self._check("missing", found.why, self._fetch if not self._wanted.is_own else found.command)
        if self._wanted.is_humaneval and found.kind != "wheel":  # the same problems, as a dataset has them
            self._what = f"dataset {humaneval.DATASET}"
        path = _on_disk(self._wanted, found)
        entry = self._entry(path)
        if entry is not None and self._sources.hub is not None:
            differing = lock.differences(self._sources.hub, entry, anew=True)
            if differing:
                return self._changed(self._sources.hub / entry.folder, differing)
        if path is None:
            return self._check("missing", f"not on this machine ({found.source})", self._fetch)
        problem = problem_with(lambda: _open(self._wanted, path, self._base()))
        if problem:
            return self._check("unreadable", f"{path}: {problem}", self._step_for_unreadable(entry, path))
        said = f"{found.source}{'' if found.vouched else ', unverified'}"
        remark = _size_remark(self._wanted, path)
        if remark and not found.vouched:
            return self._check("wrong size", f"{said}{remark}", self._step_for_unreadable(entry, path))
        return self._check("ok", f"{said}{remark}", None)  # the pinned files are the data, whatever their number

    def _locate(self) -> Located | Gap:
        wanted = self._wanted
        if wanted.is_humaneval:
            return locate_problems(self._sources)
        if wanted.kind != "datasets":
            return locate_model(self._sources, wanted.repo, wanted.revision, wanted.sha256)
        places = [
            locate_dataset(
                self._sources,
                wanted.repo,
                wanted.revision,
                subsets=one.subsets,
                splits=one.splits,
                ranks_candidates=one.ranks_candidates,
            )
            for one in wanted.reads
        ]
        return next((place for place in places if isinstance(place, Gap)), places[0])

    def _base(self) -> Path | None:
        """Return where the weights lie that an adapter goes on; None where it is none, or they are not here."""
        base = self._wanted.base
        found = locate_model(self._sources, base.model, base.revision, base.sha256) if base else None
        return weights_on_disk(found) if isinstance(found, Located) else None

    def _entry(self, path: Path | None) -> lock.Entry | None:
        if self._sources.hub is None or self._wanted.is_own:
            return None
        entry = lock.read(self._sources.hub).find(
            self._wanted.kind, self._wanted.repo, self._wanted.sha256 or self._wanted.revision
        )
        folder = (self._sources.hub / entry.folder).resolve() if entry else None
        is_elsewhere = path is not None and folder is not None and not path.is_relative_to(folder)
        return None if is_elsewhere else entry

    def _changed(self, folder: Path, differing: Sequence[lock.Change]) -> Check:
        named = first_few((str(one) for one in differing), most=MOST_NAMED)
        extra = [str(folder / one.path) for one in differing if one.change == "extra"]
        step = f"move away {listing(extra, most=MOST_NAMED)}; then {self._fetch}" if extra else self._fetch
        return self._check("changed", f"{folder}: {named}", step)

    def _step_for_unreadable(self, entry: lock.Entry | None, path: Path) -> str:
        if entry is not None:
            return "the files are as they were fetched: the repository itself, or the installed library, is at fault"
        return (
            f"move {path} away; then {self._fetch}"
            if not self._wanted.is_own
            else "mend it, or name another in the suite"
        )

    def _check(self, status: Status, detail: str, step: str | None) -> Check:
        return Check(what=self._what, status=status, detail=detail, step=step, wanted_by=self._wanted.wanted_by)


def _size_remark(wanted: Wanted, path: Path) -> str:
    """Return `; n of N items` where a dataset has another number of items than the benchmark's; empty elsewhere."""
    said: list[str] = []
    if wanted.kind == "datasets" and path.is_dir():
        for read in wanted.reads:
            problem_with(partial(_add_off_count, said, path, read))  # what cannot be read was said before
    found = dict.fromkeys(one for one in said if one)
    return "".join(f"; {one}: not the data that published figures are over" for one in found)


def _add_off_count(said: list[str], path: Path, read: Reads) -> None:
    said.append(off_count(path, read.known) or "")


def _on_disk(wanted: Wanted, place: Located) -> Path | None:
    """Return the folder or file, or None where it is only on the hub or the index."""
    if place.kind in ("hub", "wheel"):
        return None
    if place.kind == "cache" and wanted.kind != "wheels":
        folder = hub_cache() / f"{wanted.kind}--{wanted.repo.replace('/', '--')}" / "snapshots" / str(place.revision)
        return folder if folder.is_dir() else None
    return Path(place.load_from)


def _open(wanted: Wanted, path: Path, base: Path | None = None) -> None:
    if wanted.is_humaneval:
        humaneval.check_problems(path)
    elif wanted.kind == "datasets":
        _open_dataset(wanted, path)
    elif path.is_file():
        _open_weights(path)
    else:
        _open_model(wanted, path, base)


def _open_dataset(wanted: Wanted, folder: Path) -> None:
    """Read the first row of every split of every config that the tasks read."""
    from datasets import get_dataset_config_names, load_dataset

    readme = folder / "README.md"
    declared = configs_of(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else {}
    names = wanted_configs(declared, wanted.subsets, wanted.known_subsets) or get_dataset_config_names(str(folder))
    for name in names:
        try:
            splits = load_dataset(str(folder), name, streaming=True)
            for rows in splits.values():
                next(iter(rows), None)
        except Exception as error:
            raise OSError(f"config {name!r}: {type(error).__name__}: {error}") from error
        lacking = [one for read in wanted.reads for one in read.splits if one not in splits] if not declared else []
        if lacking:
            raise OSError(f"no split {lacking[0]!r}; it has: {listing(splits)}")
    for read in wanted.reads:
        if without := without_candidates(folder, read.known):
            raise OSError(without)


def _open_adapter(wanted: Wanted, folder: Path, base: Path | None) -> None:
    """Read an adapter's configuration, and hold it against the base where that is here."""
    json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    place = Located(
        kind="folder", load_from=str(folder), revision=None, identity=None, source=str(folder), vouched=None
    )
    if base is not None and base.is_dir():
        found = adapter_misfit(base, place, name=wanted.repo, trust=wanted.trust_remote_code)
        if found:
            raise WeightsDoNotFitError(found)


def _open_model(wanted: Wanted, folder: Path, base: Path | None) -> None:
    from transformers import AutoConfig, AutoTokenizer

    for weights in sorted((*folder.rglob("*.safetensors"), *folder.rglob("*.gguf"))):
        _open_weights(weights)
    if wanted.base is not None:
        _open_adapter(wanted, folder, base)
        return
    root = _transformer_folder(folder)
    if not (root / "config.json").is_file():
        if any(folder.rglob("*.gguf")):
            return
        raise FileNotFoundError("it holds no config.json")
    trust = wanted.trust_remote_code
    with refused_by_name(str(wanted.repo)):
        AutoConfig.from_pretrained(str(root), local_files_only=True, trust_remote_code=trust)
        AutoTokenizer.from_pretrained(str(root), local_files_only=True, trust_remote_code=trust)
    for kind in wanted.encoders:
        found = misfit(folder, kind, name=wanted.repo, trust=trust, needs_head=wanted.needs_head)
        if found:
            raise WeightsDoNotFitError(found)


def _transformer_folder(folder: Path) -> Path:
    """Return where a sentence-transformers model keeps its language model: the first module's folder."""
    modules = folder / "modules.json"
    if not modules.is_file():
        return folder
    first = json.loads(modules.read_text(encoding="utf-8"))[0]
    return folder / str(first.get("path", ""))


def _open_weights(path: Path) -> None:
    """Check what can be seen without loading: a GGUF's magic, a safetensors header against the file's size."""
    if path.suffix == ".safetensors":
        check_safetensors(path)
    elif path.suffix == ".gguf":
        with path.open("rb") as file:
            if file.read(len(GGUF_MAGIC)) != GGUF_MAGIC:
                raise ValueError(f"{path.name} is no GGUF file")


def _hush() -> None:
    """Keep the libraries' own bars and warnings out of the table."""
    import datasets
    import huggingface_hub.utils
    import transformers

    huggingface_hub.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {', '.join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))}"
    return "mps" if torch.backends.mps.is_available() else f"cpu, {torch.get_num_threads()} thread(s)"


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())


def _rows_cache() -> Path:
    """Return where rows are kept as the datasets library converts them, a folder a digest (docs/design/keys.md)."""
    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE) / CACHE_NAME
