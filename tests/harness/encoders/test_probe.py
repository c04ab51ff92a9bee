"""The probe tells models apart by what they do: which see both ways, which can be read with padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cells_support import tiny_tokenizer
from families import tiny, without_memory

from harness.encoders.probe import (
    TOLERANCE,
    check_causal,
    compared,
    is_causal,
    padded_states,
    reading_of,
    rows_of,
    states_of,
)
from harness.encoders.rationale.plain import make_plain_prefix
from harness.encoders.rationale.probe import shared_prefix_fault
from harness.errors import EnvironmentGapError

CAUSAL = ("llama", "gemma3_text", "gpt_oss", "bloom", "lfm2", "qwen3_next", "falcon_h1", "rwkv")
BOTH_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "a decoder that is not causal": ("qwen3", {"is_causal": False}),
    "bidirectional gemma": ("gemma3_text", {"use_bidirectional_attention": True}),
    "xlnet": ("xlnet", {}),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_model_is_read_with_padding_and_no_mask(name: str) -> None:
    """As it always was: what stands to the right of a row changes nothing in it."""
    model, tokenizer = tiny(name), tiny_tokenizer()
    check_causal(model, tokenizer, wants="this")
    assert reading_of(model, tokenizer, is_causal=True) == "padded"


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_model_that_sees_both_ways_is_read_with_a_mask(name: str) -> None:
    """And gives the states of each row alone; without the mask it does not."""
    family, changes = BOTH_WAYS[name]
    model, tokenizer = tiny(family, **changes), tiny_tokenizer()
    assert not is_causal(model, tokenizer)
    assert reading_of(model, tokenizer, is_causal=False) == "masked"
    rows = rows_of(model, tokenizer)
    truth = [states_of(model, row) for row in rows]
    assert compared(model, padded_states(model, rows, reading="masked"), truth).distance < 1e-5
    assert not compared(model, padded_states(model, rows, reading="padded"), truth).holds


def test_who_needs_a_causal_model_names_the_family_and_the_way_out() -> None:
    """A training run, say."""
    with pytest.raises(EnvironmentGapError, match=r"model_type .bert..*`grace train`.*sentence-transformers"):
        check_causal(tiny("bert"), tiny_tokenizer(), wants="`grace train`")


def test_a_model_that_gives_other_states_each_time_is_refused() -> None:
    """Dropout that nobody switched off, say."""
    model = tiny("gpt2", embd_pdrop=0.5)
    model.train()
    with pytest.raises(EnvironmentGapError, match="other states each time"):
        is_causal(model, tiny_tokenizer())


def test_a_model_that_takes_no_mask_is_read_a_row_at_a_time() -> None:
    """Where it sees both ways, so that padding would move it."""
    model, tokenizer = tiny("qwen3", is_causal=False), tiny_tokenizer()
    body, forward = model.base_model, model.base_model.forward
    body.forward = lambda input_ids, use_cache=False: forward(input_ids=input_ids, use_cache=use_cache)
    assert reading_of(model, tokenizer, is_causal=False) == "alone"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_no_reason_to_refuse(dtype: torch.dtype) -> None:
    """Its rounding is larger than in float32, and still a causal model is one and BERT is none."""
    tokenizer = tiny_tokenizer()
    model = tiny("llama", num_hidden_layers=12).to(dtype)
    assert is_causal(model, tokenizer)
    assert reading_of(model, tokenizer, is_causal=True) == "padded"
    assert not is_causal(tiny("bert").to(dtype), tokenizer)


@pytest.mark.parametrize(
    "look",
    [
        lambda model: reading_of(model, tiny_tokenizer(), is_causal=True),
        lambda model: shared_prefix_fault(model, tiny_tokenizer()),
        lambda model: make_plain_prefix(model, [5, 6, 7, 8], [9]),
    ],
    ids=["reading", "shared prefix", "cache"],
)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
    ids=["gpu", "processor", "python"],
)
def test_memory_that_runs_out_is_no_fault_of_the_family(look: Any, error: Exception) -> None:
    """Else a sound model would be read another way in silence, or be refused by its family's name."""
    with pytest.raises(type(error)) as raised:
        look(without_memory(tiny("llama"), error))
    assert raised.value is error


def test_what_a_family_cannot_do_is_not_memory() -> None:
    """Another way is taken, or the reason is said."""
    model = without_memory(tiny("llama"), TypeError("no mask here"))
    assert reading_of(model, tiny_tokenizer(), is_causal=True) == "alone"
    assert shared_prefix_fault(model, tiny_tokenizer()) == "TypeError: no mask here"
    assert not make_plain_prefix(model, [5, 6, 7, 8], [9]).uses_cache


def on_edge(dtype: torch.dtype) -> Any:
    """Return a model whose attention takes one token and leaves the others: in half precision rounding says which."""
    model = tiny("llama", num_hidden_layers=4)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "q_proj" in name or "k_proj" in name:
                one.mul_(40)
    return model.to(dtype)


def rounded(model: Any, row: list[int]) -> torch.Tensor:
    """Return the states of the model's own pass with every embedding moved by one rounding: as sound as its own."""
    eps = torch.finfo(model.dtype).eps
    signs = torch.randint(0, 2, (len(row), 1), generator=torch.Generator().manual_seed(99)) * 2 - 1
    hook = model.get_input_embeddings().register_forward_hook(
        lambda _module, _inputs, out: (out.float() * (1 + eps * signs)).to(out.dtype)
    )
    try:
        return states_of(model, row)
    finally:
        hook.remove()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_where_rounding_decides_a_path_may_be_as_far_off_as_the_model_from_itself(dtype: torch.dtype) -> None:
    """A fixed bound refuses a sound pass there; one that saw its neighbours is refused all the same."""
    model, tokenizer = on_edge(dtype), tiny_tokenizer()
    row, *others = rows_of(model, tokenizer, (20, 7, 9))
    truth = [states_of(model, row)]

    def own() -> list[torch.Tensor]:
        return [states_of(model, row)]

    sound = [rounded(model, row)]
    assert not compared(model, sound, truth).holds
    assert compared(model, sound, truth, own=own).holds
    for other in others:
        seen = [states_of(model, [*other, *row])[len(other) :]]
        assert not compared(model, seen, truth, own=own).holds
    shuffled = [states_of(model, row[::-1]).flip(0)]
    assert not compared(model, shuffled, truth, own=own).holds
    assert is_causal(model, tokenizer)
    assert reading_of(model, tokenizer, is_causal=True) == "padded"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_rounding_hardly_moves_is_held_to_the_tolerance(dtype: torch.dtype) -> None:
    """Asking it again widens hardly anything there, and nothing at all in float32; a NaN is never near."""
    model, tokenizer = tiny("llama").to(dtype), tiny_tokenizer()
    row = rows_of(model, tokenizer)[0]
    truth = [states_of(model, row)]
    off = truth[0].clone()
    tolerance = TOLERANCE[str(dtype).removeprefix("torch.")]
    off[3] *= 1 + 1.5 * tolerance
    found = compared(model, [off], truth, own=lambda: [states_of(model, row)])
    assert not found.holds
    assert tolerance <= found.tolerance < (1.3 if dtype != torch.float32 else 1.0001) * tolerance
    off[3, 0] = float("nan")
    assert not compared(model, [off], truth, own=lambda: [states_of(model, row)]).holds
    assert torch.equal(states_of(model, row), truth[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", BOTH_WAYS)
def test_half_precision_hides_no_model_that_sees_both_ways(name: str, dtype: torch.dtype) -> None:
    """However far it is from itself where rounding decides."""
    family, changes = BOTH_WAYS[name]
    assert not is_causal(tiny(family, **changes).to(dtype), tiny_tokenizer())
