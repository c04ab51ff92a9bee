"""A model's folder with another pooling, as the library then reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published_support import tiny_model
from suites_support import write

from harness.reproduction.pooling import MODES, pooling_of, with_pooling


def test_the_copy_pools_as_asked_and_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    """Vectors of the copy are those of a model that the library itself saved with that pooling."""
    from sentence_transformers import SentenceTransformer

    text = ["the cat sat on the mat"]
    folder, saved = tiny_model(tmp_path / "mean"), tiny_model(tmp_path / "cls", "cls")
    made = with_pooling(folder, "cls", tmp_path / "copy")
    assert (pooling_of(folder), pooling_of(made)) == ("mean", "cls")
    vectors = [SentenceTransformer(str(one), device="cpu").encode(text) for one in (made, saved, folder)]
    np.testing.assert_allclose(vectors[0], vectors[1])
    assert np.abs(vectors[0] - vectors[2]).max() > 0.01


def test_all_modes_of_the_library_are_known() -> None:
    """What it adds is to be tried too."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    assert set(MODES) == set(Pooling.POOLING_MODES)


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ('{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}', "mean"),
        ('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}', None),
        ('{"pooling_mode": "lasttoken"}', "lasttoken"),
        ('{"pooling_mode": ["cls", "mean"]}', None),
    ],
)
def test_older_configurations_are_read(tmp_path: Path, config: str, mode: str | None) -> None:
    """A switch a mode; several at once are no one mode."""
    write(tmp_path / "modules.json", '[{"path": "", "type": "x.Transformer"}, {"path": "p", "type": "x.Pooling"}]')
    write(tmp_path / "p" / "config.json", config)
    assert pooling_of(tmp_path) == mode


def test_a_folder_without_modules_has_none(tmp_path: Path) -> None:
    """A plain transformers model."""
    assert pooling_of(tmp_path) is None
