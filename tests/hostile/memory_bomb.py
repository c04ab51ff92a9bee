"""Takes memory until there is none."""
# ruff: noqa

hoard = []
while True:
    hoard.append(bytearray(64 << 20))
