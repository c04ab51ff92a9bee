"""Do weights fit the model they are loaded into? No number that was drawn at random is ever scored.

transformers fills what a checkpoint lacks with random numbers, leaves out what it has no place for, and prints a table.
Here that table is read: what would change a vector or an answer is refused, by name. What takes no part in them (a
pooler under a mean, the head of another task) may be missing, and becomes NaN, so that being wrong about that cannot
pass in silence either.

`watched` reads transformers' own loading report at its one seam, `log_state_dict_report`; a test holds it there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from harness.errors import WeightsDoNotFitError
from harness.wording import first_few

logger = logging.getLogger(__name__)

SEAMS = (
    "transformers.modeling_utils.log_state_dict_report",
    "transformers.integrations.peft.log_state_dict_report",
)
"""Where transformers says how a checkpoint fitted: of a model, and of an adapter that it loads by itself."""
WRAPPERS = re.compile(r"^((model\.)?_orig_mod|module|_fsdp_wrapped_module|_forward_module|base_model\.model)\.")
"""What torch.compile, data parallelism, FSDP, DeepSpeed and PEFT put before the names of a model they wrap."""
COMPUTED = re.compile(r"(^|\.)(position_ids|inv_freq|masked_bias)$")
"""Tensors of old checkpoints that models work out for themselves."""
POOLER = "pooler"
"""The layer over the first token that BERT's kind has for classification; no pooling of ours reads it."""
CANNOT_READ = "Unable to load weights"
"""How transformers begins what it says of a pickled file that is broken."""
MOST_NAMED = 4
"""So many tensors are named; the rest are counted."""
_WATCHING: list[list[Loading]] = []
"""What the open blocks of `watched` have seen."""


class Mismatch(NamedTuple):
    """A tensor of another shape than the model's."""

    name: str
    in_files: tuple[int, ...]
    in_model: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {list(self.in_files)}, the model's {list(self.in_model)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What transformers says of one checkpoint."""

    model: Any
    """The transformers model that was filled."""
    missing: frozenset[str]
    """Tensors of the model that the files lack; tied ones are not among them."""
    unexpected: frozenset[str]
    """Tensors of the files that the model has no place for."""
    mismatched: tuple[Mismatch, ...]
    errors: tuple[str, ...]
    """What could not be converted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What is to be made of a `Loading`."""

    body: tuple[str, ...]
    """Faults that change the model's states, a line each."""
    head: tuple[str, ...]
    """Faults of the head alone, which the embedding axis does not use."""
    unused: frozenset[str]
    """Tensors of the model that are missing and take no part in its states."""


@contextmanager
def watched() -> Iterator[list[Loading]]:
    """Give the list of what transformers says of every checkpoint loaded inside the block, for `refuse_misfits`."""
    from safetensors import SafetensorError

    seen: list[Loading] = []

    def note(*, model: Any, loading_info: Any, **_: Any) -> None:
        for one in _WATCHING:  # of blocks inside each other all, such as a module of ours in a SentenceTransformer
            one.append(_loading(model, loading_info))

    places = [(import_module(module), name) for module, _, name in (seam.rpartition(".") for seam in SEAMS)]
    before = [getattr(module, name) for module, name in places]
    try:
        _WATCHING.append(seen)
        for module, name in places:
            setattr(module, name, note)
        yield seen
    except (SafetensorError, OSError) as error:
        if isinstance(error, OSError) and CANNOT_READ not in str(error):
            raise
        raise WeightsDoNotFitError(f"a file of the weights is damaged or cut short: {error}") from error
    finally:
        _WATCHING.pop()
        for (module, name), function in zip(places, before, strict=True):
            setattr(module, name, function)


def _loading(model: Any, info: Any) -> Loading:
    return Loading(
        model=model,
        missing=frozenset(info.missing_keys),
        unexpected=frozenset(info.unexpected_keys),
        mismatched=tuple(sorted(Mismatch(name, tuple(a), tuple(b)) for name, a, b in info.mismatched_keys)),
        errors=(*info.error_msgs, *(f"{name}: {error}" for name, error in info.conversion_errors.items())),
    )


def refuse_misfits(seen: Sequence[Loading], what: str, *, needs_head: bool) -> tuple[str, ...]:
    """Raise where weights do not fit; make NaN of what is missing and takes no part.

    Args:
        seen: of `watched`.
        what: was loaded, for the message.
        needs_head: whether next-token logits are wanted, so that a head at fault is refused too.

    Returns:
        What is wrong with the head alone, a line each; empty where `needs_head`.

    Raises:
        WeightsDoNotFitError: tensors of the body are missing, of another shape, or without a place in the model.
    """
    if not seen:
        raise WeightsDoNotFitError(f"{what}: transformers did not say whether the weights fit the model")
    head: list[str] = []
    for loading in seen:
        fit = fit_of(loading)
        faults = [*fit.body, *(fit.head if needs_head else ())]
        if faults:
            raise WeightsDoNotFitError(message(what, loading.model, faults))
        head += fit.head
        _make_nan(loading.model, fit.unused)
        if fit.unused:
            logger.info("%s: not in the weights, and not used: %s", what, first_few(sorted(fit.unused)))
    return tuple(head)


def message(what: str, model: Any, faults: Iterable[str]) -> str:
    """Return the refusal: what does not fit, and what to do."""
    step = "get the whole checkpoint, or the configuration that belongs to it"
    return f"{'; '.join(faults)}; the weights of {what} do not fit {type(model).__name__}: {step}"


def fit_of(loading: Loading) -> Fit:
    """Sort what transformers says into faults of the body, faults of the head, and what takes no part."""
    names = _Names(loading.model)
    missing: list[str] = []
    head_missing: list[str] = []
    unused: set[str] = set()
    for name in sorted(loading.missing):
        if names.is_pooler(name):
            unused.add(name)
        else:
            (missing if names.is_of_body(name) else head_missing).append(name)
    extra = sorted(name for name in loading.unexpected if names.changes_states(name))
    head_extra = sorted(name for name in loading.unexpected - set(extra) if names.is_beside_head(name))
    body = _missing(missing, names.total) + _extra(extra, loading)
    if loading.mismatched:
        shapes = first_few(map(str, loading.mismatched), most=MOST_NAMED)
        body.append(f"{_count(loading.mismatched)} of another shape: {shapes}")
    body += loading.errors
    if missing and not extra:  # they may be the missing ones by another name
        body += _extra(sorted(other for other in loading.unexpected if names.end_alike(other, missing)), loading)
    head = _missing(head_missing, names.total) + _extra(head_extra, loading)
    return Fit(body=tuple(body), head=tuple(head), unused=frozenset(unused))


class _Names:
    """The tensors of a model, told apart by the part they belong to."""

    def __init__(self, model: Any) -> None:
        self._config = model.config.get_text_config()
        own = {id(module): name for name, module in model.named_modules()}
        self._prefix = _with_dot(own[id(model.base_model)])
        self._of_base = f"{model.base_model_prefix}." if model.base_model_prefix else ""
        head = model.get_output_embeddings()
        self._head = _with_dot(own.get(id(head), "")) if head is not None else ""
        names = list(model.state_dict())
        self.total = len(names)
        self._parts = {self._inner(name).split(".")[0] for name in names if self.is_of_body(name)}
        self._buffers = {name for name, _ in model.named_buffers()}

    def _inner(self, name: str) -> str:
        """Return a name as it is inside the body."""
        for prefix in (self._prefix, self._of_base):
            if prefix and name.startswith(prefix):
                return name.removeprefix(prefix)
        return name

    def is_of_body(self, name: str) -> bool:
        """Whether a tensor of the model takes part in its states."""
        return name.startswith(self._prefix) and not (self._head and name.startswith(self._head))

    def is_pooler(self, name: str) -> bool:
        return self._inner(name).split(".")[0] == POOLER

    def is_beside_head(self, name: str) -> bool:
        """Whether a tensor of the files stands where the head's own do."""
        return bool(self._head) and name.startswith(self._head)

    def changes_states(self, name: str) -> bool:
        """Whether a tensor of the files that has no place would change states if it had one.

        What stands under another name than the body's parts is the head of another task, or another tower.
        """
        if name in self._buffers or COMPUTED.search(name):
            return False
        inner = self._inner(name)
        if WRAPPERS.match(name) or WRAPPERS.match(inner):
            return True
        return inner.split(".")[0] in self._parts - {POOLER} and not self._predicts_further(inner)

    def end_alike(self, name: str, missing: Sequence[str]) -> bool:
        """Whether a name ends as one of the missing ones does inside the body."""
        return any(name.endswith(f".{self._inner(one)}") for one in missing)

    def _predicts_further(self, inner: str) -> bool:
        """Whether it is of a layer behind the last that guesses further tokens (DeepSeek's and GLM's)."""
        further = getattr(self._config, "num_nextn_predict_layers", None) or 0
        found = re.match(r"layers\.(\d+)\.", inner)
        layers = self._config.num_hidden_layers if found else 0
        return found is not None and layers <= int(found[1]) < layers + further


def _with_dot(name: str) -> str:
    return f"{name}." if name else ""


def _count(names: Sequence[Any]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _missing(names: list[str], total: int) -> list[str]:
    if not names:
        return []
    return [f"{len(names)} of {total} tensors are missing: {first_few(names, most=MOST_NAMED)}"]


def _extra(names: list[str], loading: Loading) -> list[str]:
    """Return the line on tensors without a place, with what made their names where that can be told."""
    if not names:
        return []
    verb = "has" if len(names) == 1 else "have"
    line = f"{_count(names)} of the files {verb} no place in the model: {first_few(names, most=MOST_NAMED)}"
    wrapped = WRAPPERS.match(names[0])
    if wrapped:
        line += f" (saved with a wrapper around the model: take {wrapped[0]!r} off the names)"
    layers = [int(found[1]) for name in names if (found := re.search(r"\.(\d+)\.", name))]
    has = getattr(loading.model.config.get_text_config(), "num_hidden_layers", None)
    if not wrapped and layers and has is not None and min(layers) >= has:
        line += f" (the configuration says num_hidden_layers: {has})"
    return [line]


def _make_nan(model: Any, names: Iterable[str]) -> None:
    for name in names:
        tensor = model.get_parameter_or_buffer(name)
        if tensor.is_floating_point():
            tensor.data.fill_(float("nan"))
