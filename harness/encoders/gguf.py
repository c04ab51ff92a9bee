"""GGUF weights become a safetensors folder once, in the user's cache.

transformers dequantises a GGUF file (some 40 s for 135M parameters) but refuses `save_pretrained` on the result; so the
model is rebuilt from a configuration without the quantisation entry, and saved.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from harness.digests import sha256_file, user_cache
from harness.encoders.fit import refuse_misfits, watched
from harness.writing import saying_cache

logger = logging.getLogger(__name__)

CONVERSION_VERSION = 2
"""Raised when a conversion would give other weights or another tokenizer."""


def as_safetensors(file: Path) -> Path:
    """Return a folder with float32 safetensors and the tokenizer of the GGUF `file`, converted at the first call."""
    target = user_cache() / "converted" / f"{sha256_file(file)}-v{CONVERSION_VERSION}"
    with saying_cache(user_cache()):
        target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            logger.info("converting %s to safetensors (once; about a minute)", file.name)
            _convert(file, target)
    return target


def _convert(file: Path, target: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder, name = str(file.parent), file.name
    with watched() as seen:
        loaded = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=name, dtype=torch.float32, trust_remote_code=False
        )
    refuse_misfits(seen, repr(str(file)), needs_head=True)  # what is saved here counts as whole ever after
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, trust_remote_code=False)
    plain = loaded.config.to_dict()
    plain.pop("quantization_config", None)
    config = AutoConfig.for_model(**plain)
    config.dtype = "float32"
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(loaded.state_dict())
    partial = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
