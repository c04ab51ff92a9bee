"""Looks up a name and connects."""
# ruff: noqa

import urllib.request

urllib.request.urlopen("http://pypi.org/", timeout=0.5)
