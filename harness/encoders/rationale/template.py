"""System prompt, chat template, tokens around the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.digests import sha256_text
from harness.errors import HarnessError

SYSTEM_PROMPT = (
    "Read and analyze the following text, then you need to provide your reasoning within <think></think> tags. "
    "Finally, generate a comprehensive understanding of this text."
)
"""Of GRACE, the same for queries and documents, in training and evaluation."""
PLACEHOLDER = "\ue000text\ue001"
"""Stands for the text while a chat template is rendered; private-use characters that no template touches."""
PINNED_TEMPLATE_VARIABLES = {"date_string": "26 Jul 2024"}
"""Templates that print today's date get this one: a score must not depend on the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A chat template rendered once around a text."""

    prefix: tuple[int, ...]
    """Ids before the text: system prompt and user header."""
    suffix: tuple[int, ...]
    """Ids after it: end of the user's turn and assistant header."""
    has_system_role: bool
    """False: the template refuses or drops a system message, and the prompt stands before the text instead."""
    sha256: str
    """Of prefix and suffix as text."""


def render_template(tokenizer: Any) -> Template:
    """Render the tokenizer's chat template around the GRACE prompt and a text.

    Raises:
        HarnessError: there is no chat template, or it does not carry prompt and text as they are.
    """
    if not tokenizer.chat_template:
        raise HarnessError("the tokenizer has no chat template, and a rationale is an assistant's turn")
    text, has_system_role = _rendered(tokenizer)
    before, found, after = text.partition(PLACEHOLDER)
    if not found or PLACEHOLDER in after or SYSTEM_PROMPT not in before:
        raise HarnessError("the chat template does not carry the system prompt and the text once each, as they are")
    return Template(
        prefix=tuple(tokenizer(before, add_special_tokens=False)["input_ids"]),
        suffix=tuple(tokenizer(after, add_special_tokens=False)["input_ids"]),
        has_system_role=has_system_role,
        sha256=sha256_text(f"{before}\0{after}"),
    )


def _rendered(tokenizer: Any) -> tuple[str, bool]:
    from jinja2.exceptions import TemplateError

    def render(messages: list[dict[str, str]]) -> str:
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        return str(tokenizer.apply_chat_template(messages, **options, **PINNED_TEMPLATE_VARIABLES))

    user = {"role": "user", "content": PLACEHOLDER}
    try:
        text = render([{"role": "system", "content": SYSTEM_PROMPT}, user])
    except TemplateError:  # the template says it has no system role
        text = ""
    if SYSTEM_PROMPT in text:
        return text, True
    return render([{"role": "user", "content": f"{SYSTEM_PROMPT}\n\n{PLACEHOLDER}"}]), False


def tokenise(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text as plain text: special tokens in it are split, lone surrogates replaced."""
    if not texts:
        return []
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    ids: list[list[int]] = tokenizer(clean, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


def end_tokens(model: Any, tokenizer: Any, template: Template) -> frozenset[int]:
    """Return the ids that end a rationale: every end-of-text the model and tokenizer name, and the user turn's end."""
    found: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        found |= set(value) if isinstance(value, list | tuple) else ({value} if value is not None else set())
    special = set(tokenizer.all_special_ids)
    found |= {token for token in template.suffix[:1] if token in special}
    return frozenset(found)
