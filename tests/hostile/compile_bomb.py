"""Gives the compiler an expression that takes its memory and its stack."""
# ruff: noqa

eval("-" * 100_000_000 + "1")
assert False
