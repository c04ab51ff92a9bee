"""A PEFT adapter goes onto a model whole, or not at all. peft is imported here alone, where there is an adapter.

peft loads what fits and warns of the rest: of an adapter made for another base, with more layers or other names, a part
acts and the rest is new. What it says of its loading is read here, and so is which tensors the adapter has to have.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.candidates.adapter_kind import ADAPTER_CONFIG, why_not_scaled
from harness.errors import WeightsDoNotFitError
from harness.sources.places import Located
from harness.wording import first_few

MOST_NAMED = 4
"""So many tensors are named; the rest are counted."""
NAME = "default"
"""What peft calls an adapter that nobody named."""


def with_peft(model: Any, adapter: Located, *, scale: float = 1.0) -> Any:
    """Return `model` inside PEFT's wrapper, the adapter injected into its layers and active.

    Args:
        model: a transformers model, on torch's meta device too: then names and shapes are compared alone.
        adapter: a folder or a hub repository.
        scale: of the change that a LoRA makes: weights are W + scale x BA.

    Raises:
        WeightsDoNotFitError: tensors of the adapter are missing, have no place in the model, or are of another shape;
            or it is to be scaled and is no LoRA.
    """
    from peft import PeftModel

    source = adapter.load_from
    _refuse_code_of_its_own(source)
    revision = {"revision": adapter.revision} if adapter.revision else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing keys, which are an error below; of copies into no memory
            wrapped = PeftModel.from_pretrained(model, source, **revision)
            said = wrapped.load_adapter(source, NAME, **revision)
    except KeyError as error:  # of a module that is to be replaced whole
        raise _misfit(source, model, [f"1 of its tensors at least is missing: {error.args[0]}"]) from error
    except (RuntimeError, ValueError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if "copying a param" in line] or [str(error)]
        raise _misfit(source, model, [first_few(lines, most=MOST_NAMED)]) from error
    faults = [
        f"{len(names)} of its tensors {what}: {first_few(sorted(names), most=MOST_NAMED)}"
        for names, what in ((said.missing_keys, "are missing"), (said.unexpected_keys, "have no place in the model"))
        if names
    ]
    if faults:
        raise _misfit(source, model, faults)
    if scale != 1.0:
        _scale(wrapped, source, scale)
    return wrapped


def _scale(wrapped: Any, source: str, scale: float) -> None:
    """Scale the change of every LoRA layer; raises WeightsDoNotFitError where the adapter is more than that."""
    from peft.tuners.lora import LoraLayer

    layers = [one for one in wrapped.modules() if isinstance(one, LoraLayer)]
    why = why_not_scaled(wrapped.peft_config[NAME].to_dict())
    if why is None and (not layers or any(NAME in getattr(one, "lora_variant", {}) for one in layers)):
        why = "it is a variant of LoRA that is no plain sum"
    if why is not None:
        raise WeightsDoNotFitError(f"adapter {source!r} cannot be scaled: {why}; take `adapter_scale` out")
    for layer in layers:  # embeddings too, which PEFT's own `scale_layer` leaves out
        layer.scaling[NAME] *= scale


def _refuse_code_of_its_own(source: str) -> None:
    """Refuse an adapter that names a Python module to import, as Megatron's kind does."""
    file = Path(source) / ADAPTER_CONFIG
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("megatron_config"):
        raise WeightsDoNotFitError(f"{file}: megatron_config makes PEFT import the module that it names: take it out")


def _misfit(source: str, model: Any, faults: Sequence[str]) -> WeightsDoNotFitError:
    step = "name the base that it was trained on, or get the whole adapter"
    return WeightsDoNotFitError(f"{'; '.join(faults)}; adapter {source!r} does not fit {type(model).__name__}: {step}")
