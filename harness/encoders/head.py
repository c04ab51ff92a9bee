"""Next-token logits from last hidden states, as the model itself makes them.

Between the last states and the logits families differ: a soft cap (Gemma), a scale (Granite, Cohere, HyperCLOVA X,
Falcon-H1, MiniCPM3), a bias, a layer more (BERT). A list of such names would never be whole, so it is the model's own
`forward` that runs, with its body's work taken as done.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def body_of(model: Any) -> Any:
    """Return the model without its head: what gives `last_hidden_state`; a model that has no head is its own."""
    body = model.base_model
    if body is model:  # the prefix of its class names nothing in it (Llama 4)
        return getattr(model, "model", model)
    return body


def logits_of(model: Any, states: Tensor) -> Tensor:
    """Return the model's own next-token logits; training, rationales and the probe use it.

    Args:
        model: a transformers causal language model, adapters injected; its hooks on the whole forward are not called.
        states: (n, h), after the final norm: `last_hidden_state` of its body.

    Returns:
        (n, vocabulary), in the dtype that the model's forward gives; differentiable.
    """
    import torch

    ids = torch.zeros((1, len(states)), dtype=torch.long, device=states.device)  # looked at for their shape alone
    logits: Tensor = type(model).forward(_AfterBody(model, states[None]), input_ids=ids, use_cache=False).logits
    return logits[0]


class _AfterBody:
    """A model as its own `forward` sees it, but for the body, which gives the states that it is told."""

    def __init__(self, model: Any, states: Tensor) -> None:
        self._model, self._states = model, states

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return _Body(found, self._states) if found is body_of(self._model) else found


class _Body:
    """A module that was run: called, it gives states; anything else is asked of the module."""

    def __init__(self, module: Any, states: Tensor) -> None:
        self._module, self._states = module, states

    def __call__(self, *_: Any, **__: Any) -> _Output:
        return _Output(last_hidden_state=self._states)

    def __getattr__(self, name: str) -> Any:
        import torch

        found = getattr(self._module, name)  # some bodies are called by a part of theirs: `model.decoder(...)`
        return _Body(found, self._states) if isinstance(found, torch.nn.Module) else found


class _Output(SimpleNamespace):
    """What a body returns, as far as a head reads it: the states by name and by place, None for all else."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

    def __getitem__(self, place: int | slice) -> Any:
        return (self.last_hidden_state,)[place]
