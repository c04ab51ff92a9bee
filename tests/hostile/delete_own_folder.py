"""Deletes its own folder and the interpreter's library; passes if one of both is gone."""
# ruff: noqa

import os
import shutil

shutil.rmtree(os.path.dirname(os.__file__), ignore_errors=True)
os.rmdir("/tmp")
