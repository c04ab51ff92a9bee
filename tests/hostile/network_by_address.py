"""Connects by address, to the outside and to the host; passes if it could."""
# ruff: noqa

import socket

reached = 0
for address in (("127.0.0.1", int("@PORT@")), ("1.1.1.1", 53)):
    try:
        socket.create_connection(address, timeout=0.3).send(b"secret")
        reached += 1
    except OSError:
        pass
assert reached
