"""Writes anywhere outside /tmp; passes if one attempt works."""
# ruff: noqa

import os
import sys

done = []
for folder in (
    "/",
    "/etc",
    "/usr",
    "/usr/lib",
    "/lib",
    "/dev",
    "/var",
    "/home",
    "/root",
    sys.prefix,
    os.path.dirname(os.__file__),
):
    try:
        with open(os.path.join(folder, "hostile"), "w") as file:
            file.write("was here")
        done.append(folder)
    except OSError:
        pass
assert done
