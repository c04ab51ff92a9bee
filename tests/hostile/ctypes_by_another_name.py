"""Loads ctypes under a name that is not its own."""
# ruff: noqa

import glob
import importlib.machinery
import importlib.util
import os

path = glob.glob(os.path.dirname(os.__file__) + "/lib-dynload/_ctypes.*.so")[0]
loader = importlib.machinery.ExtensionFileLoader("other._ctypes", path)
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("other._ctypes", loader))
loader.exec_module(module)
