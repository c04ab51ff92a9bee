"""Crashes the interpreter."""
# ruff: noqa

import faulthandler

faulthandler._sigsegv()
