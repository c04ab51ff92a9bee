"""Runs bytecode that no compiler wrote."""
# ruff: noqa


def victim():
    pass


victim.__code__ = victim.__code__.replace(co_code=bytes([100, 250]) * 8, co_consts=())
victim()
assert False
