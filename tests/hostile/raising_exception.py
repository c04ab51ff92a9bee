"""Raises an exception that leaves when it is told."""
# ruff: noqa

import os


class Leave(Exception):
    def __str__(self):
        os._exit(0)


raise Leave
