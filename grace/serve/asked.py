"""From the body of a request to what it asks for; every problem of it in one refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from grace.serve.refusal import Refusal
from grace.serve.settings import Limits, Role
from harness.row_files import RefusedJsonError, json_value
from harness.wording import did_you_mean, first_lines, listing, short

Format = Literal["float", "base64"]
FIELDS = ("model", "input", "encoding_format", "dimensions", "user", "encoding", "role")
IDS_REFUSED = (
    "token ids are not taken, since they are another tokenizer's: send text "
    "(LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False)"
)
MOST_PROBLEMS = 5
"""Problems of one request that are named; the rest is counted."""
SHOWN = 60
"""Characters of a wrong value that a message repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for vectors, checked but for what only the model knows."""

    model: str
    """As the request calls it."""
    texts: tuple[str, ...]
    """In the order of the answer."""
    form: Format = "float"
    """How vectors are written."""
    dimensions: int | None = None
    """Leading values that are wanted, brought to length 1; None: the whole vector as it is."""
    with_rationales: bool = False
    """Whether each vector comes with the rationale that it holds."""
    role: Role | None = None
    """What the texts are; None: what the server takes them for."""

    @property
    def characters(self) -> int:
        """Of all texts."""
        return sum(map(len, self.texts))


def parse(body: bytes, limits: Limits) -> Asked:
    """Return what a body asks for.

    Args:
        body: JSON; texts may hold any character, NUL too.
        limits: of texts and characters.

    Raises:
        Refusal: with status 400, or 413 where only a limit on size is passed.
    """
    told = _object(body)
    problems: list[tuple[str, str]] = []
    unknown = [name for name in told if name not in FIELDS]
    # A body can have half a million of them: what is only counted is not looked at.
    problems += [(name[:SHOWN], _unknown(name)) for name in unknown[:MOST_PROBLEMS]]
    problems += [(name[:SHOWN], "") for name in unknown[MOST_PROBLEMS:]]
    texts = _texts(told.get("input"), problems)
    model = told.get("model")
    if not isinstance(model, str) or not model:
        problems.append(("model", f"model: expected the name of the model, got {_shown(model)}; GET /v1/models has it"))
    form = _choice("encoding_format", told.get("encoding_format"), get_args(Format), problems) or "float"
    encoding = _choice("encoding", told.get("encoding"), ("rationale",), problems)
    role = _choice("role", told.get("role"), get_args(Role), problems)
    dimensions = told.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        problems.append(("dimensions", f"dimensions: expected a whole number from 1, got {_shown(dimensions)}"))
    if problems:
        said = first_lines([problem for _, problem in problems], most=MOST_PROBLEMS)
        raise Refusal(400, "; ".join(said), code="invalid_request", param=problems[0][0])
    _refuse_too_much(texts, limits)
    return Asked(
        model=cast(str, model),
        texts=tuple(texts),
        form=cast(Format, form),
        dimensions=dimensions,
        with_rationales=encoding is not None,
        role=cast(Role | None, role),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json_value(body.decode("utf-8"))
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply", code="invalid_json") from None
    except RefusedJsonError as error:  # ambiguous or unreadable, as `grace encode` refuses it in a file
        raise Refusal(400, f"the body: {str(error)[:200]}", code="invalid_json") from None
    except ValueError as error:  # not JSON, or not UTF-8
        raise Refusal(400, f"the body is not JSON in UTF-8: {str(error)[:200]}", code="invalid_json") from None
    if not isinstance(told, dict):
        raise Refusal(400, f"the body is JSON but no object: {_shown(told)}", code="invalid_json")
    return told


def _texts(given: Any, problems: list[tuple[str, str]]) -> list[str]:
    """Return the texts of `input`."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given:
        problems.append(("input", f"input: expected a text or a list of at least one text, got {_shown(given)}"))
        return []
    wrong = next((place for place, one in enumerate(given) if not isinstance(one, str)), None)
    if wrong is None:
        return given
    one = given[wrong]
    is_tokens = type(one) is int or (isinstance(one, list) and all(type(token) is int for token in one))
    problems.append(
        ("input", f"input: {IDS_REFUSED}" if is_tokens else f"input[{wrong}]: expected a text, got {_shown(one)}")
    )
    return []


def _choice(name: str, given: Any, valid: Sequence[str], problems: list[tuple[str, str]]) -> str | None:
    """Return one of the valid words, or None where nothing is said."""
    if given is None or (isinstance(given, str) and given in valid):
        return given
    problems.append((name, f"{name}: expected {listing(valid)}, got {_shown(given)}"))
    return None


def _unknown(name: str) -> str:
    return f"{name[:SHOWN]!r}: no such field{did_you_mean(name[:SHOWN], FIELDS)}; there are {listing(FIELDS)}"


def _refuse_too_much(texts: Sequence[str], limits: Limits) -> None:
    if len(texts) > limits.texts:
        said = f"input: {len(texts)} texts, and a request may have {limits.texts}; send the rest in another"
        raise Refusal(413, said, code="too_many_texts", param="input")
    for place, text in enumerate(texts):
        if len(text) > limits.characters:
            said = f"input[{place}]: {len(text)} characters, and a text may have {limits.characters}; cut it up"
            raise Refusal(413, said, code="text_too_long", param="input")


def _shown(value: Any) -> str:
    """Return a wrong value, short; lists and objects by what they are, since they may be deep or long."""
    if value is None:
        return "null, or nothing"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "an object" if isinstance(value, dict) else short(value, most=SHOWN)
