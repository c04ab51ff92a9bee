"""Loads machine code of its own as an extension module; gets as far as the loader's own complaint, or is refused."""
# ruff: noqa

import sys

with open("native.so", "wb") as file:
    file.write(b"\x7fELF")
sys.path.insert(0, "/tmp")
import native
