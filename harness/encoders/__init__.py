"""Encoders behind one interface: `load(candidate)` gives a `CheckedEncoder` whatever the model is made of."""

from __future__ import annotations

__all__ = ["CausalLM", "CheckedEncoder", "Counters", "Encoder", "Vectors", "load"]
