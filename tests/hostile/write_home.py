"""Writes to the home folder."""
# ruff: noqa

import os
from pathlib import Path

home = Path(os.path.expanduser("~"))
assert str(home) not in ("~", "/")
(home / "hostile").write_text("was here")
