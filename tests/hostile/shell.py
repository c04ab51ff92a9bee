"""Starts a shell; passes if one ran."""
# ruff: noqa

import os
import subprocess

status = os.system("true")
if status != 0:
    subprocess.run(["/bin/sh", "-c", "true"], check=True)
