"""Load(candidate): by the table of kinds."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import entry_points

from harness.candidates.candidate import Candidate
from harness.encoders.base import Encoder
from harness.encoders.cache import ContentCache
from harness.encoders.checked import CheckedEncoder
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.encoders.tfidf import TfIdfEncoder
from harness.errors import EnvironmentGapError, InputError
from harness.suite.encoder_kinds import ENTRY_POINT_GROUP, known_encoders
from harness.suite.model_entries import (
    LoadedModel,
    MeanPoolSpec,
    OtherEncoderSpec,
    RationaleSpec,
    SentenceTransformersSpec,
    TfIdfSpec,
)
from harness.wording import listing


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
    spec = candidate.spec
    if isinstance(spec, OtherEncoderSpec):
        return CheckedEncoder(_load_registered(spec, seed), name=candidate.name)
    if isinstance(spec, TfIdfSpec):
        return CheckedEncoder(TfIdfEncoder(spec), name=candidate.name)
    return CheckedEncoder(_load_built_in(candidate, spec, seed, use_cache), name=candidate.name)


def _load_built_in(candidate: Candidate, spec: LoadedModel, seed: int, use_cache: bool) -> Encoder:
    assert candidate.weights is not None  # noqa: S101 - identify() gives every LoadedModel its weights
    if isinstance(spec, SentenceTransformersSpec):
        return SentenceTransformerEncoder(spec, candidate.weights)
    if isinstance(spec, MeanPoolSpec):
        return MeanPoolEncoder(spec, candidate.weights, candidate.adapter)
    if isinstance(spec, RationaleSpec):
        cache = ContentCache() if use_cache else None
        whole = replace(candidate, spec=spec.model_copy(update={"ablation": "none"}))
        fingerprint = str(whole.fingerprint())
        return RationaleEncoder(
            spec, candidate.weights, candidate.adapter, fingerprint=fingerprint, seed=seed, cache=cache
        )
    raise EnvironmentGapError(
        [f"model {candidate.name!r}: this release has no {candidate.kind!r} encoder; see CHANGELOG.md"]
    )


def _load_registered(spec: OtherEncoderSpec, seed: int) -> Encoder:
    for point in entry_points(group=ENTRY_POINT_GROUP, name=spec.encoder):
        factory = point.load()
        encoder: Encoder = factory(spec.options, device=spec.device, seed=seed)
        return encoder
    raise InputError([f"encoder {spec.encoder!r} is not one of {listing(known_encoders())}"])
