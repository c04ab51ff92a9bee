"""Wheels of invented distributions, in a folder that is the only place where pip looks."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest
from suites_support import isolate


def build_wheel(folder: Path, files: dict[str, bytes], name: str = "tiny-model") -> Path:
    """Write a valid wheel of version 1.0 of `name` that holds `files`."""
    stem = f"{name.replace('-', '_')}-1.0"
    about = f"{stem}.dist-info"
    contents = files | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: none\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=") for name, data in contents.items()
    }
    record = [f"{name},sha256={digests[name].decode()},{len(data)}" for name, data in contents.items()]
    contents[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def only_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a new folder, from now on all that pip looks at; caches are the test's own."""
    isolate(monkeypatch, tmp_path)
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder
