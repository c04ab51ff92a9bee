"""Lets a child report: spawns an interpreter and waits for its 0."""
# ruff: noqa

import os
import sys

os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], {})
