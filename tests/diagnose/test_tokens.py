from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sae_merge_method.corpora.tokens import (
    Document,
    check_heard_differ,
    in_chat,
    make_batches,
    plain,
    special_token_ids,
    tokenize,
)
from sae_merge_method.errors import CorpusError, UsageError
from tests.diagnose import hosts

NUMBER = {word: number for number, word in enumerate(hosts.WORDS)}


@pytest.fixture(scope="module")
def tokenizer(gemma3: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(gemma3)


@pytest.fixture(scope="module")
def special(tokenizer: Any) -> frozenset[int]:
    return special_token_ids(tokenizer)


def test_special_tokens_are_told_by_id_wherever_they_stand(tokenizer: Any, special: frozenset[int]) -> None:
    assert special == {NUMBER[word] for word in hosts.SPECIAL}
    words = ["<bos>", "m0", "<start_of_turn>", "m1", "<eos>", "m2"]
    (document,) = tokenize(plain(tokenizer), [" ".join(words[1:])], "a", special, max_length=9)
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
    documents = tokenize(plain(tokenizer), ["m0 m1 m2 m3", "m4"], "a", special, max_length=3)
    assert [len(document.ids) for document in documents] == [3, 2]
    assert "1 documents were cut at 3 tokens" in caplog.text


def test_tokens_are_taken_up_to_a_number_but_at_least_one_document(
    tokenizer: Any, special: frozenset[int]
) -> None:
    texts = ["m0 m1", "m2 m3", "m4 m5"]
    taken = [len(tokenize(plain(tokenizer), texts, "a", special, 9, limit)) for limit in (1, 2, 3, 4, 100)]
    assert taken == [1, 1, 1, 2, 3]


def test_a_document_of_special_tokens_only_is_left_out_and_a_corpus_of_them_refused(
    tokenizer: Any, special: frozenset[int]
) -> None:
    assert len(tokenize(plain(tokenizer), ["<eos>", "m0"], "a", special, max_length=9)) == 1
    with pytest.raises(CorpusError, match="no document of a has a token to count"):
        tokenize(plain(tokenizer), ["<eos>"], "a", special, max_length=9)
    with pytest.raises(CorpusError, match="within 1 tokens"):
        tokenize(plain(tokenizer), ["m0 m1"], "a", special, max_length=1)


def test_corpora_that_differ_only_beyond_the_cut_are_refused(tokenizer: Any, special: frozenset[int]) -> None:
    one = tokenize(plain(tokenizer), ["m0 m1 m2", "m3"], "a", special, max_length=3)
    other = tokenize(plain(tokenizer), ["m3", "m0 m1 p7"], "b", special, max_length=3)
    check_heard_differ(one, one[:1])
    with pytest.raises(CorpusError, match="the same once documents are cut"):
        check_heard_differ(one, other)


def test_every_document_is_in_one_batch_and_batches_stay_within_their_tokens() -> None:
    lengths = [3, 9, 1, 4, 4, 7, 30, 2]
    documents = [Document(np.arange(n), np.ones(n, dtype=bool)) for n in lengths]
    batches = list(make_batches(documents, tokens_per_batch=16))
    assert sorted(place for batch in batches for place in batch.documents) == list(range(len(lengths)))
    assert all(batch.ids.size <= 16 or len(batch.documents) == 1 for batch in batches)
    for batch in batches:
        assert batch.attention.sum(axis=1).tolist() == [lengths[place] for place in batch.documents]


def test_of_a_chat_only_the_documents_own_text_counts(gemma3: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gemma3)
    special = special_token_ids(tokenizer)
    with pytest.raises(UsageError, match="has no chat template"):
        in_chat(tokenizer)
    # "c7 p7" stand for words that the template itself adds to every turn.
    tokenizer.chat_template = (
        "{{ '<bos> <start_of_turn> c7 ' }}{{ messages[0]['content'] | trim }}{{ ' p7 <end_of_turn>' }}"
    )
    (document,) = tokenize(in_chat(tokenizer), [" m0 c7 m1\n"], "a", special, max_length=9)
    expected = ["<bos>", "<start_of_turn>", "c7", "m0", "c7", "m1", "p7", "<end_of_turn>"]
    assert document.ids.tolist() == [NUMBER[word] for word in expected]
    assert document.counted.tolist() == [False] * 3 + [True] * 3 + [False] * 2
    tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(CorpusError, match="rewrites documents"):
        tokenize(in_chat(tokenizer), ["m0 m1"], "a", special, max_length=9)
