"""Which tokens of a document are read, and which are predicted."""

import copy

import pytest

from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.errors import CorpusError, ModelError, UsageError
from sae_merge_method.in_memory.texts import to_predict
from tests.diagnose.hosts import save_tokenizer

BOS, EOS = 2, 1


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    save_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return AutoTokenizer.from_pretrained(tmp_path_factory.getbasetemp() / "tokenizer0")


def texts(*documents: str) -> Corpus:
    return Corpus("texts", "", documents)


def problems(*pairs: tuple[str, str]) -> Corpus:
    return Corpus("problems", "", tuple(map("".join, pairs)), None, tuple(Problem(*pair) for pair in pairs))


def test_a_text_follows_the_begin_token_and_is_predicted_whole(tokenizer):
    (document,) = to_predict(tokenizer, texts("m0 m1 m2"), 64)
    assert document.ids.tolist() == [BOS, 6, 7, 8]
    assert document.counted.tolist() == [False, True, True, True]


def test_without_a_begin_token_it_follows_the_end_token(tokenizer):
    class Without:
        bos_token_id = None
        eos_token_id = EOS
        __call__ = staticmethod(tokenizer)

    (document,) = to_predict(Without(), texts("m0 m1"), 64)
    assert document.ids.tolist() == [EOS, 6, 7]


def test_a_tokenizer_with_neither_is_refused():
    class Neither:
        bos_token_id = eos_token_id = None

    with pytest.raises(ModelError, match="neither a begin nor an end token"):
        to_predict(Neither(), texts("m0"), 64)


def test_of_a_prompt_with_an_answer_the_answer_is_predicted(tokenizer):
    (document,) = to_predict(tokenizer, problems(("m0 m1", " m2 m3")), 64)
    assert document.ids.tolist() == [BOS, 6, 7, 8, 9]
    assert document.counted.tolist() == [False, False, False, True, True]


def test_a_long_text_loses_its_end_and_a_long_prompt_its_beginning(tokenizer, caplog):
    (document,) = to_predict(tokenizer, texts("m0 m1 m2 m3"), 3)
    assert document.ids.tolist() == [BOS, 6, 7]
    (document,) = to_predict(tokenizer, problems(("m0 m1 m2", " m3 m4")), 4)
    assert document.ids.tolist() == [BOS, 8, 9, 10]
    assert document.counted.tolist() == [False, False, True, True]
    assert "cut at 3 tokens" in caplog.text


def test_so_many_predicted_tokens_are_taken_and_no_more(tokenizer):
    taken = to_predict(tokenizer, texts("m0 m1", "m2 m3", "m4"), 64, max_tokens=4)
    assert [document.position for document in taken] == [0, 1]


def test_no_token_to_predict_is_an_error(tokenizer):
    with pytest.raises(CorpusError, match="no document of texts has a token to predict within 1 tokens"):
        to_predict(tokenizer, texts("m0 m1"), 1)


def test_in_a_chat_the_prompt_is_a_users_turn_and_the_answer_follows_it(tokenizer):
    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = (
        "{{ bos_token }} {% for m in messages %}<start_of_turn> {{ m['content'] }} <end_of_turn>{% endfor %}"
        "{% if add_generation_prompt %} <start_of_turn>{% endif %}"
    )
    (document,) = to_predict(chatty, problems(("m0", " m1")), 64, in_chat=True)
    assert document.ids.tolist() == [BOS, 4, 6, 5, 4, 7]
    assert document.counted.tolist() == [False] * 5 + [True]
    with pytest.raises(UsageError, match="no chat template"):
        to_predict(tokenizer, problems(("m0", " m1")), 64, in_chat=True)


def test_a_chat_whose_template_writes_no_begin_token_follows_it_like_any_text(tokenizer):
    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = (
        "{% for m in messages %}<start_of_turn> {{ m['content'] }} <end_of_turn>{% endfor %}"
        "{% if add_generation_prompt %} <start_of_turn>{% endif %}"
    )
    (document,) = to_predict(chatty, problems(("m0 m2", " m1")), 64, in_chat=True)
    assert document.ids.tolist() == [BOS, 4, 6, 8, 5, 4, 7]
    assert document.counted.tolist() == [False] * 6 + [True]
    (document,) = to_predict(chatty, problems(("m0 m2", " m1")), 5, in_chat=True)
    assert document.ids.tolist() == [BOS, 8, 5, 4, 7]
