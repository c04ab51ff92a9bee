"""Writes to the home folder of the user who runs the harness."""
# ruff: noqa

with open("@HOME@/hostile", "w") as file:
    file.write("was here")
