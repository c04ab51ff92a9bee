"""Writes gigabytes to standard output."""
# ruff: noqa

line = "x" * (1 << 20)
while True:
    print(line)
