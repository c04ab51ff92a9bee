"""Would these weights fit? Asked of transformers itself, by names and shapes alone: no tensor is read or made.

The model is built without memory (torch's meta device) and loaded from tensors of the same kind, whose names and shapes
stand in the headers of the files. What transformers then says is what it would say of the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.candidates.weight_files import check_safetensors, shapes_of, weight_files
from harness.encoders.adapter import with_peft
from harness.encoders.fit import Loading, fit_of, message, watched
from harness.encoders.language_model import loader_of
from harness.encoders.own_code import refused_by_name
from harness.errors import WeightsDoNotFitError
from harness.sources.places import Located

SENTENCES = "sentence-transformers"


def misfit(folder: Path, kind: str, *, name: str, trust: bool, needs_head: bool) -> str | None:
    """Return how the weights in a folder do not fit the model that an encoder makes of them; None where they do.

    Args:
        folder: of the model.
        kind: of encoder: `mean-pool`, `rationale` or `sentence-transformers`.
        name: of the model, for messages.
        trust: whether it may run its own code.
        needs_head: whether next-token logits are wanted.

    Raises:
        EnvironmentGapError: it wants to run its own code and may not.
        ValueError, OSError: configuration or files cannot be read.
    """
    for one in _transformers(folder) if kind == SENTENCES else [folder]:
        with refused_by_name(name):
            loadings = dry_load(one, kind, trust=trust, needs_head=needs_head)
        for loading in loadings:
            fit = fit_of(loading)
            if faults := [*fit.body, *(fit.head if needs_head else ())]:
                return message(repr(str(one)), loading.model, faults)
    return None


def adapter_misfit(base: Path, adapter: Located, *, name: str, trust: bool) -> str | None:
    """Return how an adapter does not fit a base; None where it does.

    Args:
        base: folder of the model it goes on.
        adapter: where it is.
        name: of the model, for messages.
        trust: whether the base may run its own code.
    """
    import torch
    from transformers import AutoConfig

    with refused_by_name(name), torch.device("meta"):
        config = AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=trust)
        model = loader_of(config, needs_head=False).from_config(config, trust_remote_code=trust)
    try:
        with_peft(model, adapter)
    except WeightsDoNotFitError as error:
        return str(error)
    return None


def dry_load(folder: Path, kind: str, *, trust: bool, needs_head: bool = False) -> list[Loading]:
    """Return what transformers says of a folder's weights; nothing of quantised ones, which only their package reads.

    Args:
        folder: with config.json and weights.
        kind: of encoder; decides the model's class.
        trust: whether it may run its own code.
        needs_head: whether next-token logits are wanted; decides the class of families that have none.
    """
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=trust)
    files = weight_files(folder)
    if not files or getattr(config, "quantization_config", None) is not None:
        return []
    with torch.device("meta"):
        cls = type(_auto_class(config, kind, needs_head=needs_head).from_config(config, trust_remote_code=trust))
    # Loading works on the model's own configuration, which making the class has settled: so it is read anew.
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=trust)
    with watched() as seen:
        cls.from_pretrained(
            None, config=config, state_dict=_tensors(files), device_map={"": "meta"}, ignore_mismatched_sizes=True
        )
    return seen


def _auto_class(config: Any, kind: str, *, needs_head: bool) -> Any:
    """Return the class that the encoder's own loader takes."""
    from transformers import AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    if kind != SENTENCES:
        return loader_of(config, needs_head=needs_head)
    # sentence-transformers takes the encoder of T5's kind alone.
    return AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel


def _tensors(files: list[Path]) -> dict[str, Any]:
    """Return name -> tensor without memory, of all files."""
    import torch

    found: dict[str, Any] = {}
    for file in files:
        if file.suffix == ".safetensors":
            check_safetensors(file)
            found |= {name: torch.empty(shape, device="meta") for name, shape in shapes_of(file).items()}
        else:
            found |= torch.load(file, map_location="meta", weights_only=True)
    return found


def _transformers(folder: Path) -> Iterator[Path]:
    """Give the folders of the transformers models inside a sentence-transformers model: its own, or its modules'."""
    candidates = sorted(file.parent for file in folder.rglob("config.json"))
    for one in candidates:
        about = json.loads((one / "config.json").read_text(encoding="utf-8"))
        if "model_type" in about and weight_files(one):
            yield one
