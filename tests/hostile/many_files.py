"""Fills the disk with many files; passes if it could write 256 MiB."""
# ruff: noqa

for number in range(256):
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(1 << 20))
