"""From a candidate to its encoder, by the table of kinds; other packages' encoders by their entry points."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol

from harness.candidates.candidate import Candidate
from harness.encoders.base import Encoder
from harness.encoders.checked import CheckedEncoder
from harness.errors import InputError
from harness.suite.encoder_kinds import ENTRY_POINT_GROUP, KINDS, known_encoders
from harness.suite.model_entries import OtherEncoderSpec
from harness.wording import listing

WITH_SOFT_TOKENS = "harness.encoders.soft_tokens:SoftTokensEncoder"
"""Of `mean-pool` where the entry names soft tokens."""


class BuiltIn(Protocol):
    """The class of an encoder of ours: what `KINDS` names."""

    def from_candidate(self, candidate: Candidate, *, seed: int, use_cache: bool) -> Encoder:
        """Return the encoder of a candidate of its kind, weights loaded; arguments as of `load`."""


def load(candidate: Candidate, *, seed: int = 0, use_cache: bool = True) -> CheckedEncoder:
    """Load a candidate's weights and wrap its encoder in the central checks.

    Args:
        candidate: with weights that are on this machine or that the hub client can get.
        seed: of encoders that draw random numbers.
        use_cache: whether rationales and their vectors are kept and looked up by content.

    Raises:
        EnvironmentGapError: a package or the weights are not to be had.
        AdapterHasNoEffectError: the adapter does not change the states of a probe text.
    """
    if isinstance(candidate.spec, OtherEncoderSpec):
        encoder = _registered(candidate.spec, seed)
    else:
        encoder = _class_of(candidate).from_candidate(candidate, seed=seed, use_cache=use_cache)
    return CheckedEncoder(encoder, name=candidate.name, store_dtype=candidate.spec.store_dtype)


def _class_of(candidate: Candidate) -> BuiltIn:
    has_soft_tokens = getattr(candidate.spec, "soft_tokens", None) is not None
    module, _, name = (WITH_SOFT_TOKENS if has_soft_tokens else KINDS[candidate.kind].encoder).partition(":")
    found: BuiltIn = getattr(import_module(module), name)
    return found


def _registered(spec: OtherEncoderSpec, seed: int) -> Encoder:
    for point in entry_points(group=ENTRY_POINT_GROUP, name=spec.encoder):
        factory = point.load()
        encoder: Encoder = factory(spec.options, device=spec.device, seed=seed)
        return encoder
    raise InputError([f"encoder {spec.encoder!r} is not one of {listing(known_encoders())}"])
