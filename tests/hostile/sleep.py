"""Sleeps past the limit."""
# ruff: noqa

import time

time.sleep(1000)
