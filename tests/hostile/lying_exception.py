"""Raises an exception that never finishes telling what it is."""
# ruff: noqa


class Endless(Exception):
    def __str__(self):
        while True:
            pass


raise Endless
