"""One prompt whatever the day, template variables, and who opens the thinking."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from candidates_support import CHATML
from cells_support import tiny_tokenizer
from transformers.utils import chat_template_utils

from harness.encoders.rationale.describe import Tally
from harness.encoders.rationale.template import render_template, with_pinned_date
from harness.errors import HarnessError

CLOCK = CHATML.replace("{% for m", "{{ 'Today Date: ' + strftime_now('%d-%B-%Y') + '\n' }}{% for m", 1)
THINKING = CHATML + "{% if enable_thinking is not defined or enable_thinking %}{{ '<think>\n' }}{% endif %}"


def tokenizer_with(template: Any) -> Any:
    """Return a tiny tokenizer with a chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", [CLOCK, {"default": CLOCK}])
def test_two_days_give_one_prompt(template: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the template asks the clock itself."""

    def rendered(day: int) -> Any:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime(2026, 11, day, tzinfo=tz)

        monkeypatch.setattr(chat_template_utils, "datetime", Clock)
        tokenizer = tokenizer_with(template)
        found = render_template(tokenizer)
        assert "26 Jul 2024" in tokenizer.decode(list(found.prefix))
        return found

    assert rendered(28) == rendered(29)


def test_templates_without_a_clock_stay_as_they_are() -> None:
    """And every template of several is looked at."""
    assert with_pinned_date(CHATML) == CHATML
    assert with_pinned_date(None) is None
    assert with_pinned_date({"a": CHATML, "b": CLOCK}) == {"a": CHATML, "b": with_pinned_date(CLOCK)}


def test_a_template_that_is_another_each_time_is_refused() -> None:
    """It would have a score for each rendering."""
    tokenizer = tokenizer_with("{{ range(90000) | random }}" + CHATML)
    with pytest.raises(HarnessError, match="another prompt each time"):
        render_template(tokenizer)


def test_template_variables_reach_the_template() -> None:
    """And make it another prompt; one that the template does not read is refused."""
    tokenizer = tokenizer_with(THINKING)
    usual, without = render_template(tokenizer), render_template(tokenizer, {"enable_thinking": False})
    assert (usual.opens_thinking, without.opens_thinking) == (True, False)
    assert usual.sha256 != without.sha256
    for name in ("enable_thinkng", "messages"):
        with pytest.raises(HarnessError, match=f"does not read {name}"):
            render_template(tokenizer, {name: False})


def test_a_thought_that_the_template_opens_counts_as_one() -> None:
    """What is written has no `<think>` then, and thinks from its first token."""
    for opens, without in ((False, 0.5), (True, 0.0)):
        tally = Tally(opens_thinking=opens)
        for text, rationale in (("a", "first, ...</think> x"), ("b", "<think> y")):
            tally.add(text, rationale, tokens=3, cut=False)
        assert tally.described()["without_think"] == without
