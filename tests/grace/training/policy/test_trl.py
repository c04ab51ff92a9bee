"""The private methods of trl that the policy trainer overrides or leans on have the signatures it was written for."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import pytest
import trl
from trl.trainer import utils

from grace.config.schema import Grace
from grace.objectives.policy_gradients import ALGORITHMS, CHANGEABLE, policy_gradient

SIGNATURES = {
    "_get_train_sampler": "(self, dataset)",
    "_prepare_inputs": "(self, generation_batch)",
    "_generate_and_score_completions": "(self, inputs)",
    "_compute_loss": "(self, model, inputs)",
    "_get_per_token_logps_and_entropies": (
        "(self, model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, compute_aux_loss, "
        "pixel_values, image_grid_thw, num_images, pixel_attention_mask, spatial_shapes, num_tiles, image_sizes, "
        "token_type_ids, mm_token_type_ids, image_position_ids)"
    ),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_overridden_methods_have_the_parameters_they_had(name: str) -> None:
    """A trl that changed one of them must be read before it is used."""
    parameters = inspect.signature(getattr(trl.GRPOTrainer, name)).parameters
    assert f"({', '.join(parameters)})" == SIGNATURES[name]


def test_what_the_trainer_reads_of_trl_is_there() -> None:
    """Attributes and helpers that are no public interface, by name in trl's source."""
    assert version("trl") == "1.16.0"
    source = inspect.getsource(trl.GRPOTrainer)
    for name in (
        "self._buffered_inputs",
        "self._step ",
        "self._metrics",
        "self.eos_token_ids",
        "self.ref_model",
        "self.vllm_generation.generate(",
        'inputs.get("old_per_token_logps")',
        "self.rollout_func(prompts, self)",
    ):
        assert name in source, name
    assert list(inspect.signature(utils.split_tensor_dict).parameters) == ["tensor_dict", "num_chunks"]
    assert list(inspect.signature(utils.add_fused_lm_head).parameters)[:2] == ["model", "temperature"]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_is_a_configuration_that_trl_takes(name: Any, tmp_path: Any) -> None:
    """The table's options are options of trl's, with the values of each paper."""
    chosen = policy_gradient(Grace(algorithm=name))
    made = trl.GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, num_generations=4, **chosen.options())
    assert made.loss_type == chosen.loss_type
    assert made.epsilon_high >= made.epsilon


def test_options_of_the_configuration_win_over_the_algorithm() -> None:
    """Each can be set by itself, and a lower clipping bound sets the upper one unless that is given too."""
    changed = policy_gradient(Grace(algorithm="dapo", epsilon=0.1, scale_rewards="none", num_iterations=2, delta=3))
    assert changed.delta == 3
    assert (changed.epsilon, changed.epsilon_high, changed.scale_rewards) == (0.1, 0.1, "none")
    assert (changed.num_iterations, changed.loss_type) == (2, "dapo")
    assert set(CHANGEABLE) <= set(Grace.model_fields)
