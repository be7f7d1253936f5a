from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.corpora.tokens import check_tokens_differ, special_token_ids, tokenize
from sae_merge_method.errors import CorpusError, UsageError
from tests.diagnose import hosts

NUMBER = {word: number for number, word in enumerate(hosts.WORDS)}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    hosts.save_tokenizer(tmp_path)
    return PreTrainedTokenizerFast.from_pretrained(tmp_path)


@pytest.fixture
def special(tokenizer: Any) -> frozenset[int]:
    return special_token_ids(tokenizer)


def test_special_tokens_are_told_by_id_wherever_they_stand(tokenizer: Any, special: frozenset[int]) -> None:
    assert special == {NUMBER[word] for word in hosts.SPECIAL}
    words = ["<bos>", "m0", "<start_of_turn>", "m1", "<eos>", "m2"]
    (document,) = tokenize(tokenizer, [" ".join(words[1:])], "a", special, max_length=9)
    assert document.ids.tolist() == [NUMBER[w] for w in words]
    assert document.counted.tolist() == [False, True, False, True, False, True]


def test_special_ids_of_the_models_config_are_left_out_too(tokenizer: Any) -> None:
    class Config:
        image_token_index = 7
        eos_token_id = (1, 8)
        bos_token_id = None

    assert {7, 8} <= special_token_ids(tokenizer, Config())


def test_documents_are_cut_never_joined(
    tokenizer: Any, special: frozenset[int], caplog: pytest.LogCaptureFixture
) -> None:
    documents = tokenize(tokenizer, ["m0 m1 m2 m3", "m4"], "a", special, max_length=3)
    assert [len(document.ids) for document in documents] == [3, 2]
    assert "1 documents were cut at 3 tokens" in caplog.text


def test_tokens_are_taken_up_to_a_number_but_at_least_one_document(
    tokenizer: Any, special: frozenset[int]
) -> None:
    texts = ["m0 m1", "m2 m3", "m4 m5"]
    taken = [len(tokenize(tokenizer, texts, "a", special, 9, limit)) for limit in (1, 2, 3, 4, 100)]
    assert taken == [1, 1, 1, 2, 3]


def test_a_document_of_special_tokens_only_is_left_out_and_a_corpus_of_them_refused(
    tokenizer: Any, special: frozenset[int]
) -> None:
    assert len(tokenize(tokenizer, ["<eos>", "m0"], "a", special, max_length=9)) == 1
    with pytest.raises(CorpusError, match="no document of a has a token to count"):
        tokenize(tokenizer, ["<eos>"], "a", special, max_length=9)
    with pytest.raises(CorpusError, match="within 1 tokens"):
        tokenize(tokenizer, ["m0 m1"], "a", special, max_length=1)


def test_corpora_that_differ_only_beyond_the_cut_are_refused(tokenizer: Any, special: frozenset[int]) -> None:
    one = tokenize(tokenizer, ["m0 m1 m2", "m3"], "a", special, max_length=3)
    other = tokenize(tokenizer, ["m3", "m0 m1 p7"], "b", special, max_length=3)
    check_tokens_differ(one, one[:1])
    with pytest.raises(CorpusError, match="the same once documents are cut"):
        check_tokens_differ(one, other)


def test_of_a_chat_only_the_documents_own_text_counts(tokenizer: Any, special: frozenset[int]) -> None:
    with pytest.raises(UsageError, match="has no chat template"):
        tokenize(tokenizer, ["m0"], "a", special, max_length=9, in_chat=True)
    # "c7 p7" stand for words that the template itself adds to every turn.
    tokenizer.chat_template = (
        "{{ '<bos> <start_of_turn> c7 ' }}{{ messages[0]['content'] | trim }}{{ ' p7 <end_of_turn>' }}"
    )
    (document,) = tokenize(tokenizer, [" m0 c7 m1\n"], "a", special, max_length=9, in_chat=True)
    expected = ["<bos>", "<start_of_turn>", "c7", "m0", "c7", "m1", "p7", "<end_of_turn>"]
    assert document.ids.tolist() == [NUMBER[word] for word in expected]
    assert document.counted.tolist() == [False] * 3 + [True] * 3 + [False] * 2
    tokenizer.chat_template = "{{ '<bos> m0 m1 ' }}{{ messages[0]['content'] }}{{ ' m0 m1 <end_of_turn>' }}"
    (document,) = tokenize(tokenizer, ["m0 m1"], "a", special, max_length=9, in_chat=True)
    assert document.counted.tolist() == [False] * 3 + [True] * 2 + [False] * 3
    tokenizer.chat_template = "{{ messages[0]['content'] }}{{ messages[0]['content'] }}"
    with pytest.raises(CorpusError, match="rewrites documents"):
        tokenize(tokenizer, ["m0 m1"], "a", special, max_length=9, in_chat=True)
    tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(CorpusError, match="rewrites documents"):
        tokenize(tokenizer, ["m0 m1"], "a", special, max_length=9, in_chat=True)
