"""Writes to the results folder."""
# ruff: noqa

with open("@CANARY@/results.json", "w") as file:
    file.write("100 %")
