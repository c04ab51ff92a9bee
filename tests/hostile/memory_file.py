"""Writes to its own memory through /proc."""
# ruff: noqa

with open("/proc/self/mem", "r+b") as memory:
    memory.seek(id(None))
    memory.read(8)
