"""Which files of a model repository are needed."""

from __future__ import annotations

_OTHER_RUNTIMES = ("onnx", "openvino", "original", "coreml", "gguf")
_OTHER_WEIGHTS = (".h5", ".msgpack", ".ot", ".onnx", ".tflite", ".mlmodel", ".pb")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")


def needed_model_files(paths: list[str]) -> list[str]:
    """Return what loading a model with transformers or sentence-transformers reads.

    Weights of other runtimes are left out, and pickled or GGUF weights where safetensors stand beside them.
    """
    folders_with_safetensors = {path.rpartition("/")[0] for path in paths if path.endswith(".safetensors")}
    kept = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        is_second_copy = name.endswith((*_PICKLED, ".gguf")) and folder in folders_with_safetensors
        is_other = name.endswith(_OTHER_WEIGHTS) or bool(set(folder.split("/")) & set(_OTHER_RUNTIMES))
        index_of_other = name.endswith((".bin.index.json", ".h5.index.json", ".msgpack.index.json"))
        if not is_other and not is_second_copy and not (index_of_other and folder in folders_with_safetensors):
            kept.append(path)
    return kept
