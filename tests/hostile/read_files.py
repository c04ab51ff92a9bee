"""Reads files of the machine, the user and the project; passes if it can read one."""
# ruff: noqa

import glob

found = []
for pattern in (
    "/etc/passwd",
    "/etc/hostname",
    "/root/.*",
    "/home/*",
    "@CANARY@/*",
    "@PROJECT@/*",
    "/proc/*",
    "/sys/*",
):
    found += glob.glob(pattern)
found = [path for path in found if path not in ("/root/.", "/root/..") and not "@PYTHON@".startswith(path)]
assert found
