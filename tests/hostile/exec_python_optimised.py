"""Becomes an interpreter that skips asserts."""
# ruff: noqa

import os
import sys

os.execv(sys.executable, [sys.executable, "-O", "-c", "assert False"])
