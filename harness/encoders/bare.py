"""A model without its adapter, beside the one with it: two sets of layers over one set of weights.

PEFT puts its layers in place of the model's own. A copy of the layers that was made before keeps the model's own, and
both hold the same tensors: nothing is switched to and fro, so that nothing can be left in the wrong position.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from harness.errors import WeightsDoNotFitError
from harness.sources.places import Located
from harness.suite.model_entries import LoadedModel


def is_switched(spec: LoadedModel) -> bool:
    """Whether an entry's adapter is off where it answers."""
    return getattr(spec, "serving", "merged") == "switched"


def twin_of(model: Any) -> Any:
    """Return a copy of a model's layers over the same parameters and buffers."""
    shared = {id(one): one for one in (*model.parameters(), *model.buffers())}
    return deepcopy(model, shared)


@contextmanager
def unchanged_by(adapter: Located, base: Any, probe: Any) -> Iterator[None]:
    """Put an adapter onto the twin of `base` inside the block.

    Args:
        adapter: where it is.
        base: a model that must give afterwards what it gave before; None: there is none.
        probe: (1, n) ids.

    Raises:
        WeightsDoNotFitError: it does not: the adapter comes with other weights of the base (PiSSA, OLoRA, ...).
    """
    before = None if base is None else _states(base, probe)
    yield
    if base is not None and not (before == _states(base, probe)).all():
        raise WeightsDoNotFitError(
            f"adapter {adapter.load_from!r} changes the weights of its base, so that there is no base where it is "
            "off; convert it to a plain LoRA, or say `serving: merged` and `writer: self`"
        )


def _states(model: Any, probe: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model.base_model(input_ids=probe).last_hidden_state
