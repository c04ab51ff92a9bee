"""The sentence-transformers encoder gives what the model's own encode, encode_query and encode_document give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells_support import located
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from st_support import HIDDEN, save_model, transformer, words_tokenizer

from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.errors import EncoderOutputError
from harness.suite.model_entries import SentenceTransformersSpec
from harness.tasks.types import Role

TEXTS = [
    "the cat sat on the mat and looked at the moon",
    "rain",
    "who wrote this letter ?",
    "a small dog ran over the green hill , all night long , and the river fell on the red stone bridge .",
    "what is this about",
    "blue " * 30,
    "unheard words",
    "moon moon",
]
"""Of unlike length, so that batches are padded."""
ROLES: tuple[Role | None, ...] = (None, "query", "document")


def pooled(mode: str, family: str = "bert", **options: Any) -> Callable[[Path], list[Any]]:
    """Return what makes a body with a pooling."""
    return lambda folder: [transformer(folder, family), Pooling(HIDDEN, mode, **options)]


def towers(**router: Any) -> Callable[[Path], list[Any]]:
    """Return what makes a model with a tower for queries and one for documents."""

    def modules(folder: Path) -> list[Any]:
        query, document = (
            [transformer(folder / name, seed=seed), Pooling(HIDDEN, "mean")]
            for seed, name in enumerate(("query", "document"))
        )
        return [Router.for_query_document(query_modules=query, document_modules=document, **router)]

    return modules


def mapped(folder: Path) -> list[Any]:
    """Routes of other names than the roles, chosen by mappings, and a dense layer behind them."""
    routes = {
        "short": [transformer(folder / "short", seed=1), Pooling(HIDDEN, "cls")],
        "long": [transformer(folder / "long", "roberta", seed=2), Pooling(HIDDEN, "mean")],
    }
    mappings = {("query", "text"): "short", ("document", None): "long", (None, None): "long"}
    return [Router(routes, route_mappings=mappings), Dense(HIDDEN, 24), Normalize()]


def static_queries(folder: Path) -> list[Any]:
    """Queries by a table of word vectors, documents by a transformer."""
    import torch

    tokenizer = words_tokenizer("[CLS] $A [SEP]").backend_tokenizer
    weights = torch.randn(64, HIDDEN, generator=torch.Generator().manual_seed(4))
    document = [transformer(folder), Pooling(HIDDEN, "mean")]
    return [Router.for_query_document([StaticEmbedding(tokenizer, embedding_weights=weights)], document), Normalize()]


MODELS: dict[str, tuple[Callable[[Path], list[Any]], dict[str, Any]]] = {
    "bert mean": (pooled("mean"), {}),
    "bert cls": (pooled("cls"), {}),
    "bert last": (pooled("lasttoken"), {}),
    "bert max": (pooled("max"), {}),
    "bert weighted": (pooled("weightedmean"), {}),
    "t5 mean": (pooled("mean", "t5"), {}),
    "modernbert cls": (pooled("cls", "modernbert"), {}),
    "modernbert mean": (pooled("mean", "modernbert"), {}),
    "roberta mean": (pooled("mean", "roberta"), {}),
    "mpnet mean": (pooled("mean", "mpnet"), {}),
    "llama last": (pooled("lasttoken", "llama"), {}),
    "dense": (lambda folder: [*pooled("mean")(folder), Dense(HIDDEN, 20), Normalize()], {}),
    "prompts": (pooled("mean"), {"prompts": {"query": "find : ", "document": "letter : "}}),
    "default prompt": (pooled("mean"), {"prompts": {"all": "who wrote this : "}, "default_prompt_name": "all"}),
    "default is the query's": (pooled("cls"), {"prompts": {"query": "find : "}, "default_prompt_name": "query"}),
    "passage prompt": (pooled("mean"), {"prompts": {"query": "find : ", "passage": "letter : "}}),
    "prompt left out of the mean": (
        pooled("mean", "t5", include_prompt=False),
        {"prompts": {"query": "find what : ", "all": "about this : "}, "default_prompt_name": "all"},
    ),
    "prompt left out of the last": (pooled("cls", "roberta", include_prompt=False), {"prompts": {"query": "find : "}}),
    "router": (towers(), {}),
    "router, default query": (towers(default_route="query"), {}),
    "router without a default": (towers(default_route=None, allow_empty_key=False), {}),
    "router by mappings": (mapped, {"prompts": {"query": "find : "}}),
    "static queries": (static_queries, {}),
}
UNLIKE = {
    "prompts", "default prompt", "prompt left out of the mean", "router", "router by mappings", "static queries",
}  # fmt: skip
"""Models whose queries have other vectors than their documents or texts without a role."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what makes a model of `MODELS`, once."""
    root = tmp_path_factory.mktemp("own")
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            modules, options = MODELS[name]
            made[name] = save_model(root / name.replace(" ", "-"), modules, **options)
        return made[name]

    return folder


def load(folder: Path, **options: Any) -> SentenceTransformerEncoder:
    """Load a folder as the encoder."""
    if "mpnet" in folder.parent.name:
        options["attn_implementation"] = "eager"
    spec = SentenceTransformersSpec(
        name="st", encoder="sentence-transformers", model=str(folder), device="cpu", **options
    )
    return SentenceTransformerEncoder(spec, located(folder))


def own(library: SentenceTransformer, role: Role | None, texts: list[str], **options: Any) -> np.ndarray:
    """Return what the library gives a user; without options a text at a time, so that nothing is padded."""
    method = {"query": library.encode_query, "document": library.encode_document, None: library.encode}[role]
    if options:
        return method(texts, show_progress_bar=False, **options)
    return np.stack([method(text, show_progress_bar=False) for text in texts])


@pytest.mark.parametrize("name", list(MODELS))
def test_each_role_gives_what_the_models_own_method_gives(name: str, folders: Callable[[str], Path]) -> None:
    """With the model's own prompts and routes, with a prompt that is asked for, and with none: 1e-5."""
    library = SentenceTransformer(str(folders(name)), device="cpu")
    encoder = load(folders(name), batch_tokens=64)
    by_role: dict[Role | None, np.ndarray] = {}
    for role in ROLES:
        if name == "router without a default" and role is None:
            continue
        by_role[role] = encoder.encode(TEXTS, role=role, prompt=None)
        assert np.abs(by_role[role] - own(library, role, TEXTS)).max() < 1e-5
        for prompt in ("", "find this : "):
            found = encoder.encode(TEXTS, role=role, prompt=prompt)
            assert np.abs(found - own(library, role, TEXTS, prompt=prompt)).max() < 1e-5, (role, prompt)
        shown = own(library, role, TEXTS, prompt=encoder.own_prompt(role))
        assert np.abs(by_role[role] - shown).max() < 1e-5  # what the report says was put in front
    if name in UNLIKE:
        assert max(np.abs(by_role["query"] - other).max() for other in by_role.values()) > 0.01


@pytest.mark.parametrize("role", ROLES)
def test_batches_do_not_move_a_vector(role: Role | None, folders: Callable[[str], Path]) -> None:
    """One text a batch, all in one, in reverse: the same to 1e-5, through both towers."""
    small, large = (load(folders("router"), batch_tokens=size) for size in (1, 4096))
    expected = small.encode(TEXTS, role=role, prompt=None)
    assert np.abs(large.encode(TEXTS, role=role, prompt=None) - expected).max() < 1e-5
    assert np.abs(large.encode(TEXTS[::-1], role=role, prompt=None)[::-1] - expected).max() < 1e-5


def test_a_router_without_a_default_route_is_refused_where_texts_have_no_role(folders: Callable[[str], Path]) -> None:
    """The message names the routes; both roles are fine."""
    encoder = load(folders("router without a default"))
    with pytest.raises(EncoderOutputError, match="texts without a role") as caught:
        encoder.check_role(None)
    assert "query, document (default: none)" in str(caught.value)
    assert "`default_route`" in str(caught.value)
    encoder.check_role("query")
    encoder.check_role("document")
    assert encoder.counters.tokens == 0


def test_a_role_without_a_route_is_refused(tmp_path: Path) -> None:
    """A router that calls its routes otherwise cannot say what a query is."""
    routes = {name: [transformer(tmp_path / name), Pooling(HIDDEN, "mean")] for name in ("questions", "answers")}
    encoder = load(save_model(tmp_path, lambda _: [Router(routes)]))
    encoder.check_role(None)  # the first is its default
    with pytest.raises(EncoderOutputError, match=r"the role 'query'.*questions, answers"):
        encoder.check_role("query")
