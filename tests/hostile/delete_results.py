"""Deletes the results folder; passes if it was there."""
# ruff: noqa

import os
import shutil

assert os.path.exists("@CANARY@")
shutil.rmtree("@CANARY@")
