"""System prompt, chat template, tokens around the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.digests import sha256_text
from harness.errors import HarnessError

SYSTEM_PROMPT = (
    "Read and analyze the following text, then you need to provide your reasoning within <think></think> tags. "
    "Finally, generate a comprehensive understanding of this text."
)
"""Of GRACE, the same for queries and documents, in training and evaluation."""
OWN_VARIABLES = {"messages", "add_generation_prompt", "tools", "documents"}
"""What a template is told by whoever renders it, and by nobody else."""
PLACEHOLDER = "\ue000text\ue001"
"""Stands for the text while a chat template is rendered; private-use characters that no template touches."""
PINNED_DATE = "26 Jul 2024"
"""What templates that print the day are told, so that a prompt is the same tomorrow (Llama 3's own default)."""
PINNED_TEMPLATE_VARIABLES = {"date_string": PINNED_DATE}
"""Some templates take the day from here."""


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
    opens_thinking: bool = False
    """Whether the assistant header ends inside `<think>`: what is written is then a thought from its first token."""


def with_pinned_date(template: Any) -> Any:
    """Return a chat template whose `strftime_now` always says the same; transformers lets no argument replace it.

    Args:
        template: of a tokenizer: a text, several by name, or None.
    """
    if isinstance(template, dict):
        return {name: with_pinned_date(one) for name, one in template.items()}
    if not isinstance(template, str) or "strftime_now" not in template:
        return template
    return f"{{%- macro strftime_now(form) -%}}{PINNED_DATE}{{%- endmacro -%}}{template}"


def render_template(tokenizer: Any, variables: Mapping[str, Any] | None = None) -> Template:
    """Render the tokenizer's chat template around the GRACE prompt and a text.

    Args:
        tokenizer: with a chat template, which is told one pinned date whatever the day.
        variables: what the template is told beside messages, such as `enable_thinking`.

    Raises:
        HarnessError: there is no chat template, or it does not carry prompt and text as they are.
    """
    if not tokenizer.chat_template:
        raise HarnessError("the tokenizer has no chat template, and a rationale is an assistant's turn")
    text, has_system_role = _rendered(tokenizer, variables or {})
    if _rendered(tokenizer, variables or {})[0] != text:
        raise HarnessError(
            "the chat template gives another prompt each time it is rendered: there would be no one score"
        )
    before, found, after = text.partition(PLACEHOLDER)
    if not found or PLACEHOLDER in after or SYSTEM_PROMPT not in before:
        raise HarnessError("the chat template does not carry the system prompt and the text once each, as they are")
    return Template(
        prefix=tuple(tokenizer(before, add_special_tokens=False)["input_ids"]),
        suffix=tuple(tokenizer(after, add_special_tokens=False)["input_ids"]),
        has_system_role=has_system_role,
        sha256=sha256_text(f"{before}\0{after}"),
        opens_thinking=after.rfind("<think>") > after.rfind("</think>"),
    )


def _rendered(tokenizer: Any, variables: Mapping[str, Any]) -> tuple[str, bool]:
    from jinja2.exceptions import TemplateError

    told = PINNED_TEMPLATE_VARIABLES | dict(variables)
    template = with_pinned_date(tokenizer.get_chat_template())
    unread = sorted(name for name in variables if name not in template or name in OWN_VARIABLES)
    if unread:
        raise HarnessError(
            f"template_variables: the chat template does not read {', '.join(unread)}; it stays as it is"
        )

    def render(messages: list[dict[str, str]]) -> str:
        options: dict[str, Any] = {"chat_template": template, "tokenize": False, "add_generation_prompt": True}
        return str(tokenizer.apply_chat_template(messages, **options, **told))

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
    text_config = model.config.get_text_config()  # of some models of several modalities it alone names an end
    configs = (model.generation_config, model.config, text_config, tokenizer)
    for value in (getattr(one, "eos_token_id", None) for one in configs):
        found |= set(value) if isinstance(value, list | tuple) else ({value} if value is not None else set())
    special = set(tokenizer.all_special_ids)
    found |= {token for token in template.suffix[:1] if token in special}
    return frozenset(found)
