"""A chat is the same on every day, whatever its template writes of the date."""

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from sae_merge_method.corpora.chat import DAY, users_turn
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.corpora.tokens import special_token_ids, tokenize
from sae_merge_method.in_memory.texts import to_predict
from tests.diagnose import hosts


class NoClock:
    """In the place of transformers' own."""

    @staticmethod
    def now() -> None:
        raise AssertionError("a template was told the time")


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    hosts.save_tokenizer(tmp_path)
    monkeypatch.setattr(chat_template_utils, "datetime", NoClock)
    return PreTrainedTokenizerFast.from_pretrained(tmp_path)


@pytest.mark.parametrize("asked", ["%d %b %Y", "%d %B %Y", "%Y-%m-%d", "%A, %I:%M %p", "100%% on %j"])
def test_a_template_that_asks_for_the_date_is_told_one_day(tokenizer: Any, asked: str) -> None:
    tokenizer.chat_template = f"{{{{ strftime_now({asked!r}) }}}} {{{{ messages[0]['content'] }}}}"
    assert users_turn(tokenizer, "m0") == f"{DAY.strftime(asked)} m0"


@pytest.mark.parametrize(
    "template",
    [
        "\n  {% if true %}\n  m1\n  {% endif %}\n {{ DAY }} {{ messages[0]['content'] }}\n\n",
        "   {%- set day = DAY %}\n{{ day }} {{ messages[0]['content'] }}{% if add_generation_prompt %} p1{% endif %}",
        "{% macro turn(text) %}{{ DAY }} {{ text }}{% endmacro %}{{ turn(messages[0]['content']) }}",
        "  {% if true %}{{ DAY }}{% endif %} {{ messages[0]['content'] }}",
    ],
)
def test_all_else_of_such_a_template_is_written_as_without_a_date(tokenizer: Any, template: str) -> None:
    for follows in (False, True):
        written = []
        for day in ("strftime_now('%d %b %Y')", repr(DAY.strftime("%d %b %Y"))):
            tokenizer.chat_template = template.replace("DAY", day)
            written.append(users_turn(tokenizer, "m0", answer_follows=follows))
        assert written[0] == written[1]
        assert "26 Jul 2024" in written[0]


def test_neither_diagnosed_nor_predicted_chats_know_what_day_it_is(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ strftime_now('%d %B %Y') }} {{ messages[0]['content'] }} <end_of_turn>"
    special = special_token_ids(tokenizer)
    (document,) = tokenize(tokenizer, ["m0 m1"], "a", special, max_length=9, in_chat=True)
    assert document.counted.tolist() == [False] * 3 + [True] * 2 + [False]
    problems = Corpus("problems", "", ("m0 m1",), None, (Problem("m0", " m1"),))
    (document,) = to_predict(tokenizer, problems, 64, in_chat=True)
    assert document.counted.tolist() == [False] * 6 + [True]  # the tokenizer's own begin token before all
