"""Rotary positions that change with the longest row: from which length on, and which rows may then stand together.

Two kinds of transformers' (`modeling_rope_utils.dynamic_rope_update`) look at the largest position of a batch and turn
every row of it by frequencies for that length: `longrope` (Phi-3, Phi-4, MiniCPM) has a second set of them beyond
`original_max_position_embeddings`, `dynamic` (NTK) others for each length beyond `max_position_embeddings`, and it also
keeps them for shorter texts that come later. The truth is the row alone in a model that has read nothing before: rows
on both sides of that length never share a batch, and a rotation forgets what it kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from harness.encoders.positions import NOT_OF_TEXT
from harness.errors import EncoderOutputError

Beyond = Literal["together", "alone", "refused"]
"""What rows may do that are longer: share a batch with each other, stand alone, or not be read."""
STRICTER: tuple[Beyond, ...] = ("together", "alone", "refused")


class RopeLimit(NamedTuple):
    """The length from which on a model turns its positions another way."""

    tokens: int
    """Up to so many nothing changes."""
    kind: str
    """As configurations call it: longrope, dynamic."""
    beyond: Beyond
    """Refused where the model's own code does it, which may keep anything of earlier texts."""

    def crosses(self, start: int, end: int) -> bool:
        """Return whether keys of one row are turned in two ways: it has `start` tokens at first and `end` at last."""
        return end > self.tokens and (self.beyond != "together" or start <= self.tokens)

    def message(self, tokens: int, way_out: str) -> str:
        """Return what is wrong with a row that would have `tokens` tokens."""
        return (
            f"a row would have {tokens} tokens, and beyond {self.tokens} the model turns all its positions another way "
            f"(rope_type {self.kind!r}): what is kept of the row's beginning would not be what its own forward pass "
            f"has; {way_out}"
        )


def rope_limit(model: Any) -> RopeLimit | None:
    """Return from which length on `model` turns positions another way; None where that depends on no length.

    Args:
        model: any torch module; its parts are looked through, those that read no text left out.
    """
    found = [one for part in _rotations(model) for one in _limits_of(part)] or _limits_of_own_code(model)
    if not found:
        return None
    first = min(found)
    strictest = max((one.beyond for one in found), key=STRICTER.index)
    # Two lengths, two changes: rows beyond the first need not agree on the second.
    several = len({one.tokens for one in found}) > 1 and strictest == "together"
    return first._replace(beyond="alone" if several else strictest)


def apart(limit: RopeLimit | None, lengths: Sequence[int]) -> list[list[int]]:
    """Return indices into `lengths` in groups whose rows may share a batch; the last has those within the limit.

    Args:
        limit: of `rope_limit`.
        lengths: tokens of each row, padding not counted.

    Raises:
        EncoderOutputError: a row is longer than the limit, in a model whose own code may keep what it read before.
    """
    everyone = list(range(len(lengths)))
    if limit is None or max(lengths, default=0) <= limit.tokens:
        return [everyone]
    longer = [index for index in everyone if lengths[index] > limit.tokens]
    if limit.beyond == "refused":
        most = max(lengths)
        raise EncoderOutputError(limit.message(most, f"set `max_text_tokens: {limit.tokens}` at most"))
    groups = [longer] if limit.beyond == "together" else [[index] for index in longer]
    within = [index for index in everyone if lengths[index] <= limit.tokens]
    return [*groups, within]


def forget_longer_texts(model: Any) -> None:
    """Let each forward pass of `model` begin with the frequencies of a model that has read nothing yet."""
    for part in _rotations(model):
        keeps = any("dynamic" in kind for kind in _kinds(part).values()) and hasattr(part, "original_max_seq_len")
        if keeps and _start_anew not in part._forward_pre_hooks.values():
            part.register_forward_pre_hook(_start_anew)


def _start_anew(part: Any, *_: Any) -> None:
    """Undo what a longer text left: transformers does so for shorter ones, but not up to the very limit."""
    part.max_seq_len_cached = part.original_max_seq_len
    for layer_type, kind in _kinds(part).items():
        if "dynamic" in kind:
            front = f"{layer_type}_" if layer_type else ""
            now = getattr(part, f"{front}inv_freq")
            part.register_buffer(
                f"{front}inv_freq", getattr(part, f"{front}original_inv_freq").to(now.device), persistent=False
            )
            if front:
                setattr(part, f"{front}max_seq_len_cached", part.original_max_seq_len)


def _rotations(model: Any) -> Iterator[Any]:
    """Yield the parts that turn positions of texts."""
    for name, part in model.named_modules():
        if not NOT_OF_TEXT & set(name.split(".")) and _kinds(part) and hasattr(part, "config"):
            yield part


def _kinds(part: Any) -> Mapping[str, str]:
    """Return the kinds of rotation of a part by type of layer; by "" where all layers have one."""
    kind = getattr(part, "rope_type", None)
    if isinstance(kind, str):
        return {"": kind}
    return kind if isinstance(kind, Mapping) else {}


def _limits_of(part: Any) -> Iterator[RopeLimit]:
    """Yield the limits of a rotation, one for each type of layer that has one."""
    said = getattr(part.config, "rope_parameters", None) or {}
    for layer_type, kind in _kinds(part).items():
        if "dynamic" in kind and hasattr(part, "original_max_seq_len"):
            yield RopeLimit(int(part.original_max_seq_len), kind, "alone")
        elif kind == "longrope":
            yield RopeLimit(_original(part.config, said.get(layer_type, said)), kind, "together")


def _limits_of_own_code(model: Any) -> list[RopeLimit]:
    """Return the limits that configurations name where no part is transformers' own rotation."""
    if any(True for _ in _rotations(model)):
        return []
    found = []
    for config in {id(one.config): one.config for one in model.modules() if hasattr(one, "config")}.values():
        said = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
        nested = [one for one in said.values() if isinstance(one, Mapping)] if isinstance(said, Mapping) else []
        for one in nested or ([said] if isinstance(said, Mapping) else []):
            kind = str(one.get("rope_type", one.get("type", "")))
            if kind == "longrope" or "dynamic" in kind:
                found.append(RopeLimit(_original(config, one if kind == "longrope" else {}), kind, "refused"))
    return found


def _original(config: Any, said: Mapping[str, Any]) -> int:
    """Return the length that a model was first trained for."""
    own = said.get("original_max_position_embeddings") if said else None
    return int(own or config.max_position_embeddings)
