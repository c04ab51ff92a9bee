"""Connects to a socket of the host that has no path."""
# ruff: noqa

import socket

socket.socket(socket.AF_UNIX).connect("\0@ABSTRACT@")
